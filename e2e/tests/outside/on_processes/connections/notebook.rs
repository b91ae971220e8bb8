//! What lies in the file of a notebook.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hubkey_e2e::evidence::canary::Canaries;
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::notebook::Notebook;

use crate::support::notebook::{CELL, click_and_sign_in};
use crate::support::{CONNECT, Guest, Outcome, last_line};

/// Saves the notebook and gives what lies on the disk then.
async fn saved(guest: &Guest, browser: &Browser, wanted: &str) -> anyhow::Result<String> {
    let file = guest.stack.hub.home(guest.name()).join("Untitled.ipynb");
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(40) {
        browser
            .click("[data-jp-item-name='save'] jp-button, [data-jp-item-name='save'] button")
            .await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.contains(wanted) {
            return Ok(text);
        }
    }
    bail!("the saved notebook never contains {wanted:?}")
}

/// What nobody may find in a file.
async fn secrets(guest: &Guest, browser: &Browser) -> anyhow::Result<Canaries> {
    let mut kernel = guest.kernel().await?;
    kernel.run(CONNECT).await?.ok()?;
    let token = kernel.run("print(lab.token)").await?.ok()?;
    let traffic = browser.traffic().await?;
    let mut canaries = Canaries::default();
    canaries.add("access token", last_line(&token));
    canaries.add("server token", guest.api()?.token());
    canaries.add_all("code", traffic.parameters("code"));
    canaries.add_all("state", traffic.parameters("state"));
    canaries.add_all(
        "cookie",
        traffic
            .cookies
            .into_iter()
            .filter(|(name, _)| !name.contains("xsrf"))
            .map(|(_, value)| value),
    );
    for kind in ["code", "state", "cookie"] {
        anyhow::ensure!(canaries.count(kind) > 0, "no {kind} was seen");
    }
    Ok(canaries)
}

#[tokio::test]
async fn feature_b12_need_2_security_l2_a_saved_notebook_has_no_secret_and_asks_nothing() -> Outcome
{
    let guest = Guest::new().await?;
    let browser = guest.browser().await?;
    browser
        .sign_in_to_hub(&guest.stack.hub, guest.name())
        .await?;
    let notebook = Notebook::create(&browser, &guest.stack.hub, guest.name()).await?;
    notebook.write_and_run(CELL).await?;
    let link = notebook.link(0).await?.attr("href").await?;
    let link = link.context("a link without an address")?;
    let ticket = link.rsplit('/').next().context("a link without a ticket")?;
    let during = saved(&guest, &browser, "Sign in to Example Lab").await?;
    assert!(during.contains(ticket), "the file has the card");
    click_and_sign_in(&guest, &browser, &notebook).await?;
    notebook
        .await_output(0, &format!("['{}'", guest.person.email))
        .await?;
    let after = saved(&guest, &browser, "Example Lab as").await?;
    assert!(!after.contains(ticket), "the link is gone from the file");
    let canaries = secrets(&guest, &browser).await?;
    for (when, file) in [("during", during), ("after", after)] {
        assert_eq!(canaries.found_in(file.as_bytes()), [""; 0], "{when}");
    }
    reopened(&guest, &browser).await?;
    browser.open(&link).await?;
    browser
        .await_text("This sign-in link does not work")
        .await?;
    Ok(())
}

/// Opens the saved notebook anew, and looks whom that asks.
async fn reopened(guest: &Guest, browser: &Browser) -> Outcome {
    let sign_ins = guest.audit().len();
    browser.open("about:blank").await?;
    browser.traffic().await?;
    let lab = guest.stack.hub.server_url(guest.name(), "");
    browser
        .open(&format!("{lab}lab/tree/Untitled.ipynb?reset"))
        .await?;
    browser.await_text("Example Lab as").await?;
    let requests = browser.traffic().await?.requests;
    assert!(requests.iter().any(|url| url.contains("Untitled.ipynb")));
    let (ours, provider) = (guest.stack.public_url(), guest.stack.keycloak.origin());
    for url in requests {
        assert!(
            !url.starts_with(ours) && !url.starts_with(&provider),
            "{url}"
        );
    }
    assert_eq!(guest.audit().len(), sign_ins, "the broker was asked");
    Ok(())
}
