//! Whose account it is, out of judged claims.

use std::collections::BTreeMap;

use hubkey_protocol::Account;
use serde_json::Value;

use super::jwt::Claims;

/// Longer values serve nobody.
const LONGEST: usize = 255;

/// What the protocol needs and nobody else.
const PROTOCOL: [&str; 7] = ["iss", "aud", "azp", "nonce", "at_hash", "c_hash", "jti"];

/// Adds claims of userinfo; what the ID token says stands.
pub(super) fn complete(claims: &mut Claims, more: Claims) {
    // An address and whether it was verified belong together.
    let has_email = claims.contains_key("email") || claims.contains_key("email_verified");
    for (name, value) in more {
        if !(has_email && name.starts_with("email")) {
            claims.entry(name).or_insert(value);
        }
    }
}

/// `sub`, present in every judged ID token.
pub(super) fn subject(claims: &Claims) -> String {
    text(claims, "sub").unwrap_or_default().to_owned()
}

/// The account as people and kernels see it.
pub(super) fn account(claims: &Claims) -> Account {
    let disowned = claims.get("email_verified") == Some(&Value::Bool(false));
    let email = text(claims, "email").filter(|_| !disowned);
    Account {
        sub: subject(claims),
        name: ["name", "preferred_username"]
            .into_iter()
            .find_map(|name| text(claims, name).and_then(label)),
        email: email.and_then(label),
    }
}

/// The claims that are text, for the policy `claim:<name>`. An e-mail address counts only if the provider vouches for
/// it: elsewhere anybody can claim anybody's.
pub(super) fn texts(claims: &Claims) -> BTreeMap<String, String> {
    let verified = claims.get("email_verified") == Some(&Value::Bool(true));
    claims
        .iter()
        .filter(|(name, _)| !PROTOCOL.contains(&name.as_str()))
        .filter(|(name, _)| verified || *name != "email")
        .filter_map(|(name, value)| Some((name, value.as_str()?)))
        .filter(|(_, value)| value.len() <= LONGEST)
        .map(|(name, value)| (name.clone(), value.to_owned()))
        .collect()
}

/// A text for people: short, and without characters that steer a terminal or the direction of writing.
fn label(text: &str) -> Option<String> {
    let steers = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let label: String = text
        .chars()
        .filter(|character| !steers(*character))
        .take(LONGEST)
        .collect();
    let label = label.trim();
    (!label.is_empty()).then(|| label.to_owned())
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: &Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn security_b8_an_unverified_address_is_no_identity() {
        let vouched = claims(&json!({"email": "a@x", "email_verified": true}));
        assert_eq!(texts(&vouched)["email"], "a@x");
        for rest in [
            json!({}),
            json!({"email_verified": false}),
            json!({"email_verified": "true"}),
        ] {
            let mut unvouched = claims(&rest);
            unvouched.insert("email".into(), "a@x".into());
            assert!(!texts(&unvouched).contains_key("email"));
        }
    }

    #[test]
    fn an_address_of_one_document_is_not_vouched_for_by_the_other() {
        let mut from_token = claims(&json!({"sub": "1", "email": "victim@x"}));
        let from_userinfo = claims(&json!({"sub": "1", "email": "own@x", "email_verified": true}));
        complete(&mut from_token, from_userinfo);
        assert!(!texts(&from_token).contains_key("email"));
    }

    #[test]
    fn security_o10_labels_steer_nothing() {
        let hostile = claims(
            &json!({"sub": "1", "name": format!("\u{202e}ecila\r\n\u{1b}[2J{}", "x".repeat(70_000))}),
        );
        let name = account(&hostile).name.unwrap();
        assert!(name.starts_with("ecila[2Jx"));
        assert_eq!(name.chars().count(), LONGEST);
    }
}
