//! Why the API says no.

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No token came.
    NoToken,
    /// The token is not good; the words name the rule.
    Invalid(&'static str),
    /// The token is good for other things.
    InsufficientScope,
    /// The issuer's keys could not be had.
    NoKeys,
}
