//! An attempt, and what comes of it.

use std::sync::Arc;

use crate::use_cases::tokens::refresh::{
    attempt::RefreshAttempts, outcome::RefreshOutcomes, write::RefreshWrites,
};

/// An attempt, and what came of it.
pub(crate) struct RefreshSteps {
    pub(crate) attempts: Arc<RefreshAttempts>,
    pub(crate) outcomes: Arc<RefreshOutcomes>,
    pub(crate) writes: Arc<RefreshWrites>,
}
