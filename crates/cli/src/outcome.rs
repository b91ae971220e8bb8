//! How a command ends.

use crate::failure::Failure;

/// How a command that went well ends.
pub(crate) enum Then {
    /// With this exit code.
    End(u8),
    /// By becoming this program.
    Become(Box<std::process::Command>),
}

impl Then {
    pub(crate) const DONE: Self = Self::End(0);
}

/// How a command ends.
pub(crate) type Outcome = Result<Then, Failure>;
