//! How connections end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::stack::LAB_API;
use hubkey_e2e::stack::platform::Platform;
use hubkey_fakes::kernel_api::KernelApi;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{CONNECT, Guest, LONG, Outcome, last_line};

async fn draw(api: &KernelApi, connection: &str) -> anyhow::Result<StatusCode> {
    let path = format!("/v1/connections/{connection}/token");
    let body = json!({ "min_valid_seconds": 0 });
    Ok(api.ask(Method::POST, &path, Some(body), &[]).await?.0)
}

async fn sessions(guest: &Guest) -> anyhow::Result<usize> {
    guest.stack.keycloak.sessions(&guest.person).await
}

/// Waits until Keycloak has forgotten this person's refresh token, and with it the session.
async fn revoked_at_keycloak(guest: &Guest) -> anyhow::Result<bool> {
    let started = Instant::now();
    while started.elapsed() < LONG {
        if sessions(guest).await? == 0 {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

/// A new connection of this server's, by a browser that Keycloak may know already: its id, and its access token.
async fn connect(
    guest: &Guest,
    api: &KernelApi,
    browser: &Browser,
) -> anyhow::Result<(String, String)> {
    let opened = api.open(LAB_API).await?;
    guest.sign_in(browser, &opened.link).await?;
    let (state, answer) = api.result(&opened).await?;
    ensure!(state == "connected", "{state}");
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let id = text(&answer["connection"]["id"]).context("no id")?;
    let token = text(&answer["token"]["access_token"]).context("no token")?;
    Ok((id, token))
}

/// Asks for a token of these scopes only, which takes the refresh token to Keycloak.
async fn refresh(api: &KernelApi, connection: &str, scopes: &[&str]) -> anyhow::Result<StatusCode> {
    let path = format!("/v1/connections/{connection}/token");
    let body = json!({ "scopes": scopes });
    Ok(api.ask(Method::POST, &path, Some(body), &[]).await?.0)
}

/// Waits until Keycloak tells the API that this token is good no more.
async fn forgotten(guest: &Guest, token: &str) -> anyhow::Result<bool> {
    let started = Instant::now();
    while started.elapsed() < LONG {
        if !guest.stack.keycloak.is_active(LAB_API, token).await? {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

#[tokio::test]
async fn security_k10_need_10_the_end_of_one_server_leaves_the_others_of_the_session_alone()
-> Outcome {
    let guest = Guest::new().await?;
    let hub = &guest.stack.hub;
    hub.start_server(guest.name(), "gpu").await?;
    let (first, gpu) = (guest.api()?, guest.api_of("gpu")?);
    let browser = guest.browser().await?;
    let (_, ended) = connect(&guest, &first, &browser).await?;
    let (kept, token) = connect(&guest, &gpu, &browser).await?;
    assert_eq!(sessions(&guest).await?, 1, "one session at Keycloak");

    hub.stop_server(guest.name(), "").await?;
    assert!(
        forgotten(&guest, &ended).await?,
        "its access token is good still"
    );
    assert_eq!(
        refresh(&gpu, &kept, &["openid"]).await?,
        StatusCode::OK,
        "the other server was signed out"
    );
    assert!(guest.stack.keycloak.is_active(LAB_API, &token).await?);
    assert_eq!(sessions(&guest).await?, 1);
    let (refreshed, refused) = guest.stack.keycloak.refreshes(&guest.person).await?;
    assert_eq!((refreshed, refused), (1, 0));

    let path = format!("/v1/connections/{kept}");
    let (status, _) = gpu.ask(Method::DELETE, &path, None, &[]).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(revoked_at_keycloak(&guest).await?, "the grant lives on");
    assert!(forgotten(&guest, &token).await?);
    Ok(())
}

#[tokio::test]
async fn security_k10_need_10_the_connections_of_a_server_end_with_it() -> Outcome {
    let (guest, kernel, _browser) = Guest::connected().await?;
    let api = guest.api()?;
    let connection = api.connections().await?[0]["id"].clone();
    let id = connection.as_str().unwrap_or_default();
    assert_eq!(draw(&api, id).await?, StatusCode::OK);
    assert_eq!(sessions(&guest).await?, 1);
    drop(kernel);
    guest.stack.hub.stop_server(guest.name(), "").await?;
    // The broker remembers for half a minute whose the token was; the connection is gone before that.
    let gone = draw(&api, id).await?;
    assert!(
        [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&gone),
        "{gone}"
    );
    let told = |line: &serde_json::Value| {
        line["event"] == "grant_ended" && line["reason"] == "server_stopped"
    };
    // The audit stream of a container is read by nobody here.
    if Platform::wanted()? == Platform::Processes {
        assert!(guest.audit().iter().any(told), "{:?}", guest.audit());
    }
    assert!(revoked_at_keycloak(&guest).await?, "a token is still good");
    Ok(())
}

#[tokio::test]
async fn feature_g11_need_10_a_person_sees_and_ends_what_notebooks_reach() -> Outcome {
    let (guest, mut kernel, browser) = Guest::connected().await?;
    let listed = kernel
        .run("print(await hubkey.connections())")
        .await?
        .ok()?;
    assert!(listed.contains(&*guest.person.email), "{listed}");
    let address = format!("{}/connections", guest.stack.public_url());
    browser.open(&address).await?;
    let page = browser.await_text("What the notebooks of").await?;
    for part in ["My connections", "Example Lab", &*guest.person.email] {
        assert!(page.contains(part), "no {part} on the page: {page}");
    }
    assert_eq!(sessions(&guest).await?, 1);
    browser.click("button[name=connection]").await?;
    let page = browser.await_text("Ended:").await?;
    assert!(page.contains("can reach nothing"), "{page}");
    assert!(revoked_at_keycloak(&guest).await?, "a token is still good");
    assert!(guest.api()?.connections().await?.is_empty());
    let left = kernel.run("print(len(await hubkey.connections()))").await?;
    assert_eq!(left.ok()?.trim(), "0");
    Ok(())
}

const SIGN_OUT: &str = r#"def ends(use):
    try:
        use()
    except hubkey.SignInRequired:
        return True
await lab.sign_out()
print(ends(lambda: lab.token), ends(lambda: lab.headers), len(await hubkey.connections()))
try:
    await hubkey.connect("lab-api", interactive=False)
except hubkey.SignInRequired:
    print("a new grant")"#;

#[tokio::test]
async fn feature_e6_feature_g7_signing_out_in_python_clears_kernel_broker_and_provider() -> Outcome
{
    let (guest, mut kernel, browser) = Guest::connected().await?;
    let api = guest.api()?;
    let id = api.connections().await?[0]["id"].clone();
    let id = id.as_str().unwrap_or_default();
    assert_eq!(draw(&api, id).await?, StatusCode::OK);
    let said = kernel.run(SIGN_OUT).await?.ok()?;
    assert_eq!(said.trim(), "True True 0\na new grant");
    assert_eq!(draw(&api, id).await?, StatusCode::NOT_FOUND);
    assert!(revoked_at_keycloak(&guest).await?, "a token is still good");
    guest
        .run_and_sign_in(&mut kernel, &browser, CONNECT)
        .await?;
    let said = kernel.run("print(bool(lab.token))").await?.ok()?;
    assert_eq!(last_line(&said), "True");
    Ok(())
}
