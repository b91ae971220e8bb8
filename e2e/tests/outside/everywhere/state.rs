//! What a kernel can be told about its connection.

use crate::support::{Guest, Outcome, last_line};

const USERINFO: &str = r#"who = lab.userinfo()
assert (who["sub"], who["email"]) == (lab.account.sub, lab.account.email), who
print(who["name"])"#;

const STATUS: &str = r#"def secret(text):
    return any(part in text for part in lab.token.split("."))
now = lab.status()
assert now.provider == "lab-api" and now.display_name == "Example Lab", now
assert now.account == lab.account and now.scopes == lab.scopes, now
assert now.expires_at == now.broker_expires_at == lab.expires_at, now
for shown in repr(now), str(now):
    assert lab.account.email in shown and "projects:read" in shown and "until" in shown, shown
    assert not secret(shown), "a token is shown"
print(now.broker)"#;

const INSPECT: &str = r#"seen = lab.inspect()
assert seen.header["alg"] == "RS256" and seen.claims["sub"] == lab.account.sub, seen
# The broker counts from when it asked, which was before the provider answered.
assert 0 <= seen.claims["exp"] - lab.expires_at.timestamp() <= 30, seen
assert "NOT verified" in repr(seen) and not secret(repr(seen)), "a token is shown"
print(seen.is_jwt)"#;

#[tokio::test]
async fn feature_k3_feature_k12_feature_e4_userinfo_status_and_inspect_tell_all_but_the_token()
-> Outcome {
    let (guest, mut kernel, _browser) = Guest::connected().await?;
    let name = kernel.run(USERINFO).await?.ok()?;
    assert_eq!(last_line(&name), format!("Test {}", guest.name()));
    assert_eq!(last_line(&kernel.run(STATUS).await?.ok()?), "connected");
    assert_eq!(last_line(&kernel.run(INSPECT).await?.ok()?), "True");
    Ok(())
}
