//! What the Hub says of a token: the answer to `GET /hub/api/user`, read strictly.

use hubkey_domain::{clock::Timestamp, identity::HubUser};
use hubkey_protocol::bounds::Bound;
use serde::{Deserialize, Deserializer};

/// A name longer than this is none. Also the bound of [`hubkey_domain::identity::HubUser`].
const MAX_NAME_BYTES: usize = Bound::HubName.limit();

/// Whose a token is and what it may do. Members that decide nothing are left out.
///
/// A member that comes twice is refused: two readers could take different ones.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UserModel {
    /// `user` or `service`.
    pub kind: String,
    /// The owner's name.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// When the Hub made the owner, if it says so: to tokens with `read:users!user`. Text of another form says nothing.
    #[serde(default, deserialize_with = "created")]
    pub created: Option<Timestamp>,
    /// Which browser session the token belongs to.
    #[serde(default, rename = "session_id")]
    pub session: Session,
    /// What the token may do, expanded and with every filter resolved.
    pub scopes: Vec<String>,
}

/// The member `session_id`: whether a token came out of a browser's login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Session {
    /// The member is not there: a Hub that says nothing about it.
    #[default]
    Missing,
    /// `null`: not made by OAuth.
    NoBrowser,
    /// A session: made by OAuth, in a browser.
    Browser,
}

impl UserModel {
    /// Reads a Hub's answer.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Whether the owner is a person.
    #[must_use]
    pub fn is_user(&self) -> bool {
        self.kind == "user"
    }

    /// The owner, if the name can be one's.
    pub(super) fn owner(&self) -> Option<HubUser> {
        Some(HubUser::parse(&self.name)?.made_at(self.created))
    }

    /// Whether exactly this scope is there.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|have| have == scope)
    }
}

impl<'de> Deserialize<'de> for Session {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            None => Ok(Self::NoBrowser),
            Some(id) if id.is_empty() => Err(serde::de::Error::custom("an empty session id")),
            Some(_) => Ok(Self::Browser),
        }
    }
}

fn created<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| Timestamp::from_rfc3339(&text)))
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if (1..=MAX_NAME_BYTES).contains(&name.len()) {
        Ok(name)
    } else {
        Err(serde::de::Error::custom("a name of no sensible length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session_of(member: &str) -> Option<Session> {
        let text = format!(r#"{{"kind":"user","name":"alice","scopes":[]{member}}}"#);
        UserModel::parse(text.as_bytes()).map(|model| model.session)
    }

    #[test]
    fn security_k5_absent_null_and_text_sessions_are_three_things() {
        assert_eq!(session_of(""), Some(Session::Missing));
        assert_eq!(
            session_of(r#","session_id":null"#),
            Some(Session::NoBrowser)
        );
        assert_eq!(
            session_of(r#","session_id":"64c2""#),
            Some(Session::Browser)
        );
    }

    #[test]
    fn security_k5_a_session_of_another_type_is_refused() {
        for odd in ["0", "false", "true", "[]", "{}", r#""""#] {
            assert_eq!(
                session_of(&format!(r#","session_id":{odd}"#)),
                None,
                "{odd}"
            );
        }
    }

    #[test]
    fn found_e1_when_a_user_was_made_is_text_or_not_known() {
        let created_of = |member: &str| {
            let text = format!(r#"{{"kind":"user","name":"alice","scopes":[]{member}}}"#);
            UserModel::parse(text.as_bytes()).map(|model| model.created)
        };
        let whole = Timestamp::from_millis(1_795_550_407_000);
        let micro = Timestamp::from_millis(1_795_550_407_123);
        for (said, wanted) in [
            (r#","created":"2026-11-24T20:00:07Z""#, Some(Some(whole))),
            (
                r#","created":"2026-11-24T20:00:07.123456Z""#,
                Some(Some(micro)),
            ),
            ("", Some(None)),
            (r#","created":null"#, Some(None)),
            (r#","created":"a while ago""#, Some(None)),
            (r#","created":7"#, None),
            (r#","created":{}"#, None),
            (r#","created":null,"created":"2026-11-24T20:00:07Z""#, None),
        ] {
            assert_eq!(created_of(said), wanted, "{said}");
        }
    }

    #[test]
    fn security_k5_a_member_that_comes_twice_is_refused() {
        let twice = [
            r#"{"kind":"user","kind":"user","name":"alice","session_id":null,"scopes":[]}"#,
            r#"{"kind":"user","name":"alice","name":"bob","session_id":null,"scopes":[]}"#,
            r#"{"kind":"user","name":"alice","session_id":"64c2","session_id":null,"scopes":[]}"#,
            r#"{"kind":"user","name":"alice","session_id":null,"scopes":[],"scopes":["tokens"]}"#,
            // The same member in another spelling.
            r#"{"kind":"user","name":"alice","n\u0061me":"bob","session_id":null,"scopes":[]}"#,
        ];
        for text in twice {
            assert_eq!(UserModel::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn members_that_decide_nothing_may_be_anything() {
        let text = r#"{"kind":"user","name":"alice","session_id":null,"scopes":[],
            "admin":"perhaps","user_info":{"a":[{}]},"token_id":7,"new":null}"#;
        assert!(UserModel::parse(text.as_bytes()).is_some());
    }
}
