//! Providers as they were seen, as data: in what they differ from the honest one of [`hostile_provider`](crate::hostile_provider).
//!
//! A file per provider. Objects are merge patches (RFC 7396): a member that is `null` is left out.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::fake_http::Reply;
use crate::hostile_provider::{Client, Endpoint, HostileProvider, Rotation};

/// In what a provider differs from the honest one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedProvider {
    /// What people call it.
    pub name: String,
    /// Where that was read or seen.
    pub source: String,
    /// How clients authenticate there.
    pub client_authentication: ClientAuthenticationMethod,
    /// Of its metadata.
    metadata: Value,
    /// Of its ID tokens.
    id_token: Value,
    /// Of every answer that holds an access token.
    token_response: Value,
    /// Of its userinfo.
    userinfo: Value,
    rotation: RefreshTokens,
    /// Whether a refresh for fewer scopes costs the grant the others.
    #[serde(default)]
    pub narrows: bool,
    dead_refresh_token: Refusal,
}

/// The methods of RFC 6749 section 2.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthenticationMethod {
    /// In the header.
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RefreshTokens {
    Strict,
    Keep,
    Lenient,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    status: u16,
    body: Value,
}

/// Every one, by the name of its file.
const FILES: [(&str, &str); 6] = [
    ("entra", include_str!("scripted_provider/entra.json")),
    ("auth0", include_str!("scripted_provider/auth0.json")),
    ("google", include_str!("scripted_provider/google.json")),
    ("dex", include_str!("scripted_provider/dex.json")),
    ("authlib", include_str!("scripted_provider/authlib.json")),
    ("cognito", include_str!("scripted_provider/cognito.json")),
];

impl ScriptedProvider {
    /// The names of all.
    #[must_use]
    pub fn names() -> [&'static str; FILES.len()] {
        FILES.map(|(name, _)| name)
    }

    /// Reads one.
    pub fn read(name: &str) -> anyhow::Result<Self> {
        let file = FILES.iter().find(|(known, _)| *known == name);
        let (_, text) = file.ok_or_else(|| anyhow::anyhow!("there is no provider {name}"))?;
        Ok(serde_json::from_str(text)?)
    }

    /// Whether it has an endpoint for revocation (RFC 7009).
    #[must_use]
    pub fn revokes(&self) -> bool {
        self.metadata.get("revocation_endpoint") != Some(&Value::Null)
    }

    /// Lets a provider behave so from now on. `secret` is that of the client `hubkey`.
    pub fn play(&self, provider: &HostileProvider, secret: &str) {
        provider.register(match self.client_authentication {
            ClientAuthenticationMethod::ClientSecretBasic => Client::basic("hubkey", secret),
            ClientAuthenticationMethod::ClientSecretPost => Client::post("hubkey", secret),
        });
        provider.grants().rotate(match self.rotation {
            RefreshTokens::Strict => Rotation::Strict,
            RefreshTokens::Keep => Rotation::Keep,
            RefreshTokens::Lenient => Rotation::Lenient,
        });
        if self.narrows {
            provider.grants().narrow();
        }
        let patch = self.metadata.clone();
        provider.metadata(move |document| merge(document, &patch));
        let patch = self.id_token.clone();
        provider.id_tokens(move |draft| merge(&mut draft.claims, &patch));
        let patch = self.userinfo.clone();
        provider.replies(Endpoint::UserInfo, move |reply| {
            reply.edit_json(|claims| merge(claims, &patch));
        });
        let (patch, dead) = (self.token_response.clone(), self.dead_refresh_token.clone());
        provider.replies(Endpoint::Token, move |reply| answer(reply, &patch, &dead));
    }
}

/// What the honest provider answers, as this one would.
fn answer(reply: &mut Reply, patch: &Value, dead: &Refusal) {
    let Ok(mut members) = serde_json::from_slice::<Value>(&reply.body) else {
        return;
    };
    if members.get("access_token").is_some() {
        merge(&mut members, patch);
        reply.body = members.to_string().into();
    } else if members["error"] == "invalid_grant" {
        reply.status = StatusCode::from_u16(dead.status).unwrap_or(StatusCode::BAD_REQUEST);
        reply.body = dead.body.to_string().into();
    }
}

/// A merge patch (RFC 7396 section 2).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (name, value) in members {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ScriptedProvider, merge};

    #[test]
    fn every_file_can_be_read_and_says_where_it_is_from() {
        for name in ScriptedProvider::names() {
            let provider = ScriptedProvider::read(name).unwrap();
            assert!(
                !provider.name.is_empty() && provider.source.len() > 20,
                "{name}"
            );
        }
    }

    #[test]
    fn patches_set_replace_and_remove() {
        let mut target = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1, 2]});
        merge(
            &mut target,
            &json!({"a": null, "b": {"c": null, "x": {"y": 1}}, "e": [3]}),
        );
        assert_eq!(target, json!({"b": {"d": 3, "x": {"y": 1}}, "e": [3]}));
    }
}
