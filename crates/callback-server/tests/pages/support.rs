//! The real router in front of a scripted broker that speaks HTTP on loopback.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use hubkey_broker_client::{BrokerClient, Destination};
use hubkey_callback_server::{App, Parts, router};
use hubkey_protocol::{
    ErrorReference, ProviderId, ShortId, SignInFailure,
    internal::{
        BrowserAnswer, BrowserReply, ConfirmPage, DonePage, EndedPage, Page, ProviderLabel,
        Refusal, ScopeLabel, SiteInfo, StartPage,
    },
    secret::{CsrfToken, SecretUrl, SharedSecret},
};
use hubkey_service::http::Limits;
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::connections::{connections_page, no_connections_page};

pub(crate) const SHARED_SECRET: &str = "shared-secret";
pub(crate) const OWN: &str = "https://hubkey.example.org";
pub(crate) const SHARED: &str = "https://hub.example.org/services/hubkey";
pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-24 20:32:25 UTC);
pub(crate) const TICKET: &str = "abcdef.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
pub(crate) const STATE: &str = "abcdef.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
pub(crate) const COOKIE: &str = "__Host-Http-hk-abcdef=flow-cookie";

/// One question that the scripted broker got.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
    headers: HeaderMap,
}

impl Call {
    /// A header of it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Debug)]
struct Script {
    site: SiteInfo,
    answer: (StatusCode, Value),
    /// The header `traceparent` of its answers.
    trace: Option<&'static str>,
    calls: Vec<Call>,
}

/// A broker that says what the test told it to say.
#[derive(Debug, Clone)]
pub(crate) struct Broker(Arc<Mutex<Script>>);

impl Broker {
    pub(crate) fn says(&self, answer: BrowserAnswer) {
        self.replies(&BrowserReply {
            answer,
            set_cookie: None,
            clear_cookie: None,
        });
    }

    pub(crate) fn shows(&self, page: Page) {
        self.says(BrowserAnswer::Page { page });
    }

    pub(crate) fn replies(&self, reply: &BrowserReply) {
        self.answers(StatusCode::OK, serde_json::to_value(reply).unwrap());
    }

    pub(crate) fn answers(&self, status: StatusCode, body: Value) {
        self.0.lock().unwrap().answer = (status, body);
    }

    /// Says to which span what it is asked belongs.
    pub(crate) fn names_trace(&self, trace: &'static str) {
        self.0.lock().unwrap().trace = Some(trace);
    }

    /// The questions so far, without those for the site.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap().calls.clone()
    }

    /// The only question so far.
    pub(crate) fn call(&self) -> Call {
        let calls = self.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls[0].clone()
    }

    pub(crate) fn site(&self, change: impl FnOnce(&mut SiteInfo)) {
        change(&mut self.0.lock().unwrap().site);
    }

    pub(crate) async fn start(public_url: &str) -> (Self, String) {
        Self::start_at("127.0.0.1:0", public_url).await
    }

    pub(crate) async fn start_at(address: &str, public_url: &str) -> (Self, String) {
        let site = SiteInfo {
            hub_name: "hub.example.org".to_owned(),
            hub_url: "https://hub.example.org/".to_owned(),
            accent_color: None,
            support_url: None,
            public_url: public_url.to_owned(),
            shared_origin: false,
            key_sets: BTreeMap::new(),
        };
        let script = Script {
            site,
            answer: (StatusCode::NOT_FOUND, json!({})),
            trace: None,
            calls: Vec::new(),
        };
        let broker = Self(Arc::new(Mutex::new(script)));
        let router = Router::new().fallback(hear).with_state(broker.clone());
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (broker, url)
    }
}

async fn hear(State(broker): State<Broker>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut script = broker.0.lock().unwrap();
    if parts.uri.path() == "/internal/v1/site" {
        return Json(script.site.clone()).into_response();
    }
    let authorization = parts
        .headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap().to_owned());
    let body = serde_json::from_slice(&body).unwrap();
    script.calls.push(Call {
        path: parts.uri.path().to_owned(),
        authorization,
        body,
        headers: parts.headers,
    });
    let (status, answer) = script.answer.clone();
    let media_type = if status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    };
    let mut response = (
        status,
        [(header::CONTENT_TYPE, media_type)],
        answer.to_string(),
    )
        .into_response();
    if let Some(trace) = script.trace {
        let value = trace.parse().unwrap();
        response.headers_mut().insert("traceparent", value);
    }
    response
}

/// The server under test.
pub(crate) struct Server {
    pub(crate) broker: Broker,
    pub(crate) router: Router,
}

impl Server {
    /// On a host of its own.
    pub(crate) async fn own() -> Self {
        Self::at(OWN, |_| ()).await
    }

    /// On a path of the hub's origin.
    pub(crate) async fn shared() -> Self {
        Self::at(SHARED, |site| site.shared_origin = true).await
    }

    pub(crate) async fn at(public_url: &str, change: impl FnOnce(&mut SiteInfo)) -> Self {
        let (broker, url) = Broker::start(public_url).await;
        broker.site(change);
        let (app, mut watcher) = App::new(parts(&url, public_url));
        watcher.refresh().await.unwrap();
        Self {
            broker,
            router: router(&app),
        }
    }

    /// In front of a broker that is not there.
    pub(crate) async fn alone() -> Self {
        let (broker, _) = Broker::start(OWN).await;
        let nobody = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let (app, mut watcher) = App::new(parts(&format!("http://{nobody}"), OWN));
        assert!(watcher.refresh().await.is_err());
        Self {
            broker,
            router: router(&app),
        }
    }

    /// A person opens an address.
    pub(crate) async fn open(&self, path: &str) -> Answer {
        self.visit(Visit::open(path)).await
    }

    /// A person presses a button of a page of ours.
    pub(crate) async fn press(&self, path: &str, form: &str) -> Answer {
        self.visit(Visit::press(path, form)).await
    }

    pub(crate) async fn visit(&self, visit: Visit) -> Answer {
        let response = self.router.clone().oneshot(visit.0).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

fn parts(broker_url: &str, public_url: &str) -> Parts {
    let destination = Destination {
        url: broker_url.parse().unwrap(),
        ca_pem: None,
    };
    Parts {
        broker: BrokerClient::new(&destination, SharedSecret::new(SHARED_SECRET)).unwrap(),
        public_url: public_url.parse().unwrap(),
        now: || NOW,
        limits: Limits::public(),
    }
}

/// A request with the headers that a browser sends.
pub(crate) struct Visit(Request);

impl Visit {
    pub(crate) fn bare(method: Method, path: &str) -> Self {
        Self(
            Request::builder()
                .method(method)
                .uri(path)
                .body(Body::empty())
                .unwrap(),
        )
    }

    pub(crate) fn open(path: &str) -> Self {
        Self::bare(Method::GET, path).begun_at("cross-site")
    }

    pub(crate) fn press(path: &str, form: &str) -> Self {
        Self::bare(Method::POST, path)
            .begun_at("same-origin")
            .with("content-type", "application/x-www-form-urlencoded")
            .body(form)
    }

    pub(crate) fn begun_at(self, site: &str) -> Self {
        self.with("sec-fetch-mode", "navigate")
            .with("sec-fetch-dest", "document")
            .with("sec-fetch-site", site)
    }

    /// Sets a header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    /// Adds a header.
    pub(crate) fn and(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        *self.0.body_mut() = Body::from(body.to_owned());
        self
    }
}

/// What the browser gets.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        values[0].to_str().unwrap()
    }

    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    /// The body without the style sheet, which the snapshots need not repeat.
    pub(crate) fn markup(&self) -> String {
        let (before, rest) = self.body.split_once("<style>").unwrap();
        let (_, after) = rest.split_once("</style>").unwrap();
        format!("{before}<style>…</style>{after}")
    }

    /// The reference on the page.
    pub(crate) fn reference(&self) -> ErrorReference {
        let (_, rest) = self
            .body
            .split_once("class=\"reference\">")
            .expect("the page has a reference");
        ErrorReference::parse(&rest[..9]).unwrap()
    }
}

pub(crate) fn short() -> ShortId {
    ShortId::parse("abcdef").unwrap()
}

pub(crate) fn reference() -> ErrorReference {
    ErrorReference::parse("7QK2-M4TX").unwrap()
}

pub(crate) fn provider() -> ProviderLabel {
    ProviderLabel {
        id: ProviderId::parse("lab-api").unwrap(),
        display_name: "Lab API".to_owned(),
    }
}

pub(crate) fn scopes() -> Vec<ScopeLabel> {
    let described = |scope: &str, description: &str| ScopeLabel {
        scope: scope.to_owned(),
        description: Some(description.to_owned()),
    };
    vec![
        described("projects:read", "Read your projects"),
        described("email", "Know your e-mail address"),
        ScopeLabel {
            scope: "samples.export".to_owned(),
            description: None,
        },
    ]
}

pub(crate) fn start_page() -> StartPage {
    StartPage {
        flow: short(),
        csrf: CsrfToken::new("form-token"),
        provider: provider(),
        user: "alice".to_owned(),
        server: String::new(),
        scopes: scopes(),
    }
}

pub(crate) fn confirm_page() -> ConfirmPage {
    ConfirmPage {
        flow: short(),
        csrf: CsrfToken::new("form-token"),
        provider: provider(),
        provider_host: "login.lab.example".to_owned(),
        account: "alice.liddell@lab.example".to_owned(),
        user: "alice".to_owned(),
        server: "gpu".to_owned(),
        scopes: scopes(),
        replaces_account: false,
        shared_server: false,
        asked_at: u64::try_from(NOW.unix_timestamp() - 125).unwrap(),
    }
}

pub(crate) fn done_page() -> DonePage {
    DonePage {
        provider: provider(),
        account: "alice.liddell@lab.example".to_owned(),
    }
}

pub(crate) fn ended_page(reason: SignInFailure) -> EndedPage {
    EndedPage {
        provider: provider(),
        reason,
        reference: reference(),
    }
}

pub(crate) const REFUSALS: [Refusal; 6] = [
    Refusal::InvalidLink,
    Refusal::Forbidden,
    Refusal::Malformed,
    Refusal::TooLong,
    Refusal::RateLimited,
    Refusal::Unavailable,
];

pub(crate) fn refused(refusal: Refusal) -> BrowserAnswer {
    BrowserAnswer::Refused {
        refusal,
        reference: reference(),
    }
}

pub(crate) fn redirect(location: &str) -> BrowserAnswer {
    BrowserAnswer::Redirect {
        location: SecretUrl::new(location),
    }
}

pub(crate) fn leave(location: &str) -> BrowserAnswer {
    BrowserAnswer::RedirectPage {
        location: SecretUrl::new(location),
        provider: "Lab API".to_owned(),
    }
}

/// Each answer that the broker can give, by a word.
pub(crate) fn every_answer() -> Vec<(String, BrowserAnswer)> {
    let page = |page| BrowserAnswer::Page { page };
    let mut answers = vec![
        (
            "redirect".to_owned(),
            redirect("https://hub.example.org/hub/api/oauth2/authorize?state=x"),
        ),
        (
            "redirect_page".to_owned(),
            leave("https://login.lab.example/authorize?state=x"),
        ),
        ("view".to_owned(), BrowserAnswer::View { flow: short() }),
        ("start".to_owned(), page(Page::Start(start_page()))),
        ("confirm".to_owned(), page(Page::Confirm(confirm_page()))),
        ("done".to_owned(), page(Page::Done(done_page()))),
        (
            "connections".to_owned(),
            page(Page::Connections(connections_page())),
        ),
        (
            "connections-none".to_owned(),
            page(Page::Connections(no_connections_page())),
        ),
        (
            "to-connections".to_owned(),
            BrowserAnswer::Connections { flow: short() },
        ),
    ];
    let ended = |reason| (format!("{reason:?}"), page(Page::Ended(ended_page(reason))));
    answers.extend(SignInFailure::ALL.iter().copied().map(ended));
    answers.extend(REFUSALS.map(|refusal| (format!("{refusal:?}"), refused(refusal))));
    answers
}
