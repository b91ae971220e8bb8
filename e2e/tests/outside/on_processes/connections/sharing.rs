//! What one server of a person connected, in the person's other servers: with the real hub and the real Keycloak.

use anyhow::{Context as _, ensure};
use http::{Method, StatusCode};
use hubkey_e2e::real::kernel::Kernel;
use hubkey_e2e::stack::LAB_API;
use hubkey_fakes::kernel_api::KernelApi;
use serde_json::{Value, json};

use crate::support::{Guest, LONG, Outcome, SHARED, last_line};

/// No link, no click: the connection is there, or the cell ends with an error.
const CONNECT_SHARED: &str = r#"import hubkey
shared = await hubkey.connect("shared", timeout=30)
print(shared.account, len(shared.token) > 100)"#;

/// What `POST /v1/sign-ins` says to a server that asks for a connection which is there already.
async fn existing(api: &KernelApi, provider: &str) -> anyhow::Result<(StatusCode, Value)> {
    let wish = json!({ "provider": provider, "interactive": false });
    api.ask(Method::POST, "/v1/sign-ins", Some(wish), &[]).await
}

async fn draw(api: &KernelApi, connection: &str) -> anyhow::Result<StatusCode> {
    let path = format!("/v1/connections/{connection}/token");
    let body = json!({ "min_valid_seconds": 0 });
    Ok(api.ask(Method::POST, &path, Some(body), &[]).await?.0)
}

/// A person signs in at a provider, for this server; gives the connection's id.
async fn connected(
    guest: &Guest,
    api: &KernelApi,
    browser: &hubkey_e2e::real::browser::Browser,
    provider: &str,
) -> anyhow::Result<String> {
    let opened = api.open(provider).await?;
    guest.sign_in(browser, &opened.link).await?;
    let (state, answer) = api.result(&opened).await?;
    ensure!(state == "connected", "{state}");
    let id = answer["connection"]["id"].as_str().context("no id")?;
    Ok(id.to_owned())
}

#[tokio::test]
async fn feature_a14_a_named_server_of_the_real_hub_needs_no_click_where_the_operator_says_so()
-> Outcome {
    let guest = Guest::new().await?;
    let hub = &guest.stack.hub;
    let (first, browser) = (guest.api()?, guest.browser().await?);
    let shared = connected(&guest, &first, &browser, SHARED).await?;
    let own = connected(&guest, &first, &browser, LAB_API).await?;
    drop(browser);
    hub.start_server(guest.name(), "gpu").await?;
    let gpu = guest.api_of("gpu")?;

    // By default a connection is of one server.
    let (status, answer) = existing(&gpu, LAB_API).await?;
    assert_eq!(
        (status, &answer["code"]),
        (StatusCode::CONFLICT, &json!("sign_in_required"))
    );
    assert_eq!(draw(&gpu, &own).await?, StatusCode::NOT_FOUND);

    // Nobody has a browser open any more.
    let mut kernel = Kernel::start(hub, guest.name(), "gpu").await?;
    kernel.begin(CONNECT_SHARED).await?;
    let said = kernel.finish(LONG).await?.ok()?;
    assert!(said.contains(&*guest.person.email), "{said}");
    assert!(last_line(&said).ends_with("True"), "{said}");
    assert_eq!(draw(&gpu, &shared).await?, StatusCode::OK);

    // Another person has none of it, not even with its id.
    let other = Guest::new().await?;
    let stranger = other.api()?;
    for provider in [SHARED, LAB_API] {
        let (_, answer) = existing(&stranger, provider).await?;
        assert_eq!(answer["code"], "sign_in_required", "{provider}");
    }
    assert_eq!(draw(&stranger, &shared).await?, StatusCode::NOT_FOUND);
    assert!(stranger.connections().await?.is_empty());

    // It goes on without the server that made it, and the default one does not.
    drop(kernel);
    hub.stop_server(guest.name(), "").await?;
    assert_eq!(draw(&gpu, &shared).await?, StatusCode::OK);
    let listed = gpu.connections().await?;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["id"], *shared);
    Ok(())
}
