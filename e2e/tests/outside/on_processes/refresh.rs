//! Tokens that stay valid, at a Keycloak whose tokens live for ten seconds and whose refresh tokens are good once.

use std::time::Duration;

use hubkey_e2e::stack::{Stack, StackOptions};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::support::{CONNECT, Guest, Outcome, built, last_line};

static STRICT: OnceCell<Stack> = OnceCell::const_new();

/// A stack of its own: the realm's rules are for all clients.
async fn strict() -> anyhow::Result<&'static Stack> {
    let starting = async || {
        let (programs, packages) = built().await?;
        let options = StackOptions::default();
        let stack = Stack::start_built("refresh", options, programs, packages).await?;
        let rules = json!({
            "accessTokenLifespan": 10,
            "revokeRefreshToken": true,
            "refreshTokenMaxReuse": 0,
        });
        stack.keycloak.change_realm(&rules).await?;
        anyhow::Ok(stack)
    };
    STRICT.get_or_try_init(starting).await
}

/// Every half second, in a kernel whose browser is gone: the token is valid, and the API takes it.
const LOOP: &str = r#"import base64, httpx, json, os, time
seen, begin = set(), time.monotonic()
while time.monotonic() - begin < 45:
    token = lab.token
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["exp"] > time.time(), "an ended token"
    assert lab.expires_at.timestamp() > time.time()
    answer = httpx.get(os.environ["LAB_API"] + "/projects", auth=lab)
    assert answer.status_code == 200, answer.status_code
    seen.add(claims["jti"])
    time.sleep(0.5)
print(len(seen))"#;

const AWAITED: &str = r#"fresh = await lab.aget_token(min_valid=8)
claims = json.loads(base64.urlsafe_b64decode(fresh.split(".")[1] + "=="))
assert claims["exp"] >= time.time() + 7, claims["exp"] - time.time()
try:
    await lab.aget_token(min_valid=60)
except hubkey.InvalidArgument as error:
    print(error.reason)"#;

#[tokio::test]
async fn feature_f1_feature_f6_need_1_ten_second_tokens_stay_valid_without_a_browser() -> Outcome {
    let guest = Guest::on(strict().await?).await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    guest
        .run_and_sign_in(&mut kernel, &browser, CONNECT)
        .await?;
    drop(browser);
    kernel.begin(LOOP).await?;
    let output = kernel.finish(Duration::from_mins(2)).await?.ok()?;
    let tokens: usize = last_line(&output).parse()?;
    assert!((4..=12).contains(&tokens), "{tokens} tokens in 45 seconds");
    let said = kernel.run(AWAITED).await?.ok()?;
    assert!(said.contains("longer than 9 seconds"), "{said}");
    let (traded, refused) = guest.stack.keycloak.refreshes(&guest.person).await?;
    assert_eq!(refused, 0, "a refresh token came twice");
    assert!(traded + 1 >= tokens, "{traded} refreshes, {tokens} tokens");
    Ok(())
}
