//! `GET /v1/openapi.json` and the document that is checked in.

use http::{Method, StatusCode};
use hubkey_domain::provider::ExchangeOffer;
use hubkey_protocol::{ConnectionId, ErrorReference, Nonce, ShortId};
use hubkey_token_broker::routes;
use serde_json::{Value, json};
use utoipa::PartialSchema;

use crate::support::{
    contract,
    world::{World, WorldOptions},
};

const CHECKED_IN: &str = include_str!("../../../../../docs/reference/openapi.json");

#[test]
fn the_checked_in_openapi_document_is_current() {
    assert!(
        routes::document() == CHECKED_IN,
        "docs/reference/openapi.json is not what the routes say; run `cargo xtask docs`"
    );
}

#[tokio::test]
async fn the_document_is_served() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let answer = kernel.send(Method::GET, "/v1/openapi.json", None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.text(), CHECKED_IN);
    let paths: Vec<_> = answer.json()["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        paths,
        [
            "/v1/connections",
            "/v1/connections/{id}",
            "/v1/connections/{id}/exchange",
            "/v1/connections/{id}/token",
            "/v1/connections/{id}/userinfo",
            "/v1/providers",
            "/v1/servers/stopped",
            "/v1/sign-ins",
            "/v1/sign-ins/{nonce}",
            "/v1/sign-ins/{nonce}/ack",
        ]
    );
}

/// Each operation of the document, with its name.
fn operations(document: &Value) -> Vec<(&str, &Value)> {
    let paths = document["paths"].as_object().expect("paths").values();
    let operations = paths.flat_map(|item| item.as_object().expect("operations").values());
    operations
        .map(|operation| {
            (
                operation["operationId"].as_str().expect("a name"),
                operation,
            )
        })
        .collect()
}

/// That each answer of each test stands there is asserted where tests send their requests.
#[test]
fn found_k1_found_k2_every_operation_says_how_it_refuses_and_what_each_answer_is() {
    let document: Value = serde_json::from_str(CHECKED_IN).unwrap();
    for (name, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        for status in [400, 401, 403, 405, 408, 413, 414, 429, 431, 500, 503] {
            assert!(
                responses.contains_key(&status.to_string()),
                "{name}: {status}"
            );
        }
        assert_eq!(
            responses.contains_key("415"),
            operation.get("requestBody").is_some(),
            "{name}"
        );
        for (status, response) in responses {
            let description = response["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{name}: {status}");
            let header = match status.as_str() {
                "401" => "WWW-Authenticate",
                "405" => "Allow",
                "429" | "503" => "Retry-After",
                _ => continue,
            };
            assert!(response["headers"][header].is_object(), "{name}: {status}");
        }
    }
}

#[tokio::test]
async fn found_k3_an_empty_list_of_scopes_is_refused_everywhere_in_the_same_words() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    let id = &connection.id;
    let before = world.traces();
    for path in [
        "/v1/sign-ins".to_owned(),
        format!("/v1/connections/{id}/token"),
        format!("/v1/connections/{id}/exchange"),
    ] {
        let body = json!({"scopes": []});
        let answer = kernel.send(Method::POST, &path, Some(&body)).await;
        answer.assert_problem(StatusCode::BAD_REQUEST, "bad_request");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(
            detail,
            "Give the field `scopes` what it takes: at least one scope; leave it out for the default."
        );
    }
    assert_eq!(world.traces(), before);
}

#[tokio::test]
async fn found_k3_what_no_provider_exchanges_for_is_refused_by_its_own_field() {
    let world = World::with(WorldOptions {
        adjust: |config| config.token_exchange = ExchangeOffer::default(),
        ..WorldOptions::default()
    })
    .await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    let path = format!("/v1/connections/{}/exchange", connection.id);
    for (field, code) in [
        ("audience", "audience_not_allowed"),
        ("resource", "resource_not_allowed"),
        ("requested_issuer", "issuer_not_allowed"),
        ("scopes", "bad_request"),
    ] {
        let mut body = json!({"scopes": ["openid"]});
        if field != "scopes" {
            body[field] = json!("https://other.example");
        }
        let answer = kernel.send(Method::POST, &path, Some(&body)).await;
        answer.assert_problem(StatusCode::BAD_REQUEST, code);
        assert!(
            answer.text().contains("token_exchange"),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn found_k4_what_the_schema_refuses_the_broker_refuses_and_nothing_else() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let long = |length: usize| "é".repeat(length);
    let accounts = [
        "",
        "a",
        "a b",
        "a\tb",
        "a\u{7f}",
        "a\u{85}",
        &long(256),
        &long(257),
    ];
    let providers = [
        "",
        "lab-api",
        "-lab",
        "Lab",
        "lab_api",
        &"a".repeat(63),
        &"a".repeat(64),
    ];
    let scopes = [
        "",
        "openid",
        "a b",
        "a\"",
        "a\\",
        "é",
        &"a".repeat(255),
        &"a".repeat(256),
    ];
    let bodies = (accounts.map(|name| json!({"account": name})).into_iter())
        .chain(providers.map(|id| json!({"provider": id})))
        .chain(scopes.map(|scope| json!({"scopes": [scope]})));
    for body in bodies {
        let answer = kernel.create(&body).await;
        let refused = answer.code() == "bad_request";
        assert_eq!(refused, !contract::accepts("CreateSignIn", &body), "{body}");
    }
    for key in ["a", "a b", "a\tb", &"a".repeat(255), &"a".repeat(256)] {
        let answer = kernel.create_with_key(&json!({}), key).await;
        let accepted = contract::accepts_header("create_sign_in", "Idempotency-Key", key);
        assert_eq!(answer.code() == "bad_request", !accepted, "{key}");
    }
}

/// That the schema of a type takes the same texts as its parser, of texts near the edges of both.
#[track_caller]
fn assert_same<T: PartialSchema>(texts: &[&str], parses: impl Fn(&str) -> bool) {
    let schema = serde_json::to_value(T::schema()).unwrap();
    for text in texts {
        assert_eq!(contract::is_valid(&schema, text), parses(text), "{text:?}");
    }
    assert!(
        texts.iter().any(|text| parses(text)),
        "one of them is right"
    );
}

#[test]
fn found_k4_patterns_of_handles_take_what_their_parsers_take() {
    let random = "AZaz09-_AZaz09-_AZaz09";
    let handle = |short: &str, rest: &str| format!("{short}.{rest}");
    let handles = [
        handle("abcdef", random),
        handle("abcdef", &random[1..]),
        handle("abcdef", &format!("{random}A")),
        handle("abcdef", &random.replace('-', "+")),
        handle("abcde", random),
        handle("Abcdef", random),
        handle("abcdef.", random),
        format!("abcdef.{random}\n"),
        String::new(),
    ];
    let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
    assert_same::<Nonce>(&handles, |text| Nonce::parse(text).is_ok());
    assert_same::<ConnectionId>(&handles, |text| ConnectionId::parse(text).is_ok());
    let shorts = [
        "abcdef", "abcde", "abcdefg", "ABCDEF", "abcde1", "abcdef\n", "äbcdef", "",
    ];
    assert_same::<ShortId>(&shorts, |text| ShortId::parse(text).is_ok());
    let references = [
        "7QK2-M4TX",
        "7QK2M4TX",
        "7QK2-M4T",
        "0QK2-M4TX",
        "IQK2-M4TX",
        "7qk2-m4tx",
        "OQK2-M4TX",
        "7QK2-M4TX\n",
        "ZZZZ-9999",
    ];
    assert_same::<ErrorReference>(&references, |text| ErrorReference::parse(text).is_ok());
}
