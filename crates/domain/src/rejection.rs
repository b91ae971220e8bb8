//! Tokens that an API or a provider rejected before their end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// At most one token is replaced in so long because it was said to be rejected: else a kernel in a loop would be a storm of
/// refreshes.
const REPLACED_ONCE_IN: Duration = Duration::from_mins(1);

/// Which token was rejected last, and when that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The number that tells the tokens of one kind apart.
    pub token: u64,
    /// When it was said.
    pub at: Timestamp,
}

/// What to do about a token that is said to be rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// To note that, and to replace it.
    Note(Rejection),
    /// To replace it: that is noted already.
    Noted,
    /// Nothing: another one was replaced less than a minute ago.
    TooSoon,
}

impl Rejection {
    /// Whether it is of this token.
    #[must_use]
    pub fn is_of(rejection: Option<Self>, token: u64) -> bool {
        rejection.is_some_and(|rejection| rejection.token == token)
    }

    /// What to do about this token, which is said to be rejected, after what was said before.
    #[must_use]
    pub fn replacement(before: Option<Self>, token: u64, now: Timestamp) -> Replacement {
        let Some(before) = before else {
            return Replacement::Note(Self { token, at: now });
        };
        let again = before.at.after(REPLACED_ONCE_IN);
        if before.token == token {
            Replacement::Noted
        } else if before.at <= now && now < again {
            Replacement::TooSoon
        } else {
            Replacement::Note(Self { token, at: now })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_a9_a_token_is_replaced_once_and_the_next_one_a_minute_later() {
        let at = |seconds: u64| Timestamp::from_millis(1_000_000 + seconds * 1000);
        let first = Rejection {
            token: 1,
            at: at(0),
        };
        assert_eq!(
            Rejection::replacement(None, 1, at(0)),
            Replacement::Note(first)
        );
        let after = |token, seconds| Rejection::replacement(Some(first), token, at(seconds));
        assert_eq!(after(1, 0), Replacement::Noted);
        assert_eq!(after(1, 3600), Replacement::Noted);
        assert_eq!(after(2, 59), Replacement::TooSoon);
        // What a clock wrote that was ahead holds nobody up.
        let ahead = Some(Rejection {
            token: 1,
            at: at(3600),
        });
        let now = Rejection {
            token: 2,
            at: at(0),
        };
        assert_eq!(
            Rejection::replacement(ahead, 2, at(0)),
            Replacement::Note(now)
        );
        let second = Rejection {
            token: 2,
            at: at(60),
        };
        assert_eq!(after(2, 60), Replacement::Note(second));
        assert!(Rejection::is_of(Some(first), 1));
        assert!(!Rejection::is_of(Some(first), 2));
        assert!(!Rejection::is_of(None, 1));
    }
}
