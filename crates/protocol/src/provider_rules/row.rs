//! What is known of a rule.

use crate::SignInFailure;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct RuleRow {
    /// Its word, for logs and the audit stream.
    pub name: &'static str,
    /// What it is a rule for.
    pub group: RuleGroup,
    /// How it is broken, as a part of a sentence.
    pub broken: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// What becomes of what breaks it.
    pub consequence: Consequence,
    /// Where it stands: a standard's clause, or `hubkey` where it is our own.
    pub source: &'static str,
}

/// What a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleGroup {
    /// Any answer of any endpoint.
    Answer,
    /// The provider's metadata.
    Metadata,
    /// The browser's way back, before the code is touched.
    Redirect,
    /// The answer of the token endpoint.
    TokenAnswer,
    /// The answer to a pushed authorization request.
    PushedRequest,
    /// The key set.
    KeySet,
    /// An ID token.
    IdToken,
    /// Userinfo.
    Userinfo,
    /// A logout token.
    LogoutToken,
}

/// What a rule holds. Without one of these there is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Whose account it is, and which provider says so.
    Identity,
    /// Only the provider's own keys vouch for it.
    Keys,
    /// It is for hubkey, and is what it is taken for.
    Audience,
    /// It belongs to this sign-in, of this browser.
    Binding,
    /// It counts once, in its time.
    Once,
    /// Codes, tokens and secrets go to the provider alone.
    Destination,
    /// Two readers cannot read two things.
    OneReading,
    /// A provider cannot fill the broker's memory.
    Memory,
    /// Without it there is nothing to go on with.
    Usable,
}

impl Holds {
    /// Each of them.
    pub const ALL: [Self; 9] = [
        Self::Identity,
        Self::Keys,
        Self::Audience,
        Self::Binding,
        Self::Once,
        Self::Destination,
        Self::OneReading,
        Self::Memory,
        Self::Usable,
    ];

    /// Its word in the manual, and what it means.
    #[must_use]
    pub const fn said(self) -> (&'static str, &'static str) {
        match self {
            Self::Identity => (
                "identity",
                "whose account it is, and which provider says so",
            ),
            Self::Keys => ("keys", "only the provider's own keys vouch for it"),
            Self::Audience => ("audience", "it is for hubkey, and is what it is taken for"),
            Self::Binding => ("binding", "it belongs to this sign-in, of this browser"),
            Self::Once => ("once", "it counts once, in its time"),
            Self::Destination => (
                "destination",
                "codes, tokens and secrets go to the provider alone",
            ),
            Self::OneReading => ("one reading", "two readers cannot read two things"),
            Self::Memory => ("memory", "a provider cannot fill the broker's memory"),
            Self::Usable => ("usable", "without it there is nothing to go on with"),
        }
    }
}

/// What becomes of what breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// A sign-in ends: its person's page and its kernel have this failure.
    SignIn(SignInFailure),
    /// The provider's logout gets 400, and no connection ends.
    Logout,
}
