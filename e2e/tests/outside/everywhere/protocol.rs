//! State, challenge and code, with Keycloak at the other end.

use anyhow::{Context as _, ensure};
use hubkey_e2e::evidence::traffic::parameter;
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::keycloak::Keycloak;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::LAB_API;
use hubkey_fakes::loopback;
use hubkey_starters::process;
use url::Url;

use crate::support::{Guest, Outcome};

/// Opens an address of ours and expects to be refused.
async fn refused(browser: &Browser, url: &str) -> Outcome {
    browser.open(url).await?;
    browser.await_element("footer .reference").await?;
    let page = browser.current_page().await;
    ensure!(
        page == Some(Page::Refused),
        "{page:?} in place of a refusal"
    );
    Ok(())
}

#[tokio::test]
async fn feature_c1_a_state_is_good_once_and_in_its_own_browser() -> Outcome {
    let guest = Guest::new().await?;
    let (api, browser) = (guest.api()?, guest.browser().await?);
    let opened = api.open(LAB_API).await?;
    let made_up = format!(
        "{}/callback/lab-api?code=made-up&state=abcdef.{}&iss=x",
        guest.stack.public_url(),
        "A".repeat(43)
    );
    refused(&browser, &made_up).await?;
    guest.sign_in(&browser, &opened.link).await?;
    assert_eq!(api.result(&opened).await?.0, "connected");
    let used = browser.traffic().await?.to("/callback/lab-api").unwrap();
    refused(&browser, used.as_str()).await?;
    assert_eq!(api.connections().await?.len(), 1);

    let waiting = guest.api()?.open("data-api").await?;
    browser.open(&waiting.link).await?;
    // Keycloak knows this browser already, so the callback comes without a form: the other browser is sent there
    // before this one gets to it.
    let callback = match browser.current_page().await {
        Some(Page::Confirm | Page::Done) => browser.traffic().await?.to("/callback/data-api"),
        page => anyhow::bail!("{page:?} in place of the confirmation"),
    };
    let other = guest.other_browser().await?;
    other.sign_in_to_hub(&guest.stack.hub, guest.name()).await?;
    refused(&other, callback.context("no callback")?.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn feature_c3_keycloak_gives_no_token_without_the_verifier() -> Outcome {
    let guest = Guest::new().await?;
    let browser = guest.browser().await?;
    let target = format!("http://127.0.0.1:{}/nobody", process::free_port()?);
    let mut authorize = Url::parse(&format!(
        "{}/protocol/openid-connect/auth",
        guest.stack.keycloak.issuer()
    ))?;
    authorize
        .query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", Keycloak::PUBLIC_CLIENT_ID)
        .append_pair("redirect_uri", &target)
        .append_pair("scope", "openid");
    let without = authorize.clone();
    let verifier = "a-verifier-of-at-least-forty-three-characters-in-all";
    authorize
        .query_pairs_mut()
        .append_pair("code_challenge_method", "S256")
        .append_pair("code_challenge", &hubkey_fakes::pkce::challenge(verifier));
    let mut codes = Vec::new();
    for _ in 0..2 {
        codes.push(code(&guest, &browser, &authorize).await?);
    }
    assert_eq!(redeem(&guest, &target, &codes[0], None).await?, 400);
    assert_eq!(
        redeem(&guest, &target, &codes[1], Some(verifier)).await?,
        200
    );
    // And without a challenge there is no code at all.
    assert!(code(&guest, &browser, &without).await.is_err());
    Ok(())
}

/// Asks Keycloak for a code, with the browser's redirect to nowhere.
async fn code(guest: &Guest, browser: &Browser, authorize: &Url) -> anyhow::Result<String> {
    browser.traffic().await?;
    // The redirect leads to a closed port, which WebDriver calls an error.
    let _ = browser.open(authorize.as_str()).await;
    if browser.current_page().await == Some(Page::ProviderSignIn) {
        let _ = browser.sign_in_at_keycloak(&guest.person).await;
    }
    for _ in 0..50 {
        if let Some(url) = browser.traffic().await?.to("/nobody") {
            return parameter(&url, "code").context("a redirect without a code");
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("no redirect came")
}

async fn redeem(
    guest: &Guest,
    target: &str,
    code: &str,
    verifier: Option<&str>,
) -> anyhow::Result<u16> {
    let url = format!(
        "{}/protocol/openid-connect/token",
        guest.stack.keycloak.issuer()
    );
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", Keycloak::PUBLIC_CLIENT_ID),
        ("redirect_uri", target),
        ("code", code),
    ];
    form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    let answer = loopback::client()?.post(url).form(&form).send().await?;
    Ok(answer.status().as_u16())
}
