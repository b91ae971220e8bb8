//! The kernel's client against a server that answers as each test says.

#![cfg(test)]

use std::{
    collections::VecDeque,
    error::Error,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode, header},
};
use futures_util::stream;
use hubkey_broker_client::{BrokerClient, ClientError, Destination};
use hubkey_protocol::{
    ConnectionId, CreateSignIn, ErrorCode, SignInOpened, SignInStatus, TokenRequest,
    bounds::{Bound, BoundGroup},
    secret::ServerToken,
};
use tokio::{net::TcpListener, time::Instant};

const OPENED: &str = r#"{"nonce":"abcdef.AAAAAAAAAAAAAAAAAAAAAA","poll_secret":"canary-secret",
    "sign_in_url":"https://hub.example.org/start/canary","expires_in":600,"provider":"lab-api",
    "display_name":"Lab API","user":"alice"}"#;
const TOKEN: &str =
    r#"{"access_token":"canary-access-token","token_type":"Bearer","scopes":["read"]}"#;
const CONNECTION: &str = "abcdef.AAAAAAAAAAAAAAAAAAAAAA";
const PENDING: &str = r#"{"status":"pending","retry_after_ms":1}"#;
const EXPIRED: &str = r#"{"status":"expired"}"#;

/// The answers that are left, and the requests that came.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Response<Body>>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Script {
    fn header(&self, index: usize, name: &str) -> String {
        self.requests.lock().unwrap()[index].headers()[name]
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

async fn next(State(script): State<Script>, request: Request) -> Response<Body> {
    script.requests.lock().unwrap().push(request);
    script
        .answers
        .lock()
        .unwrap()
        .pop_front()
        .expect("the client asked more often than the test expects")
}

async fn scripted(
    answers: impl IntoIterator<Item = Response<Body>>,
) -> (BrokerClient<ServerToken>, Script) {
    let script = Script {
        answers: Arc::new(Mutex::new(answers.into_iter().collect())),
        ..Script::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let router = Router::new().fallback(next).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let destination = Destination { url, ca_pem: None };
    (
        BrokerClient::new(&destination, ServerToken::new("canary-token")).unwrap(),
        script,
    )
}

fn answer(status: u16, body: &str) -> Response<Body> {
    let media_type = if status < 400 {
        "application/json"
    } else {
        "application/problem+json"
    };
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, media_type)
        .body(Body::from(body.to_owned()))
        .unwrap()
}

fn problem(status: u16, code: &str, retry_after: u64) -> Response<Body> {
    let body = format!(
        r#"{{"status":{status},"code":"{code}","title":"T.","detail":"D.","retry_after":{retry_after}}}"#
    );
    answer(status, &body)
}

/// An answer that breaks off, as that of a broker that is killed meanwhile.
fn lost() -> Response<Body> {
    let broken = stream::iter([Err::<&[u8], _>(io::Error::other("killed"))]);
    Response::new(Body::from_stream(broken))
}

fn opened() -> SignInOpened {
    serde_json::from_str(OPENED).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test]
async fn security_r19_a_creation_is_repeated_with_its_key_while_the_broker_is_busy() {
    let created = OPENED.replacen('{', r#"{"status":"opened","#, 1);
    let busy = [
        problem(503, "store_unavailable", 0),
        problem(429, "rate_limited", 1),
    ];
    let (client, script) = scripted(busy.into_iter().chain([answer(201, &created)])).await;
    let began = Instant::now();
    client
        .create_sign_in(&CreateSignIn::default(), "the-key", soon())
        .await
        .unwrap();
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "Retry-After is kept"
    );
    for index in 0..3 {
        assert_eq!(script.header(index, "idempotency-key"), "the-key");
        assert_eq!(script.header(index, "authorization"), "Bearer canary-token");
    }
}

#[tokio::test]
async fn refusals_that_repeating_does_not_mend_are_not_repeated() {
    for (status, code) in [
        (400, "bad_request"),
        (403, "invalid_token"),
        (429, "too_many_sign_ins"),
        (500, "internal"),
    ] {
        let (client, script) = scripted([problem(status, code, 0)]).await;
        client
            .create_sign_in(&CreateSignIn::default(), "the-key", soon())
            .await
            .unwrap_err();
        assert_eq!(script.count(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_refusal_names_its_request_as_the_brokers_log_does() {
    for (sent, read) in [
        (Some("0123456789abcdef"), Some("0123456789abcdef")),
        (Some("<b>0123456789</b>"), None),
        (Some("short"), None),
        (None, None),
    ] {
        let mut refusal = problem(403, "invalid_token", 0);
        if let Some(id) = sent {
            refusal
                .headers_mut()
                .insert("x-request-id", id.parse().unwrap());
        }
        let (client, _) = scripted([refusal]).await;
        let error = client.providers(soon()).await.unwrap_err();
        let ClientError::Problem { request_id, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(request_id.as_deref(), read);
    }
}

#[tokio::test]
async fn a_token_whose_answer_was_lost_is_asked_for_again() {
    let (client, script) = scripted([lost(), answer(200, TOKEN)]).await;
    let id = ConnectionId::parse(CONNECTION).unwrap();
    let wish = TokenRequest::default();
    client.token(&id, &wish, soon()).await.unwrap();
    assert_eq!(script.count(), 2);
}

#[tokio::test]
async fn a_busy_broker_is_not_asked_beyond_the_deadline() {
    let (client, script) = scripted([problem(503, "overloaded", 30)]).await;
    let error = client.providers(soon()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Overloaded));
    assert_eq!(script.count(), 1);
}

#[tokio::test]
async fn a_poll_goes_on_until_the_sign_in_has_ended() {
    let (client, script) = scripted([
        answer(200, PENDING),
        answer(200, PENDING),
        answer(200, EXPIRED),
    ])
    .await;
    let status = client.finished_sign_in(&opened(), soon()).await.unwrap();
    assert!(matches!(status, SignInStatus::Expired));
    assert_eq!(script.header(2, "hubkey-poll-secret"), "canary-secret");
}

#[tokio::test]
async fn security_r18_a_second_acknowledgement_is_a_success_too() {
    let (client, script) = scripted([answer(204, ""), answer(204, "")]).await;
    client.acknowledge(&opened(), soon()).await.unwrap();
    client.acknowledge(&opened(), soon()).await.unwrap();
    assert_eq!(
        script.requests.lock().unwrap()[0].uri().path(),
        "/v1/sign-ins/abcdef.AAAAAAAAAAAAAAAAAAAAAA/ack"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut redirect = answer(307, "");
    redirect
        .headers_mut()
        .insert(header::LOCATION, "/elsewhere".parse().unwrap());
    *redirect.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let (client, script) = scripted([redirect]).await;
    let error = client.cancel(&opened(), soon()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unexpected { status: 307 }),
        "{error:?}"
    );
    assert_eq!(script.count(), 1);
}

#[tokio::test]
async fn security_l3_an_error_names_no_url_and_no_secret() {
    let destination = Destination {
        url: "http://127.0.0.1:1/canary-path".parse().unwrap(),
        ca_pem: None,
    };
    let client = BrokerClient::new(&destination, ServerToken::new("canary-token")).unwrap();
    let error = client
        .sign_in_status(&opened(), Instant::now())
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(_)));
    let mut shown = format!("{error} {error:?}");
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        shown += &error.to_string();
        cause = error.source();
    }
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_file_without_certificates_is_refused() {
    let destination = Destination {
        url: "https://broker.example".parse().unwrap(),
        ca_pem: Some(b"none".to_vec()),
    };
    let error = BrokerClient::new(&destination, ServerToken::new("t")).unwrap_err();
    assert!(matches!(error, ClientError::Setup(_)), "{error:?}");
}

#[tokio::test]
async fn found_c_each_bound_of_the_broker_holds_at_both_sides() {
    for bound in Bound::of(BoundGroup::Broker) {
        assert_eq!(bound, Bound::BrokerAnswer, "has no probe");
        let padded = |size: usize| {
            let end = r#","padding":"""#.len();
            let token = TOKEN.strip_suffix('}').unwrap();
            let padding = "x".repeat(size - TOKEN.len() - end);
            let whole = format!("{token},\"padding\":\"{padding}\"}}");
            assert_eq!(whole.len(), size);
            whole
        };
        let [fits, long] = [bound.limit(), bound.limit() + 1].map(padded);
        let (client, _) = scripted([answer(200, &fits), answer(200, &long)]).await;
        let connection = ConnectionId::parse(CONNECTION).unwrap();
        let request = TokenRequest::default();
        client.token(&connection, &request, soon()).await.unwrap();
        let error = client
            .token(&connection, &request, soon())
            .await
            .unwrap_err();
        assert!(
            matches!(error, ClientError::Unexpected { status: 200 }),
            "{error:?}"
        );
    }
}
