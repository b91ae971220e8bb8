//! Answers of the token endpoint whose JSON is wrong, or odd and right.

use serde_json::{Value, json};

use super::{Case, bad, odd, of_row};

/// The cases of one row.
#[must_use]
pub fn of(row: &str) -> Vec<Case<Value>> {
    of_row(ALL, row)
}

/// All cases.
pub const ALL: &[Case<Value>] = &[
    odd("p4", "a narrower scope", |a| a["scope"] = json!("openid")),
    odd("p4", "no word about the scope", |a| remove(a, "scope")),
    odd("p4", "a broader scope", |a| {
        a["scope"] = json!("openid read admin");
    }),
    bad("p4", "a scope that is a list", |a| {
        a["scope"] = json!(["openid"]);
    }),
    odd("p7", "the type in upper case", |a| {
        a["token_type"] = json!("BEARER");
    }),
    odd("p7", "the type in lower case", |a| {
        a["token_type"] = json!("bearer");
    }),
    bad("p7", "no type", |a| remove(a, "token_type")),
    bad("p7", "an unknown type", |a| a["token_type"] = json!("mac")),
    bad("p7", "a type that is a number", |a| {
        a["token_type"] = json!(1);
    }),
    odd("p7", "a lifetime in text", |a| {
        a["expires_in"] = json!("3600");
    }),
    odd("p7", "no lifetime", |a| remove(a, "expires_in")),
    odd("p7", "a negative lifetime", |a| a["expires_in"] = json!(-1)),
    odd("p7", "a lifetime without end", |a| {
        a["expires_in"] = json!(1e300);
    }),
    odd("p7", "a lifetime of null", |a| {
        a["expires_in"] = json!(null);
    }),
    odd("p7", "unknown members", |a| {
        a["session_state"] = json!({ "x": [1] });
    }),
    bad("p7", "no access token", |a| remove(a, "access_token")),
    bad("p7", "an empty access token", |a| {
        a["access_token"] = json!("");
    }),
    bad("p7", "an access token that is a number", |a| {
        a["access_token"] = json!(1);
    }),
    bad("p7", "an access token with a line break", |a| {
        a["access_token"] = json!("a\r\nb: c");
    }),
    bad("p7", "no ID token", |a| remove(a, "id_token")),
    bad("p7", "an ID token that is an object", |a| {
        a["id_token"] = json!({});
    }),
];

fn remove(answer: &mut Value, name: &str) {
    if let Some(answer) = answer.as_object_mut() {
        answer.remove(name);
    }
}
