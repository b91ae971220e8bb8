//! Key sets that are wrong, or odd and right.

use serde_json::{Value, json};

use super::{Case, bad, odd, of_row};

/// The cases of one row.
#[must_use]
pub fn of(row: &str) -> Vec<Case<Value>> {
    of_row(ALL, row)
}

/// The secret that [`ALL`]'s `oct` key publishes: an HS256 token under it must be refused (P48).
pub const OCT_SECRET: &[u8] = b"published-secret-published-secret";

/// All cases, each for a provider with one RS256 key.
pub const ALL: &[Case<Value>] = &[
    odd("p48", "a symmetric key besides", |set| {
        let key = json!({
            "kty": "oct", "kid": "oct", "alg": "HS256", "use": "sig",
            "k": "cHVibGlzaGVkLXNlY3JldC1wdWJsaXNoZWQtc2VjcmV0",
        });
        push(set, key);
    }),
    bad("p49", "a key registered for PS256", |set| {
        set["keys"][0]["alg"] = json!("PS256");
    }),
    bad("p49", "a key for encryption", |set| {
        set["keys"][0]["use"] = json!("enc");
    }),
    bad("p49", "a key that may not verify", |set| {
        set["keys"][0]["key_ops"] = json!(["encrypt"]);
    }),
    bad("p58", "a private member", |set| {
        set["keys"][0]["d"] = json!("AQAB");
    }),
    bad(
        "p58",
        "a private member in a key that nobody asked for",
        |set| {
            let key =
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": "leak", "x": "AA", "d": "AA" });
            push(set, key);
        },
    ),
    odd(
        "p58",
        "keys of unknown kind, curve and use besides",
        |set| {
            push(
                set,
                json!({ "kty": "AKP", "kid": "pq", "alg": "ML-DSA-44", "pub": "AA" }),
            );
            push(
                set,
                json!({ "kty": "EC", "crv": "secp256k1", "kid": "k1", "x": "AA", "y": "AA" }),
            );
            push(
                set,
                json!({ "kty": "EC", "crv": "P-256", "kid": "e", "x": 1, "use": "enc" }),
            );
        },
    ),
    bad("p59", "no keys", |set| set["keys"] = json!([])),
    bad("p59", "keys that are an object", |set| {
        set["keys"] = json!({});
    }),
    bad("p59", "65 keys", |set| {
        for index in 0..64 {
            let mut key = set["keys"][0].clone();
            key["kid"] = json!(format!("more-{index}"));
            push(set, key);
        }
    }),
    bad("p59", "more than 64 KiB", |set| {
        set["padding"] = json!("x".repeat(70_000));
    }),
];

/// Moves the point of every EC key off its curve (P49).
pub fn off_curve(set: &mut Value) {
    for key in set["keys"].as_array_mut().into_iter().flatten() {
        if key["kty"] == "EC" {
            key["y"] = key["x"].clone();
        }
    }
}

fn push(set: &mut Value, key: Value) {
    if let Some(keys) = set["keys"].as_array_mut() {
        keys.push(key);
    }
}
