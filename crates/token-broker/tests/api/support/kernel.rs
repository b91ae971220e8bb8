//! A program in a single-user server.

use axum::{Router, body::Body};
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::world::{Answer, send};

pub(crate) struct TestKernel {
    pub(crate) api: Router,
    pub(crate) token: String,
}

/// A sign-in as its kernel holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) nonce: String,
    pub(crate) poll_secret: String,
    pub(crate) sign_in_url: String,
}

impl Opened {
    /// What stands at the end of the link.
    pub(crate) fn ticket(&self) -> &str {
        self.sign_in_url.rsplit('/').next().expect("a ticket")
    }
}

/// A connection as its kernel holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connected {
    pub(crate) id: String,
    pub(crate) access_token: String,
}

impl TestKernel {
    pub(crate) fn new(api: Router, token: String) -> Self {
        Self { api, token }
    }

    /// A request with this kernel's token.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Request<Body> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        }
        .expect("a request")
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        send(&self.api, self.request(method, path, body)).await
    }

    pub(crate) async fn create(&self, body: &Value) -> Answer {
        self.send(Method::POST, "/v1/sign-ins", Some(body)).await
    }

    /// Opens a sign-in at `lab-api`; the test ends where that is not possible.
    pub(crate) async fn open(&self) -> Opened {
        self.open_with(&json!({"provider": "lab-api"})).await
    }

    pub(crate) async fn open_with(&self, body: &Value) -> Opened {
        let answer = self.create(body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
        opened(&answer.json())
    }

    /// As [`Self::create`], recognisable if it comes again.
    pub(crate) async fn create_with_key(&self, body: &Value, key: &str) -> Answer {
        let mut request = self.request(Method::POST, "/v1/sign-ins", Some(body));
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().expect("a header"));
        send(&self.api, request).await
    }

    pub(crate) async fn poll(&self, sign_in: &Opened) -> Answer {
        self.poll_as(&sign_in.nonce, &sign_in.poll_secret).await
    }

    pub(crate) async fn poll_as(&self, nonce: &str, poll_secret: &str) -> Answer {
        send(
            &self.api,
            self.of_sign_in(Method::GET, nonce, "", poll_secret),
        )
        .await
    }

    /// A poll that goes on beside the test.
    pub(crate) fn start_poll(&self, sign_in: &Opened) -> JoinHandle<Answer> {
        tokio::spawn(self.poll_of(sign_in))
    }

    /// A poll that was not sent yet.
    pub(crate) fn poll_of(&self, sign_in: &Opened) -> impl Future<Output = Answer> + Send + use<> {
        let request = self.of_sign_in(Method::GET, &sign_in.nonce, "", &sign_in.poll_secret);
        let api = self.api.clone();
        async move { send(&api, request).await }
    }

    pub(crate) async fn acknowledge(&self, sign_in: &Opened) -> Answer {
        let request = self.of_sign_in(Method::POST, &sign_in.nonce, "/ack", &sign_in.poll_secret);
        send(&self.api, request).await
    }

    pub(crate) async fn cancel(&self, sign_in: &Opened) -> Answer {
        let request = self.of_sign_in(Method::DELETE, &sign_in.nonce, "", &sign_in.poll_secret);
        send(&self.api, request).await
    }

    /// Collects a finished sign-in and says so; the test ends where it is not finished.
    pub(crate) async fn collect(&self, sign_in: &Opened) -> Connected {
        let ready = self.poll(sign_in).await;
        assert_eq!(ready.json()["status"], "connected", "{}", ready.json());
        let acknowledged = self.acknowledge(sign_in).await;
        assert_eq!(acknowledged.status, StatusCode::NO_CONTENT);
        connected(&ready.json())
    }

    pub(crate) async fn get_token(&self, connection: &str, min_valid: u64) -> Answer {
        let path = format!("/v1/connections/{connection}/token");
        self.send(
            Method::POST,
            &path,
            Some(&json!({"min_valid_seconds": min_valid})),
        )
        .await
    }

    /// What `GET /v1/connections` lists.
    pub(crate) async fn connections(&self) -> Vec<Value> {
        let answer = self.send(Method::GET, "/v1/connections", None).await;
        let list = answer.json()["connections"].as_array().cloned();
        list.unwrap_or_else(|| panic!("no list: {answer:?}"))
    }

    fn of_sign_in(
        &self,
        method: Method,
        nonce: &str,
        rest: &str,
        poll_secret: &str,
    ) -> Request<Body> {
        let mut request = self.request(method, &format!("/v1/sign-ins/{nonce}{rest}"), None);
        request
            .headers_mut()
            .insert("hubkey-poll-secret", poll_secret.parse().expect("a header"));
        request
    }

    /// The `state` of a poll's answer.
    pub(crate) async fn state(&self, sign_in: &Opened) -> String {
        let answer = self.poll(sign_in).await;
        answer.json()["status"]
            .as_str()
            .unwrap_or_else(|| panic!("no state: {answer:?}"))
            .to_owned()
    }
}

pub(crate) fn opened(answer: &Value) -> Opened {
    let text = |name: &str| {
        answer[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {answer}"))
            .to_owned()
    };
    Opened {
        nonce: text("nonce"),
        poll_secret: text("poll_secret"),
        sign_in_url: text("sign_in_url"),
    }
}

/// The connection of an answer that has one.
pub(crate) fn connected(answer: &Value) -> Connected {
    let text = |value: &Value| {
        value
            .as_str()
            .unwrap_or_else(|| panic!("no connection: {answer}"))
            .to_owned()
    };
    Connected {
        id: text(&answer["connection"]["id"]),
        access_token: text(&answer["token"]["access_token"]),
    }
}
