//! What is known of a bound.

use crate::{ErrorCode, SignInFailure};

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct BoundRow {
    /// Its word.
    pub name: &'static str,
    /// Who takes it, from whom.
    pub group: BoundGroup,
    /// What is bounded, as a part of a sentence.
    pub what: &'static str,
    /// So much is taken.
    pub limit: usize,
    /// Of what.
    pub unit: Unit,
    /// How much of it occurs.
    pub seen: Seen,
    /// What becomes of more.
    pub beyond: Beyond,
    /// What else there is to say, as a sentence; empty where there is nothing.
    pub note: &'static str,
}

/// Who takes it, from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundGroup {
    /// Any request, before a route is looked for: the listener.
    Request,
    /// What browsers and providers send to callback-server's routes.
    CallbackServer,
    /// What a provider answers token-broker.
    Provider,
    /// What the Hub answers token-broker.
    Hub,
    /// What a kernel asks token-broker for.
    Kernel,
    /// What token-broker answers kernels and callback-server.
    Broker,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Characters of Unicode.
    Characters,
    /// Header fields.
    Fields,
    /// Keys of a set.
    Keys,
    /// Objects and lists within each other.
    Levels,
}

/// How much of it occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The largest that is known, and where.
    AtMost(usize, &'static str),
    /// A standard allows no more than this; its name.
    Standard(usize, &'static str),
    /// It follows from another row; how.
    Follows(&'static str),
    /// hubkey makes it itself; whatever is longer is not from it.
    Own,
    /// Nobody has written down a figure that we know of.
    NotKnown,
}

/// What becomes of more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// The sign-in ends at once: its person's page and its kernel have this failure.
    EndsSignIn(SignInFailure),
    /// This one request is refused.
    Refused(ErrorCode),
    /// Something else.
    Otherwise {
        /// What a person reads.
        person: &'static str,
        /// What a kernel gets.
        kernel: &'static str,
    },
}
