//! Whose account it is, out of judged claims. A claim of another type than it should have says nothing (ADR 56).

use std::collections::BTreeMap;

use hubkey_protocol::{Account, bounds::Bound};
use serde_json::Value;

use crate::{id_token::text, json::given, jwt::Claims};

/// Longer values serve nobody.
const LONGEST: usize = Bound::AccountLabel.limit();

/// What the protocol needs and nobody else.
const PROTOCOL: [&str; 7] = ["iss", "aud", "azp", "nonce", "at_hash", "c_hash", "jti"];

/// Adds claims of userinfo; what the ID token says stands.
pub(crate) fn complete(claims: &mut Claims, more: Claims) {
    claims.retain(|_, value| !value.is_null());
    // An address and whether it was verified belong together.
    let has_email = claims.contains_key("email") || claims.contains_key("email_verified");
    for (name, value) in more {
        if !(has_email && name.starts_with("email")) {
            claims.entry(name).or_insert(value);
        }
    }
}

/// `sub`, present in every judged ID token.
pub(crate) fn subject(claims: &Claims) -> String {
    text(claims, "sub").unwrap_or_default().to_owned()
}

/// The account as people and kernels see it.
pub(crate) fn account(claims: &Claims) -> Account {
    let is_disowned = given(claims, "email_verified").is_some() && !is_vouched_for(claims);
    let email = text(claims, "email").filter(|_| !is_disowned);
    Account {
        sub: subject(claims),
        name: ["name", "preferred_username"]
            .into_iter()
            .find_map(|name| text(claims, name).and_then(label)),
        email: email.and_then(label),
    }
}

/// Whether the provider says that it verified the address: `true`, or that word as a text, as Amazon Cognito and Apple
/// write it. Nothing else says so.
fn is_vouched_for(claims: &Claims) -> bool {
    match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(verified)) => verified == "true",
        _ => false,
    }
}

/// The claims that are text, for the policy `claim:<name>`. An e-mail address counts only if the provider vouches for
/// it: elsewhere anybody can claim anybody's.
pub(crate) fn texts(claims: &Claims) -> BTreeMap<String, String> {
    let verified = is_vouched_for(claims);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: &Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn security_b8_an_unverified_address_is_no_identity() {
        for says in [json!(true), json!("true")] {
            let vouched = claims(&json!({"email": "a@x", "email_verified": says}));
            assert_eq!(texts(&vouched)["email"], "a@x");
            assert_eq!(account(&vouched).email.as_deref(), Some("a@x"));
        }
        assert!(!texts(&claims(&json!({"email": "a@x"}))).contains_key("email"));
    }

    #[test]
    fn found_b1_what_does_not_plainly_say_verified_disowns_the_address() {
        for odd in [
            json!(false),
            json!("false"),
            json!("True"),
            json!(" true"),
            json!("yes"),
            json!(""),
            json!(1),
            json!([true]),
            json!({"verified": true}),
        ] {
            let disowned = claims(&json!({"email": "a@x", "email_verified": odd}));
            assert!(!texts(&disowned).contains_key("email"), "{odd}");
            assert_eq!(account(&disowned).email, None, "{odd}");
        }
    }

    #[test]
    fn found_b1_a_claim_that_is_null_is_absent() {
        let mut from_token =
            claims(&json!({"sub": "1", "name": null, "email": null, "email_verified": null}));
        let from_userinfo =
            claims(&json!({"sub": "1", "name": "N", "email": "a@x", "email_verified": true}));
        complete(&mut from_token, from_userinfo);
        assert_eq!(account(&from_token).name.as_deref(), Some("N"));
        assert_eq!(texts(&from_token)["email"], "a@x");
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
