//! A token for another API in exchange for the connection's own (RFC 8693), at a Keycloak with standard token exchange.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use hubkey_e2e::stack::DATA_API;
use hubkey_fakes::kernel_api::KernelApi;
use reqwest::Method;
use serde_json::json;

use crate::support::{CONNECT, Guest, LONG, Outcome, last_line};

const EXCHANGE: &str = r#"import os, httpx
def at(api, holder):
    return httpx.get(os.environ[api] + "/projects", headers=holder.headers).status_code
data = await lab.exchange("data-api")
assert data.token not in repr(data), "a token is shown"
assert "data:read" in data.scopes and "projects:read" not in data.scopes, data.scopes
print([at(api, holder) for holder in (lab, data) for api in ("LAB_API", "DATA_API")])
print(httpx.get(os.environ["DATA_API"] + "/projects", auth=data).status_code)"#;

const AGAIN: &str = r#"again = await lab.exchange("data-api")
print(again.token == data.token if "data" in globals() else again.expires_at is not None)"#;

#[tokio::test]
async fn feature_g1_an_exchanged_token_is_good_at_the_other_api_only_and_is_kept() -> Outcome {
    let (guest, mut kernel, _browser) = Guest::connected().await?;
    let (keycloak, person) = (&guest.stack.keycloak, &guest.person);
    let said = kernel.run(EXCHANGE).await?.ok()?;
    assert_eq!(said.trim(), "[200, 401, 401, 200]\n200");
    assert_eq!(keycloak.exchanges(person).await?, (1, 0));
    assert_eq!(last_line(&kernel.run(AGAIN).await?.ok()?), "True");
    // Another notebook of the same server.
    let mut second = guest.kernel().await?;
    second.run(CONNECT).await?.ok()?;
    assert_eq!(last_line(&second.run(AGAIN).await?.ok()?), "True");
    assert_eq!(keycloak.exchanges(person).await?, (1, 0), "asked once");
    Ok(())
}

/// Each call with how it ended.
const REFUSED: &str = r#"async def tried(audience, scopes=None):
    try:
        return (await lab.exchange(audience, scopes=scopes)).token is not None
    except hubkey.HubkeyError as error:
        return type(error).__name__
print(await tried("hubkey"), await tried("data-api", ["projects:write"]))"#;

/// Keycloak gives neither `lab-api` nor `data-api` without their scopes, and has no client `billing-api`.
const FAILING: &str = r#"for _ in range(3):
    print(await tried("lab-api"), await tried("billing-api"), await tried("data-api", ["email"]), await tried("data-api"))
import httpx, os
print(httpx.get(os.environ["LAB_API"] + "/projects", auth=lab).status_code, bool(await lab.aget_token(min_valid=200)))"#;

#[tokio::test]
async fn feature_f4_security_p80_what_is_not_listed_never_gets_to_keycloak_and_what_it_refuses_harms_nothing()
-> Outcome {
    let (guest, mut kernel, _browser) = Guest::connected().await?;
    let (keycloak, person) = (&guest.stack.keycloak, &guest.person);
    let said = kernel.run(REFUSED).await?.ok()?;
    assert_eq!(said.trim(), "InvalidArgument InvalidArgument");
    assert_eq!(keycloak.exchanges(person).await?, (0, 0));
    let said = kernel.run(FAILING).await?.ok()?;
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        [
            &["AccessRefused AccessRefused AccessRefused True"; 3][..],
            &["200 True"]
        ]
        .concat()
    );
    let (given, refused) = keycloak.exchanges(person).await?;
    assert_eq!(given, 1);
    // Twice where Keycloak's words could also mean that the token was not good any more. A name that it does not know
    // rests for a second only at first.
    assert!((5..=7).contains(&refused), "{refused} refusals of Keycloak");
    Ok(())
}

const SIGN_OUT: &str = r#"await lab.sign_out()
try:
    print(await data.aget_token() is None)
except hubkey.SignInRequired:
    print("ended")"#;

/// The token that the cell got, as any program in the server gets it.
async fn kept(api: &KernelApi) -> anyhow::Result<String> {
    let connections = api.connections().await?;
    let id = connections[0]["id"].as_str().context("no connection")?;
    let path = format!("/v1/connections/{id}/exchange");
    let body = json!({ "audience": DATA_API, "scopes": ["data:read"] });
    let (_, answer) = api.ask(Method::POST, &path, Some(body), &[]).await?;
    let token = answer["access_token"].as_str();
    Ok(token.context("no token")?.to_owned())
}

#[tokio::test]
async fn security_k10_signing_out_ends_the_exchanged_token_at_keycloak() -> Outcome {
    let (guest, mut kernel, _browser) = Guest::connected().await?;
    let keycloak = &guest.stack.keycloak;
    kernel.run(EXCHANGE).await?.ok()?;
    let token = kept(&guest.api()?).await?;
    assert!(keycloak.is_active(DATA_API, &token).await?);
    assert_eq!(last_line(&kernel.run(SIGN_OUT).await?.ok()?), "ended");
    let started = Instant::now();
    // Keycloak is told behind the answer to the notebook, of the exchanged token last.
    loop {
        let active = keycloak.is_active(DATA_API, &token).await?;
        let sessions = keycloak.sessions(&guest.person).await?;
        if !active && sessions == 0 {
            return Ok(());
        }
        assert!(
            started.elapsed() < LONG,
            "good at the other API: {active}; sessions left: {sessions}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
