//! Tokens of a connection beside its own: of fewer scopes, for another audience or resource, or exchanged (RFC 8693).
//! They are kept together under the connection, each under exactly what was asked for.

use hubkey_protocol::Scopes;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    refresh_state::{RefreshState, TokenNeed},
    rejection::Rejection,
    token_set::TokenSet,
};

/// How many are kept under one connection.
const MOST: usize = 16;

/// How a token beside the connection's own is come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DerivedBy {
    /// With the refresh token (RFC 6749 section 6, RFC 8707 section 2.2).
    Refresh,
    /// In exchange for the connection's own access token.
    Exchange,
}

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DerivedTokenKey {
    /// How it is come by.
    pub way: DerivedBy,
    /// For which audience.
    pub audience: Option<String>,
    /// For which resource.
    pub resource: Option<String>,
    /// Of which scopes.
    pub scopes: Option<Scopes>,
    /// From which provider behind this one.
    pub requested_issuer: Option<String>,
}

/// What is known about one target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DerivedTokenEntry {
    /// The audience, resource, scopes or issuer that the token is for.
    pub target: DerivedTokenKey,
    /// The newest token, if there ever was one.
    pub token: Option<TokenSet>,
    /// Tells tokens of one target apart.
    pub mark: u64,
    /// Whether the provider is asked again at once.
    pub renewal: RefreshState,
    /// Which of its tokens was rejected last, by its `mark`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
}

impl DerivedTokenEntry {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(target: DerivedTokenKey) -> Self {
        Self {
            target,
            token: None,
            mark: 0,
            renewal: RefreshState::Idle,
            rejection: None,
        }
    }

    /// What a token that is valid for `min_valid` seconds more needs.
    #[must_use]
    pub fn need(&self, now: Timestamp, min_valid: u64, spread: f64) -> TokenNeed {
        match &self.token {
            Some(_) if Rejection::is_of(self.rejection, self.mark) => {
                TokenNeed::Refresh { usable: false }
            }
            Some(token) => token.lifetime().need(now, min_valid, spread),
            None => TokenNeed::Refresh { usable: false },
        }
    }

    /// Until when it is of use.
    fn end(&self) -> Timestamp {
        let token = self.token.as_ref().map(|token| token.lifetime().end());
        let rest = match self.renewal {
            RefreshState::Resting { until, .. } => Some(until),
            RefreshState::Idle
            | RefreshState::Refreshing { .. }
            | RefreshState::Unknown
            | RefreshState::Recovering { .. }
            | RefreshState::Suspended { .. }
            | RefreshState::Unverified { .. }
            | RefreshState::Ended => None,
        };
        token.max(rest).unwrap_or(Timestamp::from_millis(0))
    }
}

/// All of one connection.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DerivedTokenSet {
    entries: Vec<DerivedTokenEntry>,
}

impl DerivedTokenSet {
    /// What is known about this very target.
    #[must_use]
    pub fn get(&self, target: &DerivedTokenKey) -> Option<&DerivedTokenEntry> {
        self.entries.iter().find(|entry| entry.target == *target)
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &DerivedTokenEntry> {
        self.entries.iter()
    }

    /// Replaces what is known about a target. What has ended goes, and where there are too many, what ends first.
    pub fn put(&mut self, entry: DerivedTokenEntry, now: Timestamp) {
        self.entries
            .retain(|other| other.target != entry.target && other.end() > now);
        while self.entries.len() >= MOST {
            let ends = |(_, entry): &(usize, &DerivedTokenEntry)| entry.end();
            let Some((first, _)) = self.entries.iter().enumerate().min_by_key(ends) else {
                break;
            };
            self.entries.remove(first);
        }
        self.entries.push(entry);
    }

    /// When the last of them ends.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        self.entries.iter().map(DerivedTokenEntry::end).max()
    }
}

#[cfg(test)]
mod tests {
    use hubkey_protocol::secret::AccessToken;

    use super::*;

    fn entry(audience: &str, ends: u64) -> DerivedTokenEntry {
        let token = TokenSet {
            access_token: AccessToken::new(audience),
            refresh_token: None,
            obtained_at: Timestamp::from_millis(0),
            expires_at: Some(Timestamp::from_millis(ends)),
            scopes: Scopes::default(),
        };
        let target = DerivedTokenKey {
            way: DerivedBy::Exchange,
            audience: Some(audience.to_owned()),
            resource: None,
            scopes: None,
            requested_issuer: None,
        };
        DerivedTokenEntry {
            token: Some(token),
            ..DerivedTokenEntry::new(target)
        }
    }

    #[test]
    fn security_p83_each_target_is_kept_apart() {
        let mut targets = DerivedTokenSet::default();
        let now = Timestamp::from_millis(1);
        let one = entry("one", 1000);
        let narrow = DerivedTokenKey {
            scopes: Some(Scopes::parse("read").unwrap()),
            ..one.target.clone()
        };
        let refreshed = DerivedTokenKey {
            way: DerivedBy::Refresh,
            ..one.target.clone()
        };
        targets.put(one.clone(), now);
        assert!(targets.get(&one.target).is_some());
        for other in [&narrow, &refreshed, &entry("two", 1000).target] {
            assert!(targets.get(other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn there_are_never_more_than_fit_and_what_ends_first_goes() {
        let mut targets = DerivedTokenSet::default();
        let now = Timestamp::from_millis(10);
        targets.put(entry("ended", 5), Timestamp::from_millis(1));
        for number in 0..40_u64 {
            targets.put(entry(&number.to_string(), 1000 + number), now);
        }
        assert_eq!(targets.iter().count(), MOST);
        assert!(targets.get(&entry("ended", 5).target).is_none());
        assert!(targets.get(&entry("39", 0).target).is_some());
        assert!(targets.get(&entry("0", 0).target).is_none());
        targets.put(entry("39", 2000), now);
        assert_eq!(targets.iter().count(), MOST);
        assert_eq!(targets.end(), Some(Timestamp::from_millis(2000)));
    }
}
