//! How a token endpoint refuses (RFC 6749 section 5.2): what may be said of it and kept.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A refusal, by its status and its standard code: none of the provider's own text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// The standard code; [`Self::OTHER`] for a code that is none, [`Self::NO_DOCUMENT`] where there is no error document.
    pub code: String,
}

impl Refusal {
    /// A code of the provider's own.
    pub const OTHER: &str = "other";
    /// No error document: a page of a proxy or firewall, or nothing.
    pub const NO_DOCUMENT: &str = "no_document";

    /// Whether it speaks of the scope, audience or resource that was asked for, and of neither token nor registration.
    #[must_use]
    pub fn is_of_what_was_asked(&self) -> bool {
        matches!(self.code.as_str(), "invalid_scope" | "invalid_target")
    }

    /// Whether it may mean hubkey's registration, and not the token that was sent. Only where the same is said of a token
    /// that never was, it does.
    #[must_use]
    pub fn may_mean_the_registration(&self) -> bool {
        match self.code.as_str() {
            "invalid_client" | "incorrect_client_credentials" => true,
            "unauthorized_client" => self.status == 401,
            _ => false,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.code)
    }
}
