//! A name of the real hub is given to somebody else: by a rename, and after a user was deleted.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use http::{Method, StatusCode};
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::stack::LAB_API;
use hubkey_fakes::kernel_api::KernelApi;
use serde_json::{Value, json};

use crate::support::{Guest, MESSAGE_LOST, Outcome, SHARED};

/// The code with which a program gets a connection that is there already, or not.
async fn existing(api: &KernelApi, provider: &str) -> anyhow::Result<Value> {
    let wish = json!({ "provider": provider, "interactive": false });
    let (_, answer) = api
        .ask(Method::POST, "/v1/sign-ins", Some(wish), &[])
        .await?;
    Ok(answer["code"].clone())
}

async fn draw(api: &KernelApi, connection: &str) -> anyhow::Result<StatusCode> {
    let path = format!("/v1/connections/{connection}/token");
    let body = json!({ "min_valid_seconds": 0 });
    Ok(api.ask(Method::POST, &path, Some(body), &[]).await?.0)
}

/// Connects the default server at both providers: one whose connections servers share, and one whose are of one server.
async fn connect(guest: &Guest, browser: &Browser) -> anyhow::Result<(KernelApi, Vec<String>)> {
    let api = guest.api()?;
    for provider in [SHARED, LAB_API] {
        let opened = api.open(provider).await?;
        guest.sign_in(browser, &opened.link).await?;
        let (state, _) = api.result(&opened).await?;
        ensure!(state == "connected", "{state}");
    }
    let listed = api.connections().await?;
    let ids = listed.iter().filter_map(|one| one["id"].as_str());
    Ok((api, ids.map(str::to_owned).collect()))
}

/// Nothing of the former's reaches this server, or the page of this browser, without a person who signs in.
async fn has_nothing(guest: &Guest, server: &str, formers: &[String]) -> Outcome {
    let api = guest.api_of(server)?;
    for provider in [SHARED, LAB_API] {
        ensure!(
            existing(&api, provider).await? == "sign_in_required",
            "{provider}"
        );
    }
    ensure!(api.connections().await?.is_empty());
    for id in formers {
        ensure!(draw(&api, id).await? == StatusCode::NOT_FOUND);
    }
    let browser = guest.other_browser().await?;
    let page = format!("{}/connections", guest.stack.public_url());
    browser.open(&page).await?;
    browser.fill_hub_form(guest.name()).await?;
    let text = browser.await_text("My connections").await?;
    ensure!(!text.contains(&*guest.person.email), "{text}");
    Ok(())
}

/// Whether the connections of this person ended with their server, within seconds.
async fn ended(guest: &Guest) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        let of_it =
            |line: &&Value| line["event"] == "grant_ended" && line["reason"] == "server_stopped";
        if guest.audit().iter().filter(of_it).count() == 2 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test]
async fn found_e1_a_user_of_a_real_hub_made_anew_gets_nothing_of_who_had_the_name() -> Outcome {
    let guest = Guest::new().await?;
    let hub = &guest.stack.hub;
    let (former, ids) = connect(&guest, &guest.browser().await?).await?;
    assert_eq!(ids.len(), 2);
    // The Hub's message does not arrive.
    let lost: PathBuf = hub.home(guest.name()).join(MESSAGE_LOST);
    std::fs::write(&lost, "")?;
    let user = format!("/users/{}", guest.name());
    hub.api(Method::DELETE, &user, None).await?;
    std::fs::remove_file(&lost)?;
    assert!(!guest.audited("grant_ended"));

    hub.start_server(guest.name(), "").await?;
    has_nothing(&guest, "", &ids).await?;
    // The dead token of the former opens nothing, whatever the broker remembers.
    assert_eq!(existing(&former, SHARED).await?, "invalid_token");

    // The account is the former's until the new person says on the page that it is theirs.
    let browser = guest.other_browser().await?;
    let api = guest.api()?;
    let opened = api.open(SHARED).await?;
    let met = guest.sign_in(&browser, &opened.link).await?;
    assert!(
        met.contains(&hubkey_e2e::real::sign_in::Page::Confirm),
        "{met:?}"
    );
    assert_eq!(api.result(&opened).await?.0, "connected");
    assert_eq!(api.connections().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn found_e1_the_server_of_a_renamed_user_of_a_real_hub_ends_with_what_it_has() -> Outcome {
    let guest = Guest::new().await?;
    let hub = &guest.stack.hub;
    let (former, ids) = connect(&guest, &guest.browser().await?).await?;
    let renamed = format!("{}-renamed", guest.name());
    let user = format!("/users/{}", guest.name());
    hub.api(Method::PATCH, &user, Some(json!({ "name": renamed })))
        .await?;
    // Their server runs; its token is no server's any more, and the answer says what to do.
    assert_eq!(existing(&former, SHARED).await?, "not_a_server_token");

    // Somebody else gets the name, and uses it.
    hub.start_server(guest.name(), "next").await?;
    has_nothing(&guest, "next", &ids).await?;

    assert!(!guest.audited("grant_ended"));
    hub.stop_server(&renamed, "").await?;
    assert!(ended(&guest).await, "{:?}", guest.audit());
    Ok(())
}
