//! Proof by key, pushed requests, resources and strict rotation at npm `oidc-provider`; proof by key, pushed requests
//! and back-channel logout at Keycloak.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::oidc_provider::{OidcProvider, Registration, provider_key};
use hubkey_e2e::real::sign_in::Page;
use hubkey_fakes::kernel_api::KernelApi;
use serde_json::{Value, json};

use crate::support::{Guest, KEYED, LONG, Outcome, SECOND, proof, stack};

/// An access token of the connection that is valid for two seconds more.
async fn draw(api: &KernelApi, connection: &str) -> anyhow::Result<String> {
    let path = format!("/v1/connections/{connection}/token");
    let body = json!({ "min_valid_seconds": 2 });
    let (status, answer) = api.ask(Method::POST, &path, Some(body), &[]).await?;
    ensure!(status == StatusCode::OK, "{}", answer["code"]);
    let token = answer["access_token"].as_str().context("no token")?;
    Ok(token.to_owned())
}

fn claims(token: &str) -> anyhow::Result<Value> {
    let payload = token.split('.').nth(1).context("not a JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

#[tokio::test]
async fn feature_f7_feature_g8_need_14_security_p18_p31_r1_the_second_provider_comes_late_and_takes_each_refresh_token_once()
-> Outcome {
    let stack = stack().await?;
    let guest = Guest::on(stack).await?;
    let (api, browser) = (guest.api()?, guest.browser().await?);
    // The broker has long begun, and nobody listens there yet.
    let early = api.open(SECOND).await?;
    let met = browser.open_sign_in(&early.link, &guest.person).await?;
    ensure!(met.last() == Some(&Page::Refused), "{met:?}");
    ensure!(api.result(&early).await?.0 == "failed");
    let provider = {
        let wanted = Registration {
            port: proof()?.second_port,
            public_url: stack.public_url(),
            provider: SECOND,
            key: &proof()?.key,
            signs_with: provider_key()?,
        };
        OidcProvider::start(&stack.run, wanted).await?
    };
    let asked = json!({ "provider": SECOND, "resource": OidcProvider::API });
    let opened = api.open_with(asked).await?;
    guest.sign_in(&browser, &opened.link).await?;
    let (_, connected) = api.result(&opened).await?;
    let id = connected["connection"]["id"].as_str().context("no id")?;
    let traffic = browser.traffic().await?;
    let authorize = traffic.to("/auth").context("nobody went to the provider")?;
    let names: Vec<_> = authorize
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    assert_eq!(names, ["client_id", "request_uri"]);
    let mut seen = vec![draw(&api, id).await?];
    assert_eq!(claims(&seen[0])?["aud"], OidcProvider::API);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        seen.push(draw(&api, id).await?);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "each time a new token");
    let (traded, refused) = provider.refreshes();
    assert!(
        traded >= 2 && refused == 0,
        "{traded} traded, {refused} refused"
    );
    opaque(&api, &browser, &guest).await
}

/// Without a resource its tokens are opaque, and what is known of their end is `expires_in`.
async fn opaque(api: &KernelApi, browser: &Browser, guest: &Guest) -> Outcome {
    let opened = api.open(SECOND).await?;
    guest.sign_in(browser, &opened.link).await?;
    let (_, connected) = api.result(&opened).await?;
    let id = connected["connection"]["id"].as_str().context("no id")?;
    let mut seen = vec![draw(api, id).await?];
    let ends = api.connections().await?[0]["expires_at"].as_u64();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        seen.push(draw(api, id).await?);
    }
    ensure!(seen.iter().all(|token| !token.contains('.')), "a JWT");
    seen.dedup();
    ensure!(seen.len() == 3, "{} tokens", seen.len());
    let later = api.connections().await?[0]["expires_at"].as_u64();
    let more = later.zip(ends).map(|(later, ends)| later - ends);
    ensure!(
        more.is_some_and(|more| (15..60).contains(&more)),
        "{more:?} s"
    );
    Ok(())
}

const CONNECT_KEYED: &str = r#"import hubkey
lab = await hubkey.connect("keyed")
print(lab.account)"#;

/// Until the broker says that the person has to sign in.
const SIGNED_OUT: &str = r#"import asyncio
for _ in range(100):
    try:
        await lab.aget_token(min_valid=290)
    except hubkey.SignInRequired as error:
        print("signed out:", type(error).__name__)
        break
    await asyncio.sleep(0.2)"#;

#[tokio::test]
async fn security_p18b_p31_p90_keycloak_reads_the_published_key_and_takes_a_pushed_request_and_its_logout_ends_the_connection()
-> Outcome {
    let stack = stack().await?;
    stack
        .keycloak
        .add_client(&keyed(stack.public_url()))
        .await?;
    let guest = Guest::on(stack).await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    let said = guest
        .run_and_sign_in(&mut kernel, &browser, CONNECT_KEYED)
        .await?;
    assert!(said.contains(&*guest.person.email), "{said}");
    let traffic = browser.traffic().await?;
    let authorize = traffic
        .to("/realms/hubkey/protocol/openid-connect/auth")
        .context("nobody went to Keycloak")?;
    assert!(authorize.query_pairs().all(|(name, _)| name != "scope"));
    stack.keycloak.log_out(&guest.person).await?;
    kernel.begin(SIGNED_OUT).await?;
    let text = kernel.finish(LONG).await?.ok()?;
    assert!(text.contains("signed out: SignInRequired"), "{text}");
    let ended = guest
        .audit()
        .into_iter()
        .any(|line| line["event"] == "grant_ended" && line["reason"] == "backchannel_logout");
    assert!(ended, "the audit stream does not say so");
    Ok(())
}

/// A client that proves itself by a key that it publishes, has to push its requests, and is told of logouts.
fn keyed(public_url: &str) -> Value {
    json!({
        "clientId": "hubkey-keyed",
        "protocol": "openid-connect",
        "publicClient": false,
        "clientAuthenticatorType": "client-jwt",
        "standardFlowEnabled": true,
        "directAccessGrantsEnabled": false,
        "fullScopeAllowed": false,
        "redirectUris": [format!("{public_url}/callback/{KEYED}")],
        "attributes": {
            "pkce.code.challenge.method": "S256",
            "use.jwks.url": "true",
            "jwks.url": format!("{public_url}/jwks/{KEYED}"),
            "token.endpoint.auth.signing.alg": "ES256",
            "require.pushed.authorization.requests": "true",
            "backchannel.logout.url": format!("{public_url}/backchannel-logout/{KEYED}"),
            "backchannel.logout.session.required": "true",
        },
        "defaultClientScopes": ["basic", "profile", "email"],
    })
}
