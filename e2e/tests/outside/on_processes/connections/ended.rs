//! What is left when a provider changes or ends something, at a Keycloak whose tokens live for ten seconds.

use std::time::{Duration, Instant};

use hubkey_fakes::loopback;

use super::refresh::strict;
use crate::support::{CONNECT, Guest, LONG, Outcome, last_line};

/// A token of the sign-in lives no longer.
const ENDED: Duration = Duration::from_secs(11);

const TYPED: &str = r#"kept = 6 * 7
def tried(use):
    try:
        return use() and "a token"
    except hubkey.SignInRequired as error:
        return f"{type(error).__name__} {bool(error.sign_in_url)}"
print(tried(lambda: lab.token), "/", tried(lambda: lab.headers))
try:
    await lab.aget_token()
except hubkey.SignInRequired:
    print(kept)"#;

#[tokio::test]
async fn feature_f5_need_9_a_grant_that_is_gone_is_told_in_the_cell_and_ends_nothing_else()
-> Outcome {
    let (guest, mut kernel, browser) = Guest::connected_on(strict().await?).await?;
    guest.stack.keycloak.log_out(&guest.person).await?;
    tokio::time::sleep(ENDED).await;
    let said = kernel.run(TYPED).await?.ok()?;
    let wanted = "SignInRequired True / SignInRequired True\n42\n";
    assert!(said.starts_with(wanted), "{said}");
    // The server, this kernel and its variables, and other kernels are as they were.
    let mut second = guest.kernel().await?;
    assert_eq!(last_line(&second.run("print(1)").await?.ok()?), "1");
    guest
        .run_and_sign_in(&mut kernel, &browser, CONNECT)
        .await?;
    let said = kernel.run("print(kept, bool(lab.token))").await?.ok()?;
    assert_eq!(last_line(&said), "42 True");
    Ok(())
}

/// The key that signed the token, and whether the API takes it. An API looks for new keys every few seconds only.
const SIGNED_BY: &str = r#"import base64, httpx, json, os, time
for _ in range(20):
    token = await lab.aget_token(min_valid=2)
    status = httpx.get(os.environ["LAB_API"] + "/projects", headers=lab.headers).status_code
    if status == 200:
        break
    time.sleep(0.5)
print(status, json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"])"#;

#[tokio::test]
async fn feature_g8_need_14_keys_that_keycloak_rotates_while_all_runs_end_nothing_and_sign_new_tokens()
-> Outcome {
    let stack = strict().await?;
    let (guest, mut kernel, _browser) = Guest::connected_on(stack).await?;
    let before = kernel.run(SIGNED_BY).await?.ok()?;
    let uses = stack.keycloak.add_signing_key().await?;
    let signing = uses.iter().filter(|key| *key == "sig").count();
    assert!(signing >= 2 && uses.contains(&"enc".to_owned()), "{uses:?}");
    tokio::time::sleep(ENDED).await;
    let after = kernel.run(SIGNED_BY).await?.ok()?;
    assert!(
        before.starts_with("200 ") && after.starts_with("200 "),
        "{before}{after}"
    );
    assert_ne!(before, after, "the key is the old one");
    // Whose ID token is signed by the new key from the beginning.
    let (_late, mut kernel, _browser) = Guest::connected_on(stack).await?;
    let said = kernel.run(SIGNED_BY).await?.ok()?;
    assert_eq!(said, after);
    assert_eq!(stack.keycloak.refreshes(&guest.person).await?.1, 0);
    Ok(())
}

/// Twenty at once, three times, each time after the token's end.
const TWENTY: &str = r"import asyncio
rounds = []
for _ in range(3):
    await asyncio.sleep(11)
    rounds.append(set(await asyncio.gather(*[lab.aget_token(min_valid=1) for _ in range(20)])))
print([len(tokens) for tokens in rounds], len(set.union(*rounds)))";

#[tokio::test]
async fn feature_f3_twenty_reads_at_the_end_of_a_token_cost_keycloak_one_refresh() -> Outcome {
    let (guest, mut kernel, _browser) = Guest::connected_on(strict().await?).await?;
    kernel.begin(TWENTY).await?;
    let began = Instant::now();
    let said = kernel.finish(LONG).await?.ok()?;
    assert_eq!(last_line(&said), "[1, 1, 1] 3");
    assert!(began.elapsed() >= ENDED * 3);
    let (traded, refused) = guest.stack.keycloak.refreshes(&guest.person).await?;
    // A kernel that looks ahead may have asked for one more.
    assert!((3..=4).contains(&traded), "{traded} refreshes");
    assert_eq!(refused, 0, "a refresh token came twice");
    Ok(())
}

const REFRESH_AND_EXCHANGE: &str =
    r#"print(bool(lab.token), bool((await lab.exchange("data-api")).token))"#;

#[tokio::test]
async fn feature_g14_sign_ins_refreshes_and_exchanges_are_counted_and_timed() -> Outcome {
    let stack = strict().await?;
    let (_guest, mut kernel, _browser) = Guest::connected_on(stack).await?;
    tokio::time::sleep(ENDED).await;
    let said = kernel.run(REFRESH_AND_EXCHANGE).await?.ok()?;
    assert_eq!(last_line(&said), "True True");
    let ops = format!("http://127.0.0.1:{}/metrics", stack.ports.broker_ops);
    let metrics = loopback::client()?.get(ops).send().await?.text().await?;
    let counted = |name: &str, label: &str| {
        metrics
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum::<f64>()
    };
    for (name, label) in [
        ("hubkey_sign_ins_total{", "lab-api"),
        ("hubkey_sign_in_duration_seconds_count", "lab-api"),
        ("hubkey_token_requests_total{", "source=\"refresh\""),
        ("hubkey_token_requests_total{", "source=\"exchange\""),
        ("hubkey_token_refresh_duration_seconds_count", "lab-api"),
    ] {
        assert!(counted(name, label) >= 1.0, "{name} {label}: {metrics}");
    }
    Ok(())
}
