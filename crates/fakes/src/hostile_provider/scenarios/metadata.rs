//! Discovery documents that are wrong.

use serde_json::{Value, json};

use super::{Case, bad, odd, of_row};

/// The cases of one row.
#[must_use]
pub fn of(row: &str) -> Vec<Case<Value>> {
    of_row(ALL, row)
}

/// All cases.
pub const ALL: &[Case<Value>] = &[
    odd("p2", "an authorize endpoint with a query", |m| {
        let url = m["authorization_endpoint"].as_str().unwrap_or_default();
        m["authorization_endpoint"] = json!(format!("{url}?tenant=a%20b"));
    }),
    bad("p2", "an authorize endpoint with a fragment", |m| {
        let url = m["authorization_endpoint"].as_str().unwrap_or_default();
        m["authorization_endpoint"] = json!(format!("{url}#here"));
    }),
    bad("p17", "PKCE without S256", |m| {
        m["code_challenge_methods_supported"] = json!(["plain"]);
    }),
    odd("p17", "no word about PKCE", |m| {
        remove(m, "code_challenge_methods_supported");
    }),
    bad("p70", "another issuer", |m| {
        m["issuer"] = json!("https://op.evil.example");
    }),
    bad("p70", "a slash at the end of the issuer", |m| {
        m["issuer"] = json!(format!("{}/", m["issuer"].as_str().unwrap_or_default()));
    }),
    bad("p70", "no issuer", |m| remove(m, "issuer")),
    bad("p70", "issuers in a list", |m| {
        m["issuer"] = json!([m["issuer"]]);
    }),
    bad("p71", "a token endpoint at the metadata address", |m| {
        m["token_endpoint"] = json!("http://169.254.169.254/latest/api/token");
    }),
    bad("p71", "a token endpoint at the Hub", |m| {
        m["token_endpoint"] = json!("https://hub:8081/hub/api");
    }),
    bad("p71", "a token endpoint at a decimal address", |m| {
        move_to(m, "2130706434");
    }),
    bad("p71", "a token endpoint at an octal address", |m| {
        move_to(m, "0177.0.0.2");
    }),
    bad("p71", "a token endpoint at a mapped address", |m| {
        move_to(m, "[::ffff:127.0.0.2]");
    }),
    bad("p71", "a token endpoint in the link-local range", |m| {
        move_to(m, "[fe80::1]");
    }),
    bad("p71", "a token endpoint in a file", |m| {
        m["token_endpoint"] = json!("file:///etc/passwd");
    }),
    bad("p71", "a token endpoint with a password", |m| {
        let url = m["token_endpoint"].as_str().unwrap_or_default();
        m["token_endpoint"] = json!(url.replacen("://", "://user:pass@", 1));
    }),
    bad("p71", "a token endpoint that is a number", |m| {
        m["token_endpoint"] = json!(1);
    }),
    bad("p71", "no token endpoint", |m| remove(m, "token_endpoint")),
    bad("p74", "userinfo at another host", |m| {
        m["userinfo_endpoint"] = json!("http://userinfo.example/userinfo");
    }),
    bad("p75", "more than 256 KiB", |m| {
        m["padding"] = json!("x".repeat(300_000));
    }),
];

/// The token endpoint at another host, port and path as before.
fn move_to(metadata: &mut Value, host: &str) {
    let url = metadata["token_endpoint"].as_str().unwrap_or_default();
    metadata["token_endpoint"] = json!(url.replacen("127.0.0.1", host, 1));
}

fn remove(metadata: &mut Value, name: &str) {
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove(name);
    }
}
