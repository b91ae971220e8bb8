//! Which providers can be signed in to, and what they may answer.

use anyhow::ensure;
use hubkey_e2e::evidence::traffic::parameter;
use hubkey_e2e::real::sign_in::Page;
use hubkey_fakes::hostile_provider::{Draft, Endpoint};
use hubkey_fakes::pkce;

use crate::support::{CONNECT, Guest, HOSTILE, IMPOSTER, LONG, Outcome, hostile};

const REFUSE_THE_IMPOSTER: &str = r#"import hubkey
try:
    await hubkey.connect("imposter", timeout=30)
except hubkey.HubkeyError as error:
    print(type(error).__name__, error)"#;

#[tokio::test]
async fn feature_a7_the_issuer_is_enough_and_another_one_is_refused() -> Outcome {
    let guest = Guest::new().await?;
    let settings = std::fs::read_to_string(guest.stack.run.join("token-broker.toml"))?;
    assert!(!settings.contains("_endpoint ="), "only issuers are set");
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    guest
        .run_and_sign_in(&mut kernel, &browser, CONNECT)
        .await?;
    let (status, answer) = {
        let body = serde_json::json!({ "provider": IMPOSTER });
        guest
            .api()?
            .ask(reqwest::Method::POST, "/v1/sign-ins", Some(body), &[])
            .await?
    };
    if status.is_success() {
        // The metadata is read when the browser comes.
        let link = answer["sign_in_url"].as_str().unwrap_or_default();
        let met = browser.open_sign_in(link, &guest.person).await?;
        assert_eq!(met.last(), Some(&Page::Refused));
    }
    kernel.begin(REFUSE_THE_IMPOSTER).await?;
    if let Ok(link) = kernel.link().await {
        let met = browser.open_sign_in(&link, &guest.person).await?;
        assert_eq!(met.last(), Some(&Page::Refused));
    }
    let text = kernel.finish(LONG).await?.ok()?;
    assert!(
        text.contains("SignInFailed") || text.contains("BrokerUnavailable"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn feature_c3_the_broker_proves_the_challenge_that_it_sent() -> Outcome {
    let guest = Guest::new().await?;
    let (provider, _turn) = hostile().await?;
    provider.forget_requests();
    let (api, browser) = (guest.api()?, guest.browser().await?);
    let opened = api.open(HOSTILE).await?;
    guest.sign_in(&browser, &opened.link).await?;
    assert_eq!(api.result(&opened).await?.0, "connected");
    let authorize = browser.traffic().await?.to("/authorize").unwrap();
    let sent = |name| parameter(&authorize, name);
    assert_eq!(sent("response_type").as_deref(), Some("code"));
    assert_eq!(sent("code_challenge_method").as_deref(), Some("S256"));
    let redeemed = provider.requests(Endpoint::Token);
    assert_eq!(redeemed.len(), 1, "the code is redeemed once");
    let verifier = redeemed[0].form_value("code_verifier").unwrap();
    assert!(pkce::fits(&sent("code_challenge").unwrap(), &verifier));
    Ok(())
}

/// Signs in at the hostile provider, which lies once in its ID token; nothing may come of it.
async fn refuse(guest: &Guest, lies: &[fn(&mut Draft)]) -> Outcome {
    let (provider, _turn) = hostile().await?;
    let (api, browser) = (guest.api()?, guest.browser().await?);
    for (number, lie) in lies.iter().enumerate() {
        let opened = api.open(HOSTILE).await?;
        provider.next_id_token(*lie);
        let met = browser.open_sign_in(&opened.link, &guest.person).await?;
        ensure!(met.last() == Some(&Page::Refused), "lie {number}: {met:?}");
        let text = browser.text().await?;
        ensure!(text.contains("cannot be trusted"), "lie {number}: {text}");
        let (state, answer) = api.result(&opened).await?;
        ensure!(state == "failed", "lie {number}: {state}");
        ensure!(
            answer["reason"] == "provider_protocol_error",
            "lie {number}: {answer}"
        );
    }
    ensure!(api.connections().await?.is_empty(), "a lie was believed");
    Ok(())
}

#[tokio::test]
async fn feature_c2_an_id_token_without_our_nonce_is_refused() -> Outcome {
    let guest = Guest::new().await?;
    let lies: [fn(&mut Draft); 2] = [
        |token| token.claim("nonce", "another-nonce-than-we-sent-to-them"),
        |token| token.without("nonce"),
    ];
    refuse(&guest, &lies).await
}

#[tokio::test]
async fn feature_c4_feature_c5_an_altered_id_token_is_refused() -> Outcome {
    let guest = Guest::new().await?;
    let lies: [fn(&mut Draft); 7] = [
        Draft::break_signature,
        Draft::unsigned,
        |token| token.claim("iss", "http://127.0.0.1:1/somebody-else"),
        |token| token.claim("aud", "another-client"),
        |token| token.claim("azp", "another-client"),
        |token| token.shift("exp", -86_400),
        |token| token.head("kid", "a-key-that-nobody-has"),
    ];
    refuse(&guest, &lies).await
}

const TOLD_IN_THE_CELL: &str = r#"import hubkey
await hubkey.connect("hostile", timeout=60)"#;

#[tokio::test]
async fn feature_b10_need_3_a_refusal_is_told_in_our_words_on_the_page_and_in_the_cell() -> Outcome
{
    let guest = Guest::new().await?;
    let (provider, _turn) = hostile().await?;
    provider.next_authorization_response(|response| {
        response.fail("access_denied");
        response.set(
            "error_description",
            "<script>document.title='owned'</script>",
        );
    });
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    kernel.begin(TOLD_IN_THE_CELL).await?;
    let link = kernel.link().await?;
    let met = browser.open_sign_in(&link, &guest.person).await?;
    assert_eq!(met.last(), Some(&Page::Refused));
    let page = browser.text().await?;
    assert!(page.contains("The hostile did not let you in"), "{page}");
    assert!(page.contains("run the cell again"), "{page}");
    assert!(!page.contains("owned") && browser.title().await? != "owned");
    assert_eq!(browser.driver().windows().await?.len(), 1, "the page stays");
    let output = kernel.finish(LONG).await?;
    let (class, text) = output.error.clone().unwrap();
    assert_eq!(class, "SignInDenied");
    assert!(text.contains("Run the cell again"), "{text}");
    assert!(!output.everything.contains("owned"));
    Ok(())
}
