//! What a user can do.

use std::time::{Duration, Instant};

use hubkey_e2e::browser::Browser;
use hubkey_e2e::kernel::{Audience, Kernel};
use hubkey_e2e::notebook::Notebook;
use hubkey_e2e::sign_in::Page;

use crate::support::{CONNECT, Outcome, SOON, Seat, raised};

#[tokio::test]
async fn feature_a1_the_statement_after_connect_uses_the_token() -> Outcome {
    let mut seat = Seat::take().await?;
    let link = seat.begin().await?;
    let browser = seat.browser().await?;
    let met = browser.open_sign_in(&link, &seat.person).await?;
    assert_eq!(
        met,
        [
            Page::HubSignIn,
            Page::ProviderSignIn,
            Page::Confirm,
            Page::Done
        ]
    );
    let output = seat.kernel.finish(SOON).await?.ok()?;
    assert!(output.contains("'projects'"), "{output}");
    assert!(
        output.contains(&format!("'caller': '{}'", seat.person.name)),
        "{output}"
    );
    browser.quit().await;
    Ok(())
}

#[tokio::test]
async fn feature_a13_and_a14_a_valid_connection_needs_no_link() -> Outcome {
    let mut seat = Seat::take().await?;
    let browser = seat.browser().await?;
    seat.sign_in(&browser).await?;
    let started = Instant::now();
    let again = seat.kernel.run(CONNECT).await?;
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    assert!(!again.html().contains("href"), "{}", again.html());
    assert!(again.ok()?.contains("'projects'"));

    let mut second = seat.another_kernel().await?;
    let shared = second.run(CONNECT).await?;
    assert!(!shared.html().contains("href"), "{}", shared.html());
    assert!(shared.ok()?.contains("'projects'"));

    let mut other = Seat::take().await?;
    assert!(other.begin().await?.contains("/start/"));
    browser.quit().await;
    Ok(())
}

#[tokio::test]
async fn feature_a12_two_providers_at_once_never_swap_their_tokens() -> Outcome {
    let mut seat = Seat::take().await?;
    let both = "import asyncio, httpx, hubkey, os\n\
        lab, data = await asyncio.gather(hubkey.connect('lab-api'), hubkey.connect('data-api'))\n\
        for api in 'LAB_API', 'DATA_API':\n    \
            for connection in lab, data:\n        \
                headers = {'Authorization': f'Bearer {connection.token}'}\n        \
                answer = httpx.get(os.environ[api] + '/projects', headers=headers)\n        \
                print(api, connection.provider, answer.status_code)";
    seat.kernel.begin(both).await?;
    let browser = seat.browser().await?;
    for _ in 0..2 {
        let link = seat.kernel.link().await?;
        let met = browser.open_sign_in(&link, &seat.person).await?;
        assert_eq!(met.last(), Some(&Page::Done), "{met:?}");
    }
    let text = seat.kernel.finish(SOON).await?.ok()?;
    assert!(text.contains("LAB_API lab-api 200"), "{text}");
    assert!(text.contains("LAB_API data-api 401"), "{text}");
    assert!(text.contains("DATA_API lab-api 401"), "{text}");
    assert!(text.contains("DATA_API data-api 200"), "{text}");
    browser.quit().await;
    Ok(())
}

/// Both providers of the stack are known by their issuer alone, and exist in the settings file only.
#[tokio::test]
async fn feature_a7_and_a8_an_issuer_in_the_settings_is_enough() -> Outcome {
    let mut seat = Seat::take().await?;
    let settings = std::fs::read_to_string(seat.stack.run.join("token-broker.toml"))?;
    assert!(settings.contains("[providers.data-api]") && !settings.contains("_endpoint"));
    seat.kernel
        .begin("import hubkey\nprint((await hubkey.connect('data-api')).account)")
        .await?;
    let link = seat.kernel.link().await?;
    let browser = seat.browser().await?;
    browser.open_sign_in(&link, &seat.person).await?;
    let text = seat.kernel.finish(SOON).await?.ok()?;
    assert!(text.contains(&*seat.person.email), "{text}");
    browser.quit().await;
    Ok(())
}

#[tokio::test]
async fn feature_b9_and_g9_one_redirect_address_serves_every_user_and_named_servers() -> Outcome {
    let mut seat = Seat::take().await?;
    let browser = seat.browser().await?;
    seat.sign_in(&browser).await?;
    seat.stack
        .hub
        .start_server(&seat.person.name, "gpu")
        .await?;
    let mut gpu = Kernel::start(&seat.stack.hub, &seat.person.name, "gpu").await?;
    // A connection belongs to one server: the named one asks for its own.
    gpu.begin(CONNECT).await?;
    let link = gpu.link().await?;
    browser.open(&link).await?;
    let met = browser.go_through_sign_in(&seat.person).await?;
    assert_eq!(met.last(), Some(&Page::Done), "{met:?}");
    assert!(gpu.finish(SOON).await?.ok()?.contains("'projects'"));
    let redirect = format!("{}/callback/lab-api", seat.stack.public_url());
    let log = seat.stack.keycloak.output();
    assert!(
        !log.contains("invalid_redirect_uri"),
        "only {redirect} was ever asked for"
    );
    browser.quit().await;
    Ok(())
}

/// In JupyterLab itself, with the popup blocker on: the card's link opens a tab when a person clicks it.
#[tokio::test]
async fn feature_b2_and_b3_the_link_of_the_card_completes_the_sign_in_with_popups_blocked()
-> Outcome {
    let seat = Seat::take().await?;
    let browser = seat.browser().await?;
    browser
        .sign_in_to_hub(&seat.stack.hub, &seat.person.name)
        .await?;
    let notebook = Notebook::create(&browser, &seat.stack.hub, &seat.person.name).await?;
    notebook.write_and_run(CONNECT).await?;
    let link = notebook.link(0).await?;
    let lab = browser.in_new_tab(async || Ok(link.click().await?)).await?;
    let met = browser.go_through_sign_in(&seat.person).await?;
    assert_eq!(met, [Page::ProviderSignIn, Page::Confirm, Page::Done]);
    browser.close_tab(&lab).await?;
    let output = notebook.await_output(0, "'projects'").await?;
    assert!(
        !output.contains("Sign in"),
        "the card is still there: {output}"
    );
    browser.quit().await;
    Ok(())
}

#[tokio::test]
async fn feature_c3_the_provider_is_asked_for_a_code_with_s256() -> Outcome {
    let mut seat = Seat::take().await?;
    let link = seat.begin().await?;
    let browser = seat.browser().await?;
    browser
        .sign_in_to_hub(&seat.stack.hub, &seat.person.name)
        .await?;
    browser.open(&link).await?;
    browser.await_element("#kc-login").await?;
    let address = browser.address().await?;
    assert!(address.contains("code_challenge_method=S256"), "{address}");
    assert!(address.contains("response_type=code&"), "{address}");
    browser.quit().await;
    Ok(())
}

#[tokio::test]
async fn need_12_a_notebook_without_a_person_is_told_at_once() -> Outcome {
    let seat = Seat::take().await?;
    let (hub, user) = (&seat.stack.hub, &seat.person.name);
    let mut kernel = Kernel::start_for(hub, user, "", Audience::Nobody).await?;
    let started = Instant::now();
    let output = kernel.run(CONNECT).await?;
    assert_eq!(raised(&output), "SignInRequired");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn feature_k7_a_sign_in_that_is_finished_late_is_found_by_the_next_connect() -> Outcome {
    let mut seat = Seat::take().await?;
    let brief = "import hubkey\nawait hubkey.connect('lab-api', timeout=2)";
    seat.kernel.begin(brief).await?;
    let link = seat.kernel.link().await?;
    assert_eq!(raised(&seat.kernel.finish(SOON).await?), "SignInTimeout");
    let browser: Browser = seat.browser().await?;
    let met = browser.open_sign_in(&link, &seat.person).await?;
    assert_eq!(met.last(), Some(&Page::Done), "{met:?}");
    let output = seat.kernel.run(CONNECT).await?;
    assert!(!output.everything.contains("href"), "{}", output.everything);
    assert!(output.ok()?.contains("'projects'"));
    browser.quit().await;
    Ok(())
}
