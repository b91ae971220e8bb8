//! ID tokens that must be refused, and some that look odd and must not be.
//!
//! All but those of P28 and P49 are made for a provider that signs RS256.

use serde_json::{Value, json};

use super::super::{Alg, Draft, Encoding, SigningKey};
use super::{Case, bad, odd, of_row};

/// The cases of one row.
#[must_use]
pub fn of(row: &str) -> Vec<Case<Draft>> {
    let mut cases = of_row(CLAIMS, row);
    cases.extend(of_row(FORM, row));
    cases
}

/// All cases.
#[must_use]
pub fn all() -> Vec<Case<Draft>> {
    [CLAIMS, FORM].concat()
}

const CLAIMS: &[Case<Draft>] = &[
    bad("p21", "another issuer", |t| {
        t.claim("iss", "https://op.evil.example");
    }),
    bad("p21", "a slash at the end of the issuer", |t| {
        let iss = format!("{}/", t.claims["iss"].as_str().unwrap_or_default());
        t.claim("iss", iss);
    }),
    bad("p21", "no issuer", |t| t.without("iss")),
    bad("p22", "another audience", |t| {
        t.claim("aud", "somebody-else");
    }),
    bad("p22", "an empty list of audiences", |t| {
        t.claim("aud", json!([]));
    }),
    bad("p23", "no audience", |t| t.without("aud")),
    bad("p24", "an unknown second audience", |t| {
        let us = t.claims["aud"].clone();
        t.claim("azp", us.clone());
        t.claim("aud", json!([us, "somebody-else"]));
    }),
    odd("p24", "a list of us alone", |t| {
        let us = t.claims["aud"].clone();
        t.claim("aud", json!([us]));
    }),
    bad("p25", "another authorized party", |t| {
        t.claim("azp", "somebody-else");
    }),
    bad("p25", "an authorized party that is a list", |t| {
        let us = t.claims["aud"].clone();
        t.claim("azp", json!([us]));
    }),
    odd(
        "p25",
        "us twice as the audience, and no authorized party",
        |t| {
            let us = t.claims["aud"].clone();
            t.claim("aud", json!([us, us]));
        },
    ),
    odd("p25", "us as the authorized party", |t| {
        let us = t.claims["aud"].clone();
        t.claim("azp", us);
    }),
    bad("p35", "expired an hour ago", |t| t.shift("exp", -3900)),
    bad("p35", "no expiry", |t| t.without("exp")),
    bad("p35", "an expiry that is text", |t| {
        let text = t.claims["exp"].to_string();
        t.claim("exp", text);
    }),
    bad("p35", "a negative expiry", |t| t.claim("exp", -1)),
    odd("p35", "an expiry with a fraction", |t| {
        let exp = t.claims["exp"].as_f64().unwrap_or_default();
        t.claim("exp", exp + 0.5);
    }),
    bad("p36", "no time of issue", |t| t.without("iat")),
    bad("p36", "a time of issue that is text", |t| {
        let text = t.claims["iat"].to_string();
        t.claim("iat", text);
    }),
    bad("p37", "issued an hour from now", |t| t.shift("iat", 3600)),
    bad("p37", "issued an hour ago", |t| t.shift("iat", -3600)),
    odd("p37", "issued twenty seconds from now", |t| {
        t.shift("iat", 20);
    }),
    bad("p38", "not valid for an hour yet", |t| {
        let iat = t.claims["iat"].clone();
        t.claim("nbf", iat);
        t.shift("nbf", 3600);
    }),
    bad("p38", "a not-before that is text", |t| t.claim("nbf", "0")),
    odd("p38", "valid since now", |t| {
        let iat = t.claims["iat"].clone();
        t.claim("nbf", iat);
    }),
    bad("p39", "another nonce", |t| t.claim("nonce", "x".repeat(43))),
    bad("p39", "no nonce", |t| t.without("nonce")),
    bad("p39", "the nonce in a list", |t| {
        let nonce = t.claims["nonce"].clone();
        t.claim("nonce", json!([nonce]));
    }),
    bad("p42", "no subject", |t| t.without("sub")),
    bad("p42", "an empty subject", |t| t.claim("sub", "")),
    bad("p42", "a subject that is a number", |t| t.claim("sub", 7)),
    bad("p42", "a subject of 256 characters", |t| {
        t.claim("sub", "s".repeat(256));
    }),
    bad("p42", "a subject beyond ASCII", |t| {
        t.claim("sub", "al\u{456}ce");
    }),
    odd("p42", "a subject of 255 characters", |t| {
        t.claim("sub", "s".repeat(255));
    }),
    bad("p43", "the hash of another access token", |t| {
        t.claim("at_hash", "A".repeat(22));
    }),
    bad("p43", "a hash that is a number", |t| t.claim("at_hash", 1)),
    odd("p43", "no hash of the access token", |t| {
        t.without("at_hash");
    }),
    bad("p53", "issuers in a list", |t| {
        let iss = t.claims["iss"].clone();
        t.claim("iss", json!(["https://op.evil.example", iss]));
    }),
    bad("p53", "an audience that is a number", |t| {
        t.claim("aud", 123);
    }),
    bad("p53", "an audience that is an object", |t| {
        t.claim("aud", json!({}));
    }),
    bad("p53", "a number among the audiences", |t| {
        let us = t.claims["aud"].clone();
        t.claim("aud", json!([us, 1]));
    }),
    bad("p53", "claims that are a list", |t| {
        t.claims = json!([t.claims]);
    }),
];

const FORM: &[Case<Draft>] = &[
    bad("p26", "a broken RS256 signature", Draft::break_signature),
    bad("p26", "a signature of nothing", |t| {
        t.signature_bytes(Vec::new());
    }),
    bad("p27", "alg none", Draft::unsigned),
    bad("p27", "alg None with a signature", |t| {
        t.head("alg", "None");
    }),
    bad("p28", "a broken ES256 signature", Draft::break_signature),
    bad("p29", "HS256 under a guessed secret", |t| {
        t.sign_hs256(b"secret");
    }),
    bad("p29", "HS512 in the header", |t| t.head("alg", "HS512")),
    odd("p30", "a good RS256 signature", |_| {}),
    bad("p45", "16 MB", |t| t.claim("padding", "x".repeat(16 << 20))),
    bad("p45", "six parts", |t| {
        t.finish(|text| format!("{text}.a.b.c"));
    }),
    bad("p45", "two parts", |t| {
        t.finish(|text| text.rsplit_once('.').map(half).unwrap_or(text));
    }),
    bad("p45", "padded base64", |t| {
        t.encoding = Encoding::Padded;
        pad_until_it_shows(&mut t.claims);
    }),
    bad("p45", "base64 of the other alphabet", |t| {
        t.encoding = Encoding::Standard;
        pad_until_it_shows(&mut t.claims);
    }),
    bad("p45", "the subject twice", |t| {
        t.raw_claims = Some(doubled(&t.claims, "sub", "op-eve"));
    }),
    bad("p45", "the algorithm twice", |t| {
        t.raw_header = Some(doubled(&t.header, "alg", "none"));
    }),
    bad("p45", "a depth of 10,000", |t| {
        t.raw_claims = Some(deep(&t.claims, 10_000));
    }),
    bad("p45", "a depth of 17", |t| {
        t.raw_claims = Some(deep(&t.claims, 17));
    }),
    bad("p45", "bytes that are not UTF-8", |t| {
        let text = t.claims.to_string();
        t.raw_claims = Some([&text.as_bytes()[..text.len() - 1], b",\"x\":\"\xff\"}"].concat());
    }),
    bad("p45", "a second value behind the claims", |t| {
        t.raw_claims = Some(format!("{} {{}}", t.claims).into_bytes());
    }),
    bad("p45", "a line break at the end", |t| {
        t.finish(|text| text + "\n");
    }),
    bad("p46", "five parts, an encrypted token", |t| {
        t.finish(|text| format!("{text}.AAAA.AAAA"));
    }),
    bad(
        "p47",
        "HS256 with the public key",
        Draft::sign_hs256_with_the_public_key,
    ),
    bad("p49", "PS256 by a key that is registered for RS256", |t| {
        t.sign_as(Alg::Ps256);
    }),
    bad("p49", "RSA of 1024 bits that is not published", |t| {
        t.sign_with(&SigningKey::rsa_1024());
    }),
    bad("p50", "a critical extension", |t| {
        t.head("crit", json!(["https://example/ext"]));
        t.head("https://example/ext", true);
    }),
    bad("p50", "an empty list of critical extensions", |t| {
        t.head("crit", json!([]));
    }),
    bad("p50", "the unencoded payload of RFC 7797", |t| {
        t.head("crit", json!(["b64"]));
        t.head("b64", true);
    }),
    bad("p52", "a logout token", |t| t.head("typ", "logout+jwt")),
    bad("p52", "an access token", |t| t.head("typ", "at+jwt")),
    bad("p52", "a type that is a number", |t| t.head("typ", 1)),
    odd("p52", "no type", |t| t.without_head("typ")),
    odd("p52", "the type in lower case", |t| t.head("typ", "jwt")),
    odd("p54", "no key id", |t| t.without_head("kid")),
    bad("p59", "a key id of 1 MB", |t| {
        t.head("kid", "k".repeat(1 << 20));
    }),
    bad("p59", "a key id of 257 characters", |t| {
        t.head("kid", "k".repeat(257));
    }),
    bad("p59", "a key id that is a path", |t| {
        t.head("kid", "../../../../dev/null");
    }),
    bad("p59", "a key id that is a number", |t| t.head("kid", 1)),
    bad("p59", "a key id that is a query", |t| {
        t.head("kid", "' OR 1=1 --");
    }),
];

/// P51: the header points at `url` for keys, and brings one along; the signature is by that key.
pub fn bring_own_key(draft: &mut Draft, key: &SigningKey, url: &str) {
    draft.sign_with(key);
    draft.head("jwk", key.jwk());
    draft.head("jku", format!("{url}/jku"));
    draft.head("x5u", format!("{url}/x5u"));
    draft.head("x5c", json!(["AAAA"]));
}

/// P51: as [`bring_own_key`], but the signature is by the provider's own key: the pointers are ignored.
pub fn point_elsewhere(draft: &mut Draft, url: &str) {
    draft.head("jku", format!("{url}/jku"));
    draft.head("x5u", format!("{url}/x5u"));
}

fn half((message, _): (&str, &str)) -> String {
    message.to_owned()
}

/// Padding shows only where a part's length is not a multiple of three, `+` and `/` only for some bytes.
fn pad_until_it_shows(claims: &mut Value) {
    claims["odd"] = json!("\u{fb}\u{fe}\u{ff}~~~???>>>");
    while claims.to_string().len().is_multiple_of(3) {
        let more = format!("{}x", claims["fill"].as_str().unwrap_or_default());
        claims["fill"] = json!(more);
    }
}

fn doubled(object: &Value, name: &str, first: &str) -> Vec<u8> {
    object
        .to_string()
        .replacen('{', &format!("{{\"{name}\":\"{first}\","), 1)
        .into_bytes()
}

fn deep(object: &Value, depth: usize) -> Vec<u8> {
    let nest = format!("{{\"deep\":{}{},", "[".repeat(depth), "]".repeat(depth));
    object.to_string().replacen('{', &nest, 1).into_bytes()
}
