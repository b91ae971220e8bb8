//! A program in a single-user server.

use axum::{Router, body::Body};
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::world::{Answer, send};

pub(crate) struct TestKernel {
    pub(crate) api: Router,
    pub(crate) token: String,
}

/// A sign-in as its kernel holds it.
#[derive(Debug, Clone)]
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

    pub(crate) async fn poll(&self, sign_in: &Opened) -> Answer {
        self.poll_as(&sign_in.nonce, &sign_in.poll_secret).await
    }

    pub(crate) async fn poll_as(&self, nonce: &str, poll_secret: &str) -> Answer {
        let mut request = self.request(Method::GET, &format!("/v1/sign-ins/{nonce}"), None);
        request
            .headers_mut()
            .insert("hubkey-poll-secret", poll_secret.parse().expect("a header"));
        send(&self.api, request).await
    }

    pub(crate) async fn acknowledge(&self, sign_in: &Opened) -> Answer {
        let mut request = self.request(
            Method::POST,
            &format!("/v1/sign-ins/{}/ack", sign_in.nonce),
            None,
        );
        request.headers_mut().insert(
            "hubkey-poll-secret",
            sign_in.poll_secret.parse().expect("a header"),
        );
        send(&self.api, request).await
    }

    pub(crate) async fn cancel(&self, sign_in: &Opened) -> Answer {
        let mut request = self.request(
            Method::DELETE,
            &format!("/v1/sign-ins/{}", sign_in.nonce),
            None,
        );
        request.headers_mut().insert(
            "hubkey-poll-secret",
            sign_in.poll_secret.parse().expect("a header"),
        );
        send(&self.api, request).await
    }

    /// The `state` of a poll's answer.
    pub(crate) async fn state(&self, sign_in: &Opened) -> String {
        let answer = self.poll(sign_in).await;
        answer.json()["state"]
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
