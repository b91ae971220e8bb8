//! One text for each thing that goes wrong: page, kernel, audit stream and log say the same, and nothing untrue.

use http::StatusCode;
use hubkey_domain::provider::{ClientAuthentication, ProviderConfig};
use hubkey_fakes::{
    fake_http::Reply,
    hostile_provider::{AuthorizationResponse, Draft, Endpoint},
};
use hubkey_protocol::secret::ClientSecret;
use serde_json::{Value, json};

use super::provider_answers::{End, end, ended, with_id_token, with_response};
use crate::support::{
    audit::AuditTrail,
    outcome::returning,
    world::{World, WorldOptions},
};

/// How a sign-in ends at a provider whose token endpoint says this.
async fn with_token_reply(reply: Reply) -> End {
    let world = World::new().await;
    world.provider.answer(Endpoint::Token, reply);
    ended(&world).await
}

#[tokio::test]
async fn found_h1_a_code_that_ran_out_took_too_long() {
    for code in ["invalid_grant", "bad_verification_code"] {
        let reply = Reply::oauth_error(StatusCode::BAD_REQUEST, code);
        let ended = with_token_reply(reply).await;
        assert_eq!(ended, end("code_expired", "code_expired", 1), "{code}");
    }
    let run_out = |response: &mut AuthorizationResponse| response.fail("invalid_request_uri");
    let ended = with_response(run_out).await;
    assert_eq!(ended, end("code_expired", "code_expired", 0));
}

/// The Hub's and the store's outages are in `provider_callback` (`security_i6_…`) and `undone`.
#[tokio::test]
async fn found_h2_an_outage_of_the_store_is_no_refusal_by_a_rule() {
    let trail = AuditTrail::begin();
    let world = World::with(WorldOptions::default()).await;
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    world.probe.set_down(true);
    let reply = browser.callback("lab-api", &back).await;
    assert_eq!(reply.0["answer"]["refusal"], "unavailable", "{:?}", reply.0);
    assert!(
        trail.says("request_failed", "reason=store_failed"),
        "{:?}",
        trail.events()
    );
    assert!(!trail.has("policy_denied"), "{:?}", trail.events());
}

#[tokio::test]
async fn found_h3_a_refusal_of_the_client_without_a_document_is_a_wrong_set_up() {
    let page = || Reply::html("<h1>Unauthorized</h1>");
    let own_words = || Reply::json(&json!({"message": "Bad credentials"}));
    let own_code = || Reply::json(&json!({"error": "Forbidden", "path": "/token"}));
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        for reply in [Reply::new(status), page(), own_words(), own_code()] {
            let ended = with_token_reply(reply.with_status(status)).await;
            let expected = end("provider_misconfigured", "provider_misconfigured", 1);
            assert_eq!(ended, expected, "{status}");
        }
    }
}

#[tokio::test]
async fn found_h3_the_log_says_which_provider_refused_hubkey_where() {
    let (trail, world) = (AuditTrail::begin(), World::new().await);
    let refused = Reply::new(StatusCode::UNAUTHORIZED);
    world.provider.answer(Endpoint::Token, refused);
    let sign_in = world.kernel("alice", "").open().await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    browser.callback("lab-api", &back).await;
    let warned = trail.warnings().join("\n");
    for told in ["lab-api", "endpoint=token", "/token", "401"] {
        assert!(warned.contains(told), "{told}: {warned}");
    }
}

/// What the log says when a provider refuses the client with this secret in the header.
async fn refused_with(secret: fn(&mut ProviderConfig)) -> String {
    let trail = AuditTrail::begin();
    let world = World::with(WorldOptions {
        adjust: secret,
        ..WorldOptions::default()
    })
    .await;
    let refused = Reply::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client");
    world.provider.answer(Endpoint::Token, refused);
    let sign_in = world.kernel("alice", "").open().await;
    let mut browser = world.browser("alice");
    let back = returning(&mut browser, &sign_in).await;
    browser.callback("lab-api", &back).await;
    trail.warnings().join("\n")
}

#[tokio::test]
async fn found_i3_a_secret_that_is_encoded_in_the_header_is_told_with_its_remedy() {
    let told = refused_with(|config| {
        let secret = ClientSecret::new("canary/with+others=");
        config.token_endpoint_auth_method = ClientAuthentication::Basic(secret);
    })
    .await;
    assert!(told.contains("client_secret_post"), "{told}");
    assert!(!told.contains("canary"), "{told}");
    let told = refused_with(|config| {
        let secret = ClientSecret::new("canary/with+others=");
        config.token_endpoint_auth_method = ClientAuthentication::Post(secret);
    })
    .await;
    assert!(!told.contains("client_secret_post"), "{told}");
    let told = refused_with(|_| {}).await;
    assert!(!told.contains("client_secret_post"), "{told}");
}

/// What the log says when the metadata are those of another issuer, or are not there.
async fn with_metadata(alter: impl Fn(&World)) -> (String, String) {
    let (trail, world) = (AuditTrail::begin(), World::new().await);
    alter(&world);
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let mut browser = world.browser("alice");
    let started = browser.start(sign_in.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    let reply = browser.hub_callback(&back).await;
    let page = browser.view(reply.flow()).await;
    let reason = page.page()["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (reason, trail.warnings().join("\n"))
}

#[tokio::test]
async fn found_h4_an_issuer_that_differs_by_a_slash_is_told_with_both_values() {
    let (reason, warned) = with_metadata(|world| {
        world.provider.metadata(|metadata| {
            let issuer = metadata["issuer"].as_str().unwrap().to_owned();
            metadata["issuer"] = Value::String(format!("{issuer}/"));
        });
    })
    .await;
    assert_eq!(reason, "provider_misconfigured");
    let issuers: Vec<&str> = warned
        .split_whitespace()
        .filter(|word| word.starts_with("configured=") || word.starts_with("published="))
        .collect();
    let [configured, published] = issuers[..] else {
        panic!("both values: {warned}");
    };
    let value = |word: &str| word.split_once('=').unwrap().1.trim_matches('"').to_owned();
    assert_eq!(format!("{}/", value(configured)), value(published));
}

#[tokio::test]
async fn found_i2_metadata_for_several_tenants_say_what_to_write() {
    let (reason, warned) = with_metadata(|world| {
        world.provider.metadata(|metadata| {
            metadata["issuer"] = json!("https://login.example/{tenantid}/v2.0");
        });
    })
    .await;
    assert_eq!(reason, "provider_misconfigured");
    for told in ["{tenantid}", "an entry for each tenant", "configured="] {
        assert!(warned.contains(told), "{told}: {warned}");
    }
}

#[tokio::test]
async fn found_h4_metadata_that_are_not_there_are_no_outage() {
    for status in [
        StatusCode::NOT_FOUND,
        StatusCode::GONE,
        StatusCode::FORBIDDEN,
    ] {
        let (reason, warned) = with_metadata(|world| {
            world
                .provider
                .answer(Endpoint::Discovery, Reply::new(status));
        })
        .await;
        assert_eq!(reason, "provider_misconfigured", "{status}");
        let told = [
            "issuer=",
            "url=",
            ".well-known/openid-configuration",
            status.as_str(),
        ];
        assert!(told.iter().all(|word| warned.contains(word)), "{warned}");
    }
}

#[tokio::test]
async fn found_h7_what_only_a_silent_request_could_mean_is_a_refusal() {
    for code in [
        "consent_required",
        "login_required",
        "account_selection_required",
    ] {
        let ended = with_response(move |response| response.fail(code)).await;
        assert_eq!(ended, end("access_denied", "access_denied", 0), "{code}");
    }
    let ended = with_response(|response| response.fail("interaction_required")).await;
    assert_eq!(
        ended,
        end("interaction_required", "interaction_required", 0)
    );
}

#[tokio::test]
async fn found_h8_what_is_not_supported_is_said_to_be_so() {
    let not_supported = || end("not_supported", "not_supported", 1);
    let encrypted = |draft: &mut Draft| draft.finish(|_| "e30.e30.e30.e30.e30".to_owned());
    assert_eq!(with_id_token(encrypted).await, not_supported());
    for alg in ["ES256K", "HS256", "ES512", "ML-DSA-44"] {
        let ended = with_id_token(move |draft| draft.head("alg", alg)).await;
        assert_eq!(ended, not_supported(), "{alg}");
    }
    // `none` is no algorithm but an attack (RFC 8725 section 3.1).
    let unsigned = with_id_token(Draft::unsigned).await;
    let broken = end("provider_protocol_error", "provider_protocol_error", 1);
    assert_eq!(unsigned, broken);
}

#[tokio::test]
async fn found_h8_a_provider_that_signs_with_secrets_only_is_not_supported() {
    let (reason, _) = with_metadata(|world| {
        world.provider.metadata(|metadata| {
            metadata["id_token_signing_alg_values_supported"] = json!(["HS256"]);
        });
    })
    .await;
    assert_eq!(reason, "not_supported");
}

#[tokio::test]
async fn found_h9_page_kernel_and_audit_stream_have_one_reference() {
    let (trail, world) = (AuditTrail::begin(), World::new().await);
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let mut browser = world.browser("alice");
    world
        .provider
        .authorization_responses(|response| response.fail("unauthorized_client"));
    let back = returning(&mut browser, &sign_in).await;
    let reply = browser.callback("lab-api", &back).await;
    let page = browser.view(reply.flow()).await;
    let status = kernel.poll(&sign_in).await.json();
    let reference = status["reference"].as_str().expect("a reference");
    assert_eq!(page.page()["reference"], reference);
    assert!(
        trail.says("provider_failed", &format!("reference={reference}")),
        "{:?}",
        trail.events()
    );
}
