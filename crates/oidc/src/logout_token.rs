//! The rules for a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.6). Another judge than that of ID
//! tokens: neither passes for the other (RFC 8725 section 3.12).

use std::time::Duration;

use hubkey_protocol::provider_rules::ProviderRule;
use serde_json::Value;

use crate::{
    Logout,
    id_token::{self, Expected, instant, is_subject, seconds},
    json::given,
    jwt::Claims,
};

/// The `typ` of its header, where there is one.
pub(crate) const TYPE: &str = "logout+jwt";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How far `iat` may be from now, beside the skew.
const WINDOW: Duration = Duration::from_mins(5);
/// No token is remembered for longer, however late it says to end.
const LONGEST: Duration = Duration::from_hours(1);

/// Judges the claims of a logout token whose signature was checked.
pub(crate) fn judge(claims: &Claims, expected: &Expected<'_>) -> Result<Logout, ProviderRule> {
    id_token::issuer(claims, expected).map_err(of_logout_tokens)?;
    id_token::audience(claims, expected).map_err(of_logout_tokens)?;
    id_token::expiry(claims, expected).map_err(of_logout_tokens)?;
    issued_lately(claims, expected)?;
    event(claims)?;
    // One that has it may be an ID token (section 2.4).
    if claims.contains_key("nonce") {
        return Err(ProviderRule::LogoutTokenNonce);
    }
    let of_whom = |name| text(claims, name, ProviderRule::LogoutTokenSubject);
    let (subject, session) = (of_whom("sub")?, of_whom("sid")?);
    if subject.is_none() && session.is_none() {
        return Err(ProviderRule::LogoutTokenSubject);
    }
    let token_id = text(claims, "jti", ProviderRule::LogoutTokenId)?;
    let token_id = token_id.ok_or(ProviderRule::LogoutTokenId)?;
    Ok(Logout {
        issuer: expected.issuer.to_owned(),
        subject,
        session,
        algorithm: None,
        token_id,
        remember: remember(claims, expected),
    })
}

/// What a rule that ID tokens have too is called here.
pub(crate) fn of_logout_tokens(rule: ProviderRule) -> ProviderRule {
    match rule {
        ProviderRule::IdTokenIssuer => ProviderRule::LogoutTokenIssuer,
        ProviderRule::IdTokenAudience => ProviderRule::LogoutTokenAudience,
        ProviderRule::IdTokenExpiry => ProviderRule::LogoutTokenExpiry,
        ProviderRule::IdTokenType => ProviderRule::LogoutTokenType,
        ProviderRule::IdTokenAlgorithm | ProviderRule::IdTokenAlgorithmUnknown => {
            ProviderRule::LogoutTokenAlgorithm
        }
        _ => ProviderRule::LogoutTokenForm,
    }
}

fn issued_lately(claims: &Claims, expected: &Expected<'_>) -> Result<(), ProviderRule> {
    let wrong = ProviderRule::LogoutTokenIssuedAt;
    let issued = instant(claims, "iat").ok_or(wrong)?;
    let off = (seconds(expected.now) - issued).abs();
    (off <= (WINDOW + expected.skew).as_secs_f64())
        .then_some(())
        .ok_or(wrong)
}

/// Only the one member counts; others may be of any type.
fn event(claims: &Claims) -> Result<(), ProviderRule> {
    let member = claims.get("events").and_then(|events| events.get(EVENT));
    member
        .is_some_and(Value::is_object)
        .then_some(())
        .ok_or(ProviderRule::LogoutTokenEvents)
}

/// Absent, or a text as a subject may be: whose sessions end, and that the token comes once, hang on these.
fn text(claims: &Claims, name: &str, rule: ProviderRule) -> Result<Option<String>, ProviderRule> {
    match given(claims, name) {
        None => Ok(None),
        Some(Value::String(text)) if is_subject(text) => Ok(Some(text.clone())),
        Some(_) => Err(rule),
    }
}

/// Until its end, and until its `iat` is too old: whichever comes first.
fn remember(claims: &Claims, expected: &Expected<'_>) -> Duration {
    let until = |name: &str, more: Duration| {
        let at = instant(claims, name).unwrap_or_default() + more.as_secs_f64();
        Duration::try_from_secs_f64(at - seconds(expected.now)).unwrap_or_default()
    };
    let margin = Duration::from_secs(1);
    let ends = until("exp", expected.skew).min(until("iat", WINDOW + expected.skew));
    (ends + margin).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use hubkey_domain::clock::Timestamp;
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn claims() -> Value {
        json!({
            "iss": "https://op.example",
            "aud": "hubkey",
            "iat": NOW,
            "exp": NOW + 120,
            "jti": "j",
            "sub": "alice",
            "sid": "s",
            "events": { EVENT: {}, "revoke_offline_access": true },
        })
    }

    fn judged(change: impl FnOnce(&mut Value)) -> Result<Logout, ProviderRule> {
        let mut claims = claims();
        change(&mut claims);
        let expected = Expected {
            issuer: "https://op.example",
            client_id: "hubkey",
            additional_audiences: &[],
            now: Timestamp::from_millis(NOW * 1000),
            skew: Duration::from_mins(1),
        };
        judge(claims.as_object().unwrap(), &expected)
    }

    fn without(name: &str) -> Result<Logout, ProviderRule> {
        judged(|claims| {
            claims.as_object_mut().unwrap().remove(name);
        })
    }

    #[test]
    fn security_p90_an_honest_token_names_a_session_or_an_account() {
        let both = judged(|_| ()).unwrap();
        assert_eq!(both.subject.as_deref(), Some("alice"));
        assert_eq!(both.session.as_deref(), Some("s"));
        assert_eq!(both.remember, Duration::from_secs(181));
        assert!(without("sid").unwrap().session.is_none());
        assert!(without("sub").unwrap().subject.is_none());
    }

    #[test]
    fn found_b1_what_nobody_reads_of_a_logout_token_is_of_any_type() {
        for odd in [
            Value::Null,
            json!(1),
            json!("x"),
            json!([{}]),
            json!({"a": []}),
        ] {
            let judged = judged(|claims| {
                for name in [
                    "email",
                    "email_verified",
                    "amr",
                    "auth_time",
                    "acr",
                    "azp",
                    "updated_at",
                ] {
                    claims[name] = odd.clone();
                }
                claims["sid"] = Value::Null;
            });
            assert_eq!(judged.unwrap().session, None, "{odd}");
        }
    }

    #[test]
    fn security_p92_p94_p95_p96_p97_each_rule_refuses_by_itself() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 17] = [
            (
                |c| c["iss"] = json!("https://op.example/"),
                "logout_token_iss",
            ),
            (
                |c| c["iss"] = json!(["https://op.example"]),
                "logout_token_iss",
            ),
            (|c| c["aud"] = json!("other"), "logout_token_aud"),
            (
                |c| c["aud"] = json!(["hubkey", "other"]),
                "logout_token_aud",
            ),
            (|c| c["exp"] = json!(NOW - 61), "logout_token_exp"),
            (|c| c["exp"] = json!("soon"), "logout_token_exp"),
            (|c| c["iat"] = json!(NOW - 361), "logout_token_iat"),
            (|c| c["iat"] = json!(NOW + 361), "logout_token_iat"),
            (|c| c["events"] = json!({}), "logout_token_events"),
            (|c| c["events"] = json!(EVENT), "logout_token_events"),
            (|c| c["events"] = json!([EVENT]), "logout_token_events"),
            (
                |c| c["events"] = json!({ EVENT: true }),
                "logout_token_events",
            ),
            (|c| c["nonce"] = json!("n"), "logout_token_nonce"),
            (|c| c["nonce"] = Value::Null, "logout_token_nonce"),
            (|c| c["sub"] = json!(7), "logout_token_sub"),
            (|c| c["sid"] = json!(""), "logout_token_sub"),
            (|c| c["jti"] = json!("x".repeat(300)), "logout_token_jti"),
        ];
        for (change, word) in cases {
            assert_eq!(judged(change).map_err(ProviderRule::name), Err(word));
        }
    }

    #[test]
    fn security_p92_p97_what_has_to_be_there_has_to_be_there() {
        for (name, word) in [
            ("iss", "logout_token_iss"),
            ("aud", "logout_token_aud"),
            ("exp", "logout_token_exp"),
            ("iat", "logout_token_iat"),
            ("events", "logout_token_events"),
            ("jti", "logout_token_jti"),
        ] {
            assert_eq!(
                without(name).map_err(ProviderRule::name),
                Err(word),
                "{name}"
            );
        }
        let nobody = judged(|claims| {
            let claims = claims.as_object_mut().unwrap();
            claims.remove("sub");
            claims.remove("sid");
        });
        assert_eq!(nobody, Err(ProviderRule::LogoutTokenSubject));
    }
}
