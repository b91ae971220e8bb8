//! Whether the parts of a stack run as processes of this machine or as containers.

use anyhow::bail;

/// The variable that chooses.
pub const VARIABLE: &str = "E2E_ON";

/// What a stack is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Programs of this machine, each on a port of 127.0.0.1.
    Processes,
    /// The containers of `compose.yaml`, with their published ports on 127.0.0.1.
    Containers,
}

impl Platform {
    /// What [`VARIABLE`] asks for; programs where it is not set.
    pub fn wanted() -> anyhow::Result<Self> {
        let wanted = std::env::var_os(VARIABLE).unwrap_or_default();
        match wanted.to_string_lossy().as_ref() {
            "" | "processes" => Ok(Self::Processes),
            "containers" => Ok(Self::Containers),
            other => {
                bail!("{VARIABLE}={other} asks for a stack that these tests cannot start")
            }
        }
    }
}
