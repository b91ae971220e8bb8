//! A person's browser: what callback-server would relay of it, and the redirects that it follows at the Hub and at the
//! provider.

use std::collections::BTreeMap;

use http::StatusCode;
use reqwest::{Client, header, redirect::Policy};
use serde_json::{Value, json};
use url::Url;

use crate::support::{
    kernel::Opened,
    world::{World, internal_request, send},
};

pub(crate) struct TestBrowser<'w> {
    world: &'w World,
    /// Who is logged in at the Hub in this browser.
    pub(crate) hub_user: String,
    /// Flow cookies by their short id.
    pub(crate) cookies: BTreeMap<String, String>,
    http: Client,
}

/// Where a sign-in stands after a step: the broker's answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply(pub(crate) Value);

impl Reply {
    /// `redirect`, `leave`, `view`, `page` or `refused`.
    pub(crate) fn kind(&self) -> &str {
        self.0["answer"]["kind"].as_str().expect("a kind")
    }

    /// The URL of a redirect or of a page that leaves.
    pub(crate) fn location(&self) -> &str {
        self.0["answer"]["location"]
            .as_str()
            .unwrap_or_else(|| panic!("no location: {}", self.0))
    }

    /// The flow of a view.
    pub(crate) fn flow(&self) -> &str {
        self.0["answer"]["flow"]
            .as_str()
            .unwrap_or_else(|| panic!("no flow: {}", self.0))
    }

    /// The kind of a refusal; empty where it is none.
    pub(crate) fn refusal(&self) -> &str {
        self.0["answer"]["refusal"].as_str().unwrap_or_default()
    }

    /// As if this page had been answered with.
    pub(crate) fn of_page(page: &Value) -> Self {
        Self(json!({"answer": {"kind": "page", "page": page}}))
    }

    /// The page's model.
    pub(crate) fn page(&self) -> &Value {
        &self.0["answer"]["page"]
    }
}

impl<'w> TestBrowser<'w> {
    pub(crate) fn new(world: &'w World, hub_user: &str) -> Self {
        let http = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            world,
            hub_user: hub_user.to_owned(),
            cookies: BTreeMap::new(),
            http,
        }
    }

    /// A whole sign-in by link: through Hub and provider, and Connect on the confirmation page where it is shown.
    pub(crate) async fn sign_in(&mut self, sign_in: &Opened) -> Reply {
        let at_provider = self.go_to_provider(sign_in).await;
        let back = self.at_provider(at_provider.location()).await;
        self.come_back("lab-api", &back).await
    }

    /// Back from a provider, and Connect on the confirmation page where it is shown.
    pub(crate) async fn come_back(&mut self, provider: &str, back: &Url) -> Reply {
        let reply = self.callback(provider, back).await;
        if reply.kind() != "view" {
            return reply;
        }
        let page = self.view(reply.flow()).await;
        if page.page()["page"] == "confirm" {
            self.decide("confirm", &page, "accept").await
        } else {
            reply
        }
    }

    /// From the link to the redirect that leads to the provider, through the start page where it is shown.
    pub(crate) async fn go_to_provider(&mut self, sign_in: &Opened) -> Reply {
        let started = self.start(sign_in.ticket()).await;
        assert_eq!(started.kind(), "redirect", "{started:?}");
        let back = self.at_hub(started.location()).await;
        let reply = self.hub_callback(&back).await;
        if reply.kind() != "view" {
            return reply;
        }
        let page = self.view(reply.flow()).await;
        self.decide("continue", &page, "accept").await
    }

    /// Opens a link.
    pub(crate) async fn start(&mut self, ticket: &str) -> Reply {
        self.ask("start", &json!({"ticket": ticket})).await
    }

    /// Follows a redirect to the Hub's authorize page; gives the redirect back.
    pub(crate) async fn at_hub(&self, location: &str) -> Url {
        let cookie = format!("scripted-hub-user={}", self.hub_user);
        let request = self.http.get(location).header(header::COOKIE, cookie);
        redirect_of(&request.send().await.expect("the Hub answers"), location)
    }

    /// Comes back from the Hub.
    pub(crate) async fn hub_callback(&mut self, back: &Url) -> Reply {
        let state = parameter(back, "state").expect("a state");
        let body = json!({
            "state": state, "code": parameter(back, "code"), "flow_cookie": self.cookie_of(&state),
        });
        self.ask("hub-callback", &body).await
    }

    /// Follows a redirect to the provider, where the person signs in; gives the redirect back.
    pub(crate) async fn at_provider(&self, location: &str) -> Url {
        redirect_of(
            &self
                .http
                .get(location)
                .send()
                .await
                .expect("the provider answers"),
            location,
        )
    }

    /// Comes back from a provider.
    pub(crate) async fn callback(&mut self, provider: &str, back: &Url) -> Reply {
        let body = self.returned(back);
        self.ask(&format!("callback/{provider}"), &body).await
    }

    /// The page of a flow.
    pub(crate) async fn view(&mut self, flow: &str) -> Reply {
        let cookie = self.cookies.get(flow).cloned();
        self.ask("view", &json!({"flow": flow, "flow_cookie": cookie}))
            .await
    }

    /// Presses a button of the start page (`continue`) or of the confirmation page (`confirm`).
    pub(crate) async fn decide(&mut self, step: &str, page: &Reply, decision: &str) -> Reply {
        let flow = page.page()["flow"]
            .as_str()
            .unwrap_or_else(|| panic!("no flow: {page:?}"))
            .to_owned();
        let csrf = page.page()["csrf"]
            .as_str()
            .expect("a CSRF token")
            .to_owned();
        self.decide_with(step, &flow, &csrf, decision).await
    }

    pub(crate) async fn decide_with(
        &mut self,
        step: &str,
        flow: &str,
        csrf: &str,
        decision: &str,
    ) -> Reply {
        let cookie = self.cookies.get(flow).cloned();
        let body = json!({"flow": flow, "flow_cookie": cookie, "csrf": csrf, "decision": decision});
        self.ask(step, &body).await
    }

    /// The flow cookie that a state names.
    pub(crate) fn cookie_of(&self, state: &str) -> Option<String> {
        self.cookies.get(state.split('.').next()?).cloned()
    }

    /// The body of `callback` for a redirect that came back to this browser.
    pub(crate) fn returned(&self, back: &Url) -> Value {
        let state = parameter(back, "state").expect("a state");
        json!({
            "state": state, "flow_cookie": self.cookie_of(&state),
            "code": parameter(back, "code"), "iss": parameter(back, "iss"), "error": parameter(back, "error"),
        })
    }

    pub(crate) async fn ask(&mut self, step: &str, body: &Value) -> Reply {
        let reply = ask(self.world, step, body).await;
        if let Some(set) = reply.0["set_cookie"].as_object() {
            let text = |name: &str| set[name].as_str().expect("text").to_owned();
            self.cookies.insert(text("flow"), text("value"));
        }
        if let Some(flow) = reply.0["clear_cookie"].as_str() {
            self.cookies.remove(flow);
        }
        reply
    }
}

/// One step of a browser, as callback-server relays it.
pub(crate) async fn ask(world: &World, step: &str, body: &Value) -> Reply {
    let request = || internal_request(&format!("/internal/v1/{step}"), body);
    let mut answer = send(&world.internal_api, request()).await;
    if let Some(wait) = world.on_outage.get() {
        for _ in 0..3 {
            if answer.status == StatusCode::SERVICE_UNAVAILABLE {
                wait().await;
                answer = send(&world.internal_api, request()).await;
            }
        }
    }
    assert!(
        answer.status.is_success(),
        "{step}: {} {}",
        answer.status,
        answer.json()
    );
    let text = String::from_utf8(answer.bytes.clone()).expect("text");
    let mut answers = world
        .internal_answers
        .lock()
        .expect("no test panicked here");
    answers.push(text);
    Reply(answer.json())
}

/// A parameter of a redirect.
pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}

fn redirect_of(response: &reqwest::Response, from: &str) -> Url {
    let status = response.status();
    let location = response
        .headers()
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok());
    let location = location.unwrap_or_else(|| panic!("{status} without a redirect"));
    Url::parse(from)
        .and_then(|url| url.join(location))
        .expect("a URL")
}
