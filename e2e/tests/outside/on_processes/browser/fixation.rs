//! A hub where all users share one origin: mallory's server can set any cookie in alice's browser.

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::{LAB_API, Stack};
use hubkey_fakes::kernel_api::{KernelApi, Opened};
use serde_json::json;

use crate::support::{Guest, Outcome, shared_origin};

const PLANT: &str = include_str!("plant.py");

/// A user whose server has one page more than others.
async fn mallory(stack: &'static Stack) -> anyhow::Result<Guest> {
    let person = stack.new_person().await?;
    let folder = stack.hub.home(&person.name).join(".jupyter");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("jupyter_server_config.py"), PLANT)?;
    stack.hub.start_server(&person.name, "").await?;
    Ok(Guest { person, stack })
}

/// Goes with a sign-in of his as far as Keycloak, and prepares his page: it gives a browser all his cookies, and sends
/// it on to Keycloak in his place.
async fn prepare(guest: &Guest, opened: &Opened) -> anyhow::Result<String> {
    let browser = guest.other_browser().await?;
    browser.open(&opened.link).await?;
    browser.fill_hub_form(guest.name()).await?;
    browser
        .await_element("#login_submit, #kc-login, button[value=accept]")
        .await?;
    if browser.current_page().await == Some(Page::Start) {
        browser.confirm().await?;
    }
    browser.await_element("#kc-login").await?;
    let cookies = browser.traffic().await?.cookies;
    ensure!(
        cookies
            .iter()
            .any(|(name, _)| name.starts_with("__Http-hk-")),
        "no flow cookie"
    );
    let lines = cookies.iter().filter_map(|(name, value)| {
        let rest = match name.as_str() {
            name if name.starts_with("__Http-hk-") => {
                "Path=/services/hubkey/; Secure; HttpOnly; SameSite=Lax"
            }
            "jupyterhub-hub-login" => "Path=/hub/; HttpOnly",
            "jupyterhub-session-id" => "Path=/; HttpOnly",
            _ => return None,
        };
        Some(format!("{name}={value}; {rest}"))
    });
    let plan = json!({ "cookies": lines.collect::<Vec<_>>(), "to": browser.address().await? });
    let home = guest.stack.hub.home(guest.name());
    std::fs::write(home.join("plan.json"), plan.to_string())?;
    browser.quit().await;
    Ok(format!(
        "{}plant",
        guest.stack.hub.server_url(guest.name(), "")
    ))
}

/// The flow cookies and the hub session that a browser holds for the hub's origin.
async fn holds_planted_cookies(browser: &Browser) -> anyhow::Result<bool> {
    let cookies = browser.traffic().await?.cookies;
    Ok(cookies
        .iter()
        .any(|(name, _)| name.starts_with("__Http-hk-")))
}

async fn nothing_was_delivered(api: &KernelApi, opened: &Opened) -> Outcome {
    let answer = api.poll(opened).await?.1;
    ensure!(answer["status"] != "connected", "mallory got a connection");
    ensure!(
        api.connections().await?.is_empty(),
        "mallory has a connection"
    );
    Ok(())
}

#[tokio::test]
async fn security_b4_need_17_planted_cookies_give_mallory_nothing() -> Outcome {
    let (stack, _turn) = shared_origin().await?;
    let (alice, mallory) = (Guest::on(stack).await?, mallory(stack).await?);
    let api = mallory.api()?;

    // Alice has never connected: a page that names mallory stands between.
    let opened = api.open(LAB_API).await?;
    let trap = prepare(&mallory, &opened).await?;
    let browser = alice.browser().await?;
    browser.sign_in_to_hub(&stack.hub, alice.name()).await?;
    browser.open(&trap).await?;
    assert!(holds_planted_cookies(&browser).await?);
    browser.sign_in_at_keycloak(&alice.person).await?;
    let page = browser.await_text("Connect these two accounts?").await?;
    assert!(
        page.contains(mallory.name()) && page.contains(&*alice.person.email),
        "{page}"
    );
    nothing_was_delivered(&api, &opened).await?;
    browser.cancel().await?;
    browser.await_text("You cancelled").await?;
    assert_eq!(api.result(&opened).await?.0, "denied");
    nothing_was_delivered(&api, &opened).await?;

    // Alice has connected: her account is hers.
    let browser = alice.other_browser().await?;
    let own = alice.api()?;
    let hers = own.open(LAB_API).await?;
    alice.sign_in(&browser, &hers.link).await?;
    assert_eq!(own.result(&hers).await?.0, "connected");
    let opened = api.open(LAB_API).await?;
    let trap = prepare(&mallory, &opened).await?;
    browser.traffic().await?;
    browser.open(&trap).await?;
    assert!(holds_planted_cookies(&browser).await?);
    browser.await_element("footer .reference").await?;
    let page = browser.text().await?;
    assert!(page.contains("cannot be used here"), "{page}");
    let state = api.result(&opened).await?.0;
    assert_ne!(state, "connected");
    nothing_was_delivered(&api, &opened).await?;
    let log = stack.broker.output();
    let conflict = log
        .lines()
        .find(|line| line.contains("account_link_conflict"));
    let conflict = conflict.context("the audit stream tells of no conflict")?;
    assert!(conflict.contains(mallory.name()));
    Ok(())
}
