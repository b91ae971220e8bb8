//! Who asks: the kernel's side of the Hub.

use std::time::Duration;

use hubkey_protocol::bounds::Bound;
use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, keyed_hash::KeyedHash};

/// Databases round the time when a user was made; the Hub has microseconds until it restarts.
const SAME_INSTANT: Duration = Duration::from_secs(1);

/// Who a hub user is: the name, exactly as the Hub says it, and when the Hub made them. A name alone may be given to
/// somebody else (ADR 52), so two are compared by [`Self::compare`] and in no other way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HubUser {
    #[serde(rename = "user")]
    name: String,
    #[serde(
        default,
        rename = "user_created",
        skip_serializing_if = "Option::is_none"
    )]
    created: Option<Timestamp>,
}

/// What is known of two hub users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// They are one.
    Same,
    /// They have one name; of one of them or both the Hub did not say when it was made.
    NotKnown,
    /// They are two: another name, or the name was given again.
    Different,
}

impl HubUser {
    /// Takes a name that the Hub gave: 1 to 255 bytes.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        (1..=Bound::HubName.limit())
            .contains(&name.len())
            .then(|| Self {
                name: name.to_owned(),
                created: None,
            })
    }

    /// With the time when the Hub made them, if it said so.
    #[must_use]
    pub fn made_at(self, created: Option<Timestamp>) -> Self {
        Self { created, ..self }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// When the Hub made them, if it said so.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// What is known of the two. Names are compared byte by byte, never folded or split.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Likeness {
        match (self.name == other.name, self.made_with(other)) {
            (true, Some(true)) => Likeness::Same,
            (true, None) => Likeness::NotKnown,
            (false, _) | (_, Some(false)) => Likeness::Different,
        }
    }

    /// Whether they are known to be one: what was made for one server may be handed to another of theirs, and what is
    /// remembered of them counts.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.compare(other) == Likeness::Same
    }

    /// Whether nothing speaks against it: enough where something else proves the rest, such as the very server token or
    /// the browser of the person.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        self.compare(other) != Likeness::Different
    }

    /// Whether they were made at the same time, if both are known to have been made.
    fn made_with(&self, other: &Self) -> Option<bool> {
        let (one, other) = (self.created?, other.created?);
        Some(one.until(other).max(other.until(one)) <= SAME_INSTANT)
    }
}

/// The name of one of a user's servers; empty for the default one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerName(String);

impl ServerName {
    /// Takes a name that the Hub gave: up to 255 bytes.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        (name.len() <= Bound::ServerName.limit()).then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A kernel that proved with a server token which server it runs in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// The owner of the server.
    #[serde(flatten)]
    pub user: HubUser,
    /// Which of the owner's servers.
    pub server: ServerName,
    /// Of the very server token. A new server start is a new token, hence another hash (SECURITY KR10).
    pub fingerprint: KeyedHash,
}

impl ServerIdentity {
    /// Whether both are kernels of the same instance of the same server: same user, same server, same token. A rename of
    /// the user keeps the token, and the time when they were made.
    #[must_use]
    pub fn is_same_server(&self, other: &Self) -> bool {
        let renamed = || self.user.made_with(&other.user) == Some(true);
        (self.user.may_be(&other.user) || renamed())
            && self.server == other.server
            && self.fingerprint.matches(&other.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "2026-11-24T20:00:07Z";

    fn user(name: &str, created: &str) -> HubUser {
        let created = Timestamp::from_rfc3339(created);
        HubUser::parse(name).unwrap().made_at(created)
    }

    #[test]
    fn found_e1_a_hub_user_is_the_name_and_the_time() {
        use Likeness::{Different, NotKnown, Same};
        let table = [
            ("alice", WHOLE, Same),
            // The Hub's memory, a database that rounds, one that cuts, another zone.
            ("alice", "2026-11-24T20:00:07.499999Z", Same),
            ("alice", "2026-11-24T20:00:06.500000Z", Same),
            ("alice", "2026-11-24T20:00:07.999999Z", Same),
            ("alice", "2026-11-24T21:00:07+01:00", Same),
            ("alice", "2026-11-24T20:00:08.001000Z", Different),
            ("alice", "2026-11-24T20:00:05.999000Z", Different),
            ("alice", "2026-11-25T20:00:07Z", Different),
            ("alice", "", NotKnown),
            ("alice", "yesterday", NotKnown),
            ("Alice", WHOLE, Different),
            ("alice2", WHOLE, Different),
            ("alice2", "", Different),
        ];
        for (name, created, wanted) in table {
            let (one, other) = (user("alice", WHOLE), user(name, created));
            assert_eq!(one.compare(&other), wanted, "{name} {created}");
            assert_eq!(other.compare(&one), wanted, "{name} {created}");
        }
        let (one, other) = (user("alice", ""), user("alice", ""));
        assert_eq!(one.compare(&other), NotKnown);
    }

    #[test]
    fn found_e1_the_very_token_is_the_same_server_after_a_rename() {
        let kernel = |user, token| ServerIdentity {
            user,
            server: ServerName::parse("gpu").unwrap(),
            fingerprint: KeyedHash::new([token; 32]),
        };
        let one = kernel(user("alice", WHOLE), 1);
        for (user, token, wanted) in [
            (user("alice", WHOLE), 1, true),
            (user("alice", ""), 1, true),
            (user("alice2", WHOLE), 1, true),
            (user("alice2", ""), 1, false),
            (user("alice", "2025-01-01T00:00:00Z"), 1, false),
            (user("alice", WHOLE), 2, false),
        ] {
            assert_eq!(one.is_same_server(&kernel(user, token)), wanted);
        }
    }

    #[test]
    fn records_from_before_have_a_name_only() {
        let text = r#"{"user":"alice","server":""}"#;
        let old: HubUser = serde_json::from_str(text).unwrap();
        assert_eq!((old.as_str(), old.created()), ("alice", None));
        let new = serde_json::to_string(&user("alice", WHOLE)).unwrap();
        let read: HubUser = serde_json::from_str(&new).unwrap();
        assert!(read.is(&user("alice", WHOLE)));
    }
}
