//! In JupyterLab, as the person sees it.

use hubkey_e2e::real::notebook::Notebook;
use url::Url;

use crate::support::notebook::{CELL, click_and_sign_in};
use crate::support::{Guest, Outcome};

#[tokio::test]
async fn feature_b2_feature_b3_feature_b10_need_11_one_link_in_a_plain_jupyterlab() -> Outcome {
    let guest = Guest::new().await?;
    // This browser blocks popups, as everybody's does.
    let browser = guest.browser().await?;
    browser
        .sign_in_to_hub(&guest.stack.hub, guest.name())
        .await?;
    let notebook = Notebook::create(&browser, &guest.stack.hub, guest.name()).await?;
    notebook.write_and_run(CELL).await?;
    let card = notebook.await_output(0, "Opens a new tab").await?;
    assert!(card.contains("Sign in to Example Lab"), "{card}");
    assert_eq!(browser.driver().windows().await?.len(), 1, "no popup");
    click_and_sign_in(&guest, &browser, &notebook).await?;
    let output = notebook
        .await_output(0, &format!("['{}'", guest.person.email))
        .await?;
    assert!(output.contains("Example Lab as"), "{output}");
    assert!(!output.contains("Sign in to"), "the link is gone: {output}");
    for request in browser.traffic().await?.requests {
        let Ok(url) = Url::parse(&request) else {
            continue;
        };
        // The browser's own pages have schemes of their own.
        let web = ["http", "https", "ws", "wss"].contains(&url.scheme());
        let ours = ["127.0.0.1", "localhost", "keycloak.localhost"].map(Some);
        let here = ours.contains(&url.host_str());
        assert!(!web || here, "{:?} was asked", url.host_str());
        assert!(!url.path().contains("extensions/hubkey"), "no extension");
    }
    Ok(())
}
