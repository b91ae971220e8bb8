//! `POST /v1/connections/{id}/exchange`

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use http::{Method, StatusCode};
use hubkey_fakes::{
    fake_http::{Captured, Reply},
    hostile_provider::Endpoint,
};
use serde_json::{Value, json};

use crate::support::{
    audit::AuditTrail,
    kernel::{Connected, TestKernel},
    refresh_stage::{DUE, DUE_TO_ENDED, ENDED, Stage, token},
    world::{Answer, World},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// A provider is not asked again for what it refused before this is over.
const REST: Duration = Duration::from_secs(40);

pub(crate) async fn exchange_at(
    kernel: &TestKernel,
    connection: &Connected,
    body: Value,
) -> Answer {
    let path = format!("/v1/connections/{}/exchange", connection.id);
    kernel.send(Method::POST, &path, Some(&body)).await
}

async fn exchange(stage: &Stage, body: Value) -> Answer {
    exchange_at(&stage.kernel, &stage.connection, body).await
}

/// The exchanges that the provider was asked for.
pub(crate) fn asked(world: &World) -> Vec<Captured> {
    let requests = world.provider.requests(Endpoint::Token).into_iter();
    requests
        .filter(|request| request.form_value("grant_type").as_deref() == Some(GRANT))
        .collect()
}

#[tokio::test]
async fn feature_g1_a_token_is_exchanged_for_one_of_another_api() {
    let trail = AuditTrail::begin();
    let stage = Stage::new().await;
    let answer = exchange(
        &stage,
        json!({"audience": "other-api", "scopes": ["projects:read"]}),
    )
    .await;
    assert_ne!(token(&answer), stage.connection.access_token);
    let said = answer.json();
    assert_eq!(said["token_type"], "Bearer");
    assert_eq!(said["scopes"], json!(["projects:read"]));
    assert_eq!(said["api_origins"], json!(["https://other.example.org"]));
    assert!(said["expires_at"].is_u64());
    let [request] = asked(&stage.world).try_into().unwrap();
    for (name, value) in [
        ("subject_token", stage.connection.access_token.as_str()),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("audience", "other-api"),
        ("scope", "projects:read"),
    ] {
        assert_eq!(request.form_value(name).as_deref(), Some(value), "{name}");
    }
    for name in ["resource", "requested_issuer", "actor_token"] {
        assert_eq!(request.form_value(name), None, "{name}");
    }
    assert!(trail.has("token_exchanged"));
    assert!(trail.says("token_delivered", "reason=exchange"));
    assert_eq!(stage.token(0).await, stage.connection.access_token);
}

#[tokio::test]
async fn feature_g1_where_no_scope_is_named_the_operators_own_are_asked_for() {
    let stage = Stage::new().await;
    let resource = "https://other.example.org/v1";
    for (body, scope) in [
        (json!({"audience": "other-api"}), None),
        (json!({"resource": resource}), Some("projects:write")),
        (
            json!({"resource": resource, "scopes": ["projects:read"]}),
            Some("projects:read"),
        ),
    ] {
        token(&exchange(&stage, body.clone()).await);
        let last = asked(&stage.world).pop().unwrap();
        assert_eq!(last.form_value("scope").as_deref(), scope, "{body}");
    }
}

#[tokio::test]
async fn feature_g1_the_token_of_a_provider_behind_is_exchanged_for() {
    let stage = Stage::new().await;
    let answer = exchange(&stage, json!({"requested_issuer": "github"})).await;
    token(&answer);
    let [request] = asked(&stage.world).try_into().unwrap();
    assert_eq!(
        request.form_value("requested_issuer").as_deref(),
        Some("github")
    );
    assert_eq!(
        answer.json().get("api_origins"),
        None,
        "it is sent nowhere by itself"
    );
}

#[tokio::test]
async fn security_p80_no_token_of_a_kernel_is_exchanged() {
    let stage = Stage::new().await;
    for name in [
        "subject_token",
        "subject_token_type",
        "actor_token",
        "requested_token_type",
    ] {
        let mut body = json!({"audience": "other-api"});
        body[name] = json!("a-stolen-token");
        let answer = exchange(&stage, body).await;
        answer.assert_problem(StatusCode::BAD_REQUEST, "bad_request");
        assert!(!answer.text().contains("a-stolen-token"));
    }
    let mallory = stage.world.kernel("mallory", "");
    let body = json!({"audience": "other-api"});
    let foreign = exchange_at(&mallory, &stage.connection, body).await;
    foreign.assert_problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(asked(&stage.world).len(), 0);
}

#[tokio::test]
async fn security_p80_only_what_the_operator_lists_is_exchanged_for() {
    let stage = Stage::new().await;
    let before = stage.world.traces();
    for (body, code) in [
        (json!({}), "bad_request"),
        (json!({"scopes": ["projects:read"]}), "bad_request"),
        (json!({"audience": "hub"}), "audience_not_allowed"),
        // The lists of sign-ins are others.
        (
            json!({"audience": "https://api.example.org"}),
            "audience_not_allowed",
        ),
        (
            json!({"resource": "https://api.example.org/v1"}),
            "resource_not_allowed",
        ),
        (
            json!({"audience": "other-api", "scopes": ["admin"]}),
            "scope_not_allowed",
        ),
        (
            json!({"audience": "other-api", "scopes": []}),
            "bad_request",
        ),
        (json!({"requested_issuer": "google"}), "issuer_not_allowed"),
        (
            json!({"audience": "other-api", "requested_issuer": "../x"}),
            "issuer_not_allowed",
        ),
    ] {
        let answer = exchange(&stage, body.clone()).await;
        assert_eq!(answer.code(), code, "{body}");
        answer.assert_problem(StatusCode::BAD_REQUEST, code);
    }
    assert_eq!(stage.world.traces(), before);
}

type Lie = fn(&mut Value);

#[tokio::test]
async fn security_p81_p82_what_is_no_access_token_is_not_delivered() {
    let lies: [Lie; 7] = [
        |answer| {
            answer["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:refresh_token");
        },
        |answer| answer["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:id_token"),
        |answer| {
            answer["issued_token_type"] = json!(["urn:ietf:params:oauth:token-type:access_token"]);
        },
        |answer| {
            answer.as_object_mut().unwrap().remove("issued_token_type");
        },
        |answer| answer["token_type"] = json!("N_A"),
        |answer| answer["token_type"] = json!("DPoP"),
        |answer| answer["access_token"] = json!("a b"),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let stage = Stage::new().await;
        stage.world.provider.token_responses(lie);
        let answer = exchange(&stage, json!({"audience": "other-api"})).await;
        answer.assert_problem(StatusCode::BAD_GATEWAY, "provider_misconfigured");
        stage.be_honest();
        stage.token(0).await;
        stage.advance(REST);
        token(&exchange(&stage, json!({"audience": "other-api"})).await);
        assert_eq!(asked(&stage.world).len(), 2, "lie {number}");
    }
}

#[tokio::test]
async fn security_p83_each_connection_audience_and_scope_has_its_own_token() {
    let stage = Stage::new().await;
    let other = stage.world.kernel("alice", "gpu");
    let theirs = stage.world.connect(&other, "alice").await;
    let wishes = [
        json!({"audience": "other-api"}),
        json!({"audience": "third-api"}),
        json!({"audience": "other-api", "scopes": ["projects:read"]}),
        json!({"audience": "other-api", "scopes": ["projects:read", "projects:write"]}),
        json!({"resource": "https://other.example.org/v1"}),
        json!({"audience": "other-api", "requested_issuer": "github"}),
    ];
    let mut tokens = BTreeSet::new();
    for wish in &wishes {
        let own = token(&exchange(&stage, wish.clone()).await);
        assert_eq!(token(&exchange(&stage, wish.clone()).await), own, "{wish}");
        assert!(tokens.insert(own), "{wish} got the token of another wish");
        let foreign = token(&exchange_at(&other, &theirs, wish.clone()).await);
        assert!(
            tokens.insert(foreign),
            "{wish} got the token of another connection"
        );
    }
    assert_eq!(asked(&stage.world).len(), 2 * wishes.len());
    assert_eq!(stage.asked(), 0);
}

#[tokio::test]
async fn security_p84_a_token_with_an_actor_passes_as_it_is() {
    let stage = Stage::new().await;
    // {"sub":"op-alice","act":{"sub":"hubkey"}} in a token that nobody signed: it is not read.
    let opaque = "e30.eyJzdWIiOiJvcC1hbGljZSIsImFjdCI6eyJzdWIiOiJodWJrZXkifX0.x";
    stage.world.provider.token_responses(move |answer| {
        if answer.get("issued_token_type").is_some() {
            answer["access_token"] = json!(opaque);
            answer["act"] = json!({"sub": "hubkey"});
        }
    });
    let answer = exchange(&stage, json!({"audience": "other-api"})).await;
    assert_eq!(token(&answer), opaque);
    assert_eq!(answer.json().get("act"), None);
}

#[tokio::test]
async fn no_refresh_token_of_an_exchange_is_kept_or_used() {
    let stage = Stage::new().await;
    stage.world.provider.token_responses(|answer| {
        if answer.get("issued_token_type").is_some() {
            answer["refresh_token"] = json!("unasked");
        }
    });
    let answer = exchange(&stage, json!({"audience": "other-api"})).await;
    assert!(!answer.text().contains("unasked"));
    stage.advance(ENDED);
    exchange(&stage, json!({"audience": "other-api"})).await;
    assert!(!stage.uses().contains_key("unasked"));
}

#[tokio::test]
async fn feature_g1_an_exchanged_token_is_kept_until_near_its_end() {
    let stage = Stage::new().await;
    let body = || json!({"audience": "other-api", "min_valid_seconds": 30});
    let first = token(&exchange(&stage, body()).await);
    stage.advance(DUE / 2);
    assert_eq!(token(&exchange(&stage, body()).await), first);
    assert_eq!(asked(&stage.world).len(), 1);
    stage.advance(DUE / 2);
    let second = token(&exchange(&stage, body()).await);
    assert_ne!(second, first);
    assert_eq!(asked(&stage.world).len(), 2);
    let long = exchange(
        &stage,
        json!({"audience": "other-api", "min_valid_seconds": 100_000}),
    )
    .await;
    long.assert_problem(StatusCode::CONFLICT, "token_lifetime_too_short");
    assert_eq!(asked(&stage.world).len(), 2);
}

#[tokio::test]
async fn feature_g2_a_token_without_an_end_is_not_ended_at_once() {
    let stage = Stage::new().await;
    stage.world.provider.token_responses(|answer| {
        answer.as_object_mut().unwrap().remove("expires_in");
    });
    let body = || json!({"audience": "other-api", "min_valid_seconds": 60});
    let answer = exchange(&stage, body()).await;
    assert_eq!(answer.json().get("expires_at"), None);
    let first = token(&answer);
    stage.advance(Duration::from_secs(200));
    assert_eq!(token(&exchange(&stage, body()).await), first);
    stage.advance(Duration::from_secs(110));
    assert_ne!(token(&exchange(&stage, body()).await), first);
}

#[tokio::test]
async fn a_hundred_kernels_cause_one_exchange_and_one_refresh() {
    let stage = Stage::new().await;
    stage.advance(ENDED);
    let bodies = (0..100).map(|_| exchange(&stage, json!({"audience": "other-api"})));
    let tokens: BTreeSet<_> = join_all(bodies).await.iter().map(token).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!((asked(&stage.world).len(), stage.asked()), (1, 1));
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

#[tokio::test]
async fn feature_f4_an_audience_that_fails_harms_no_other_and_not_the_connection() {
    let stage = Stage::new().await;
    let bad = || json!({"audience": "third-api"});
    let good = || json!({"audience": "other-api"});
    stage.world.provider.grants().refuse_target("third-api");
    for _ in 0..5 {
        let refused = exchange(&stage, bad()).await;
        refused.assert_problem(StatusCode::FORBIDDEN, "invalid_target");
        token(&exchange(&stage, good()).await);
        assert_eq!(stage.token(0).await, stage.connection.access_token);
    }
    assert_eq!(
        asked(&stage.world).len(),
        2,
        "what was refused is not asked for again at once"
    );
    stage.be_honest();
    stage.advance(REST);
    token(&exchange(&stage, bad()).await);
    assert_eq!(stage.asked(), 0, "no refresh token was touched");
}

fn refusals() -> Vec<(Reply, u16, &'static str)> {
    let (bad, forbidden) = (StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN);
    let target = [
        (bad, "invalid_target"),
        (bad, "invalid_scope"),
        (forbidden, "access_denied"),
    ];
    let operator = ["invalid_client", "unsupported_grant_type"];
    let target = target.map(|(status, word)| (Reply::oauth_error(status, word), 403));
    let operator = operator.map(|word| (Reply::oauth_error(bad, word), 502));
    let html = (Reply::html("<p>no</p>").with_status(bad), 502);
    let passing = [502, 503, 429].map(|status| {
        let status = StatusCode::from_u16(status).unwrap();
        (Reply::new(status), 503)
    });
    let all = target
        .into_iter()
        .chain(operator)
        .chain([html])
        .chain(passing);
    all.map(|(reply, status)| match status {
        403 => (reply, status, "invalid_target"),
        502 => (reply, status, "provider_misconfigured"),
        _ => (reply, status, "provider_unavailable"),
    })
    .collect()
}

#[tokio::test]
async fn errors_of_an_exchange_are_told_apart_as_those_of_a_refresh() {
    for (reply, status, code) in refusals() {
        let stage = Stage::new().await;
        stage.world.provider.answer(Endpoint::Token, reply);
        let answer = exchange(&stage, json!({"audience": "other-api"})).await;
        answer.assert_problem(StatusCode::from_u16(status).unwrap(), code);
        assert_eq!(asked(&stage.world).len(), 1, "{code}");
        stage.be_honest();
        assert_eq!(stage.token(0).await, stage.connection.access_token);
        stage.advance(REST);
        token(&exchange(&stage, json!({"audience": "other-api"})).await);
    }
}

#[tokio::test]
async fn a_subject_token_that_the_provider_forgot_is_replaced_once() {
    let stage = Stage::new().await;
    stage
        .world
        .provider
        .grants()
        .forget_access_token(&stage.connection.access_token);
    token(&exchange(&stage, json!({"audience": "other-api"})).await);
    assert_eq!((asked(&stage.world).len(), stage.asked()), (2, 1));
    let trail = AuditTrail::begin();
    stage.world.provider.grants().end();
    stage
        .world
        .provider
        .grants()
        .forget_access_token(&stage.token(0).await);
    let ended = exchange(&stage, json!({"audience": "third-api"})).await;
    ended.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    assert!(trail.has("grant_ended"));
    let again = exchange(&stage, json!({"audience": "other-api"})).await;
    again.assert_problem(StatusCode::CONFLICT, "sign_in_required");
}

#[tokio::test]
async fn an_outage_does_not_take_a_good_token_away() {
    let stage = Stage::new().await;
    let body = || json!({"audience": "other-api"});
    let first = token(&exchange(&stage, body()).await);
    stage.advance(DUE);
    stage.world.provider.set_up(false);
    assert_eq!(token(&exchange(&stage, body()).await), first);
    stage.advance(DUE_TO_ENDED);
    let gone = exchange(&stage, body()).await;
    gone.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable");
    stage.world.provider.set_up(true);
    stage.advance(REST);
    token(&exchange(&stage, body()).await);
}

#[tokio::test]
async fn feature_g7_signing_out_ends_exchanged_tokens_too() {
    let stage = Stage::new().await;
    let exchanged = token(&exchange(&stage, json!({"audience": "other-api"})).await);
    let path = format!("/v1/connections/{}", stage.connection.id);
    let out = stage.kernel.send(Method::DELETE, &path, None).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    let gone = exchange(&stage, json!({"audience": "other-api"})).await;
    gone.assert_problem(StatusCode::NOT_FOUND, "not_found");
    stage.world.broker.finish(Duration::from_secs(10)).await;
    // Where an exchanged token goes back before the grant, Keycloak does not know the grant any more, and keeps the session.
    let [_refresh_token, own, last] = stage.world.provider.revoked().try_into().unwrap();
    assert_eq!([own, last], [stage.connection.access_token, exchanged]);
    let told = stage.world.provider.requests(Endpoint::Revocation);
    let hints = told.iter().map(|told| told.form_value("token_type_hint"));
    let hints: Vec<_> = hints.flatten().collect();
    assert_eq!(hints, ["refresh_token", "access_token", "access_token"]);
}
