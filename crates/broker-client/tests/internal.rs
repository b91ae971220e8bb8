//! The internal half against a server that says what the test wants.

#![cfg(test)]

use std::{
    error::Error,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use hubkey_broker_client::{BrokerClient, ClientError, Destination};
use hubkey_protocol::{
    ErrorCode, ProviderId, ShortId,
    internal::{BrowserAnswer, GetPage, OpenLink, ProviderCallback},
    secret::{AuthorizationCode, SharedSecret, State, Ticket},
};
use tokio::net::TcpListener;

const CANARY: &str = "canary-ticket";
const VIEW: &str =
    r#"{"answer": {"kind": "view", "flow": "abcdef"}, "set_cookie": null, "clear_cookie": null}"#;

/// Who asks what, as the server saw it.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

async fn answering(
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> (BrokerClient<SharedSecret>, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let router = Router::new().fallback(async move |request: Request| {
        let authorization = request
            .headers()
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        log.lock().unwrap().push((
            format!("{} {}", request.method(), request.uri()),
            authorization,
        ));
        answer()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (client(&url), seen)
}

fn client(url: &str) -> BrokerClient<SharedSecret> {
    let destination = Destination {
        url: url.parse().unwrap(),
        ca_pem: None,
    };
    BrokerClient::new(&destination, SharedSecret::new("shared-secret")).unwrap()
}

fn start() -> OpenLink {
    OpenLink {
        ticket: Ticket::new(CANARY),
        source: None,
    }
}

/// An error with all its causes, as a log would show it.
fn told(error: &ClientError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text} {error} {error:?}");
        cause = error.source();
    }
    text
}

fn problem(status: u16, code: &str) -> Response {
    let body =
        format!(r#"{{"status": {status}, "code": "{code}", "title": "No.", "detail": "Wait."}}"#);
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/problem+json")], body).into_response()
}

#[tokio::test]
async fn each_method_asks_its_endpoint_with_the_shared_secret() {
    let (client, seen) = answering(|| VIEW.into_response()).await;
    let reply = client.start(&start()).await.unwrap();
    assert!(matches!(reply.answer, BrowserAnswer::View { flow } if flow.as_str() == "abcdef"));
    let flow = ShortId::parse("abcdef").unwrap();
    client
        .view(&GetPage {
            flow,
            flow_cookie: None,
            source: None,
        })
        .await
        .unwrap();
    let message = ProviderCallback {
        flow_cookie: None,
        state: State::new("s"),
        code: Some(AuthorizationCode::new("c")),
        iss: None,
        error: None,
        too_long: None,
        source: None,
    };
    client
        .callback(&ProviderId::parse("lab-api").unwrap(), &message)
        .await
        .unwrap();
    let seen = seen.lock().unwrap().clone();
    let paths: Vec<_> = seen.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "POST /internal/v1/start",
            "POST /internal/v1/view",
            "POST /internal/v1/callback/lab-api"
        ]
    );
    assert!(
        seen.iter()
            .all(|(_, authorization)| authorization.as_deref() == Some("Bearer shared-secret"))
    );
}

#[tokio::test]
async fn a_problem_keeps_its_word_and_says_whether_to_wait() {
    let (client, _) = answering(|| problem(503, "store_unavailable")).await;
    let error = client.start(&start()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::StoreUnavailable));
    assert!(error.is_transient());
    let (client, _) = answering(|| problem(401, "missing_token")).await;
    let error = client.site().await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_transient()),
        (Some(ErrorCode::MissingToken), false)
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (client, seen) =
        answering(|| axum::response::Redirect::temporary("/elsewhere").into_response()).await;
    let error = client.start(&start()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unexpected { status: 307 }),
        "{error:?}"
    );
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let (client, _) = answering(|| Response::new(Body::from(vec![b' '; 2 * 1024 * 1024]))).await;
    let error = client.start(&start()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unexpected { status: 200 }),
        "{error:?}"
    );
}

#[tokio::test]
async fn security_l3_no_error_shows_what_was_sent_or_where() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut errors = vec![
        client(&format!("http://{nobody}/secret-path"))
            .start(&start())
            .await
            .unwrap_err(),
    ];
    for answer in ["not json canary", r#"{"answer": {"kind": "canary"}}"#] {
        let (client, _) = answering(move || answer.into_response()).await;
        errors.push(client.start(&start()).await.unwrap_err());
    }
    for error in errors {
        let told = told(&error);
        for word in ["canary", "secret-path", "shared-secret"] {
            assert!(!told.contains(word), "{told}");
        }
    }
    let client = client("http://127.0.0.1:1/");
    assert!(!format!("{client:?}").contains("shared-secret"));
}

#[tokio::test]
async fn a_credential_that_no_header_can_carry_is_told_at_once() {
    let destination = Destination {
        url: "http://127.0.0.1:1".parse().unwrap(),
        ca_pem: None,
    };
    let error = BrokerClient::new(&destination, SharedSecret::new("a\nb")).unwrap_err();
    assert!(matches!(error, ClientError::Setup(_)));
    let destination = Destination {
        ca_pem: Some(b"no certificate".to_vec()),
        ..destination
    };
    assert!(BrokerClient::new(&destination, SharedSecret::new("a")).is_err());
}
