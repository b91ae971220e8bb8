//! The HTTP client: its limits, and what it refuses to talk to.

use std::time::{Duration, Instant};

use hubkey_fakes::fake_http::{Pace, Reply};
use hubkey_fakes::scripted_hub::{HubEndpoint, ScriptedHub, models};
use hubkey_protocol::{
    ErrorCode,
    bounds::{Beyond, Bound, BoundGroup},
    secret::ClientSecret,
};
use hubkey_token_broker::hub::KernelError;
use hubkey_token_broker::hub::config::HubConfigError;
use hubkey_token_broker::hub::http::HubApi;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};

use crate::stage::{SERVICE_TOKEN, Stage, config, refusal};

#[test]
fn security_x1_plain_http_to_another_machine_needs_a_word() {
    let error = |url: &str, allow_plaintext: bool| {
        let mut config = config(url);
        config.allow_plaintext = allow_plaintext;
        HubApi::new(&config).err()
    };
    for url in [
        "http://hub:8081/hub/api",
        "http://10.0.0.1/hub/api",
        "http://localhost.example.org/hub/api",
        "http://[2001:db8::1]/hub/api",
    ] {
        assert_eq!(error(url, false), Some(HubConfigError::Plaintext), "{url}");
        assert_eq!(error(url, true), None, "{url}");
    }
    for url in [
        "https://hub.example.org/hub/api",
        "http://127.0.0.1:8081/hub/api",
        "http://127.1.2.3/hub/api",
        "http://[::1]:8081/hub/api",
        "http://localhost/hub/api",
    ] {
        assert_eq!(error(url, false), None, "{url}");
    }
}

#[test]
fn urls_and_tokens_that_cannot_be_meant_are_refused() {
    for url in [
        "ftp://hub/hub/api",
        "data:text/plain,hub",
        "https://user@hub/hub/api",
        "https://:secret@hub/hub/api",
        "https://hub/hub/api?token=x",
        "https://hub/hub/api#x",
    ] {
        let error = HubApi::new(&config(url)).err();
        assert_eq!(error, Some(HubConfigError::Url("api_url")), "{url}");
    }
    for token in ["", "a\r\nX-Injected: 1"] {
        let mut config = config("https://hub/hub/api");
        config.api_token = ClientSecret::new(token);
        assert_eq!(HubApi::new(&config).err(), Some(HubConfigError::ApiToken));
    }
    let mut config = config("https://hub/hub/api");
    config.ca_pem = Some(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".into());
    assert_eq!(
        HubApi::new(&config).err(),
        Some(HubConfigError::Certificates)
    );
}

#[tokio::test]
async fn security_k6_a_redirect_is_not_followed() {
    let stage = Stage::set().await;
    let elsewhere = ScriptedHub::start().await.unwrap();
    for code in [301, 302, 303, 307, 308] {
        let status = http::StatusCode::from_u16(code).unwrap();
        let location = format!("{}/user", elsewhere.api_url());
        let reply = Reply::redirect(status, &location);
        let token = stage.hub.token_with_reply(reply);
        assert_eq!(
            refusal(stage.asked(&token).await),
            Some(KernelError::HubUnavailable)
        );
    }
    assert_eq!(elsewhere.hits(HubEndpoint::User), 0);
}

#[tokio::test]
async fn security_k5_an_answer_without_end_is_cut() {
    let stage = Stage::set().await;
    let endless = Reply::json_text(" ".repeat(1024)).paced(Pace::Endless);
    let token = stage.hub.token_with_reply(endless);
    assert_eq!(
        refusal(stage.asked(&token).await),
        Some(KernelError::HubUnavailable)
    );
}

#[tokio::test]
async fn found_c_each_bound_of_the_hub_holds_at_both_sides() {
    for bound in Bound::of(BoundGroup::Hub) {
        let expected = match bound.row().beyond {
            Beyond::Refused(ErrorCode::HubUnavailable) => KernelError::HubUnavailable,
            Beyond::Refused(ErrorCode::NotAServerToken) => KernelError::NotAServerToken,
            other => panic!("{other:?} has no probe"),
        };
        let stage = Stage::set().await;
        let ask = async |size: usize| {
            let model = match bound {
                Bound::HubAnswer => padded(models::server("alice", ""), size),
                Bound::HubName => models::server(&"u".repeat(size), ""),
                Bound::ServerName => models::server("alice", &"s".repeat(size)),
                _ => panic!("{} has no probe", bound.name()),
            };
            let token = stage.hub.token_with_reply(Reply::json(&model));
            stage.asked(&token).await
        };
        assert!(ask(bound.limit()).await.is_ok(), "{}", bound.name());
        let refused = refusal(ask(bound.limit() + 1).await);
        assert_eq!(refused, Some(expected), "{}", bound.name());
    }
}

/// The model in exactly so many bytes.
fn padded(mut model: Value, bytes: usize) -> Value {
    let rest = bytes - model.to_string().len() - r#","padding":"""#.len();
    model["padding"] = json!("x".repeat(rest));
    model
}

#[tokio::test]
async fn an_answer_that_drips_is_given_up_after_ten_seconds() {
    let stage = Stage::set().await;
    let drip = Pace::Drip {
        bytes: 1,
        every: Duration::from_millis(500),
    };
    let reply = Reply::json(&models::server("alice", "")).paced(drip);
    let token = stage.hub.token_with_reply(reply);
    let start = Instant::now();
    assert_eq!(
        refusal(stage.asked(&token).await),
        Some(KernelError::HubUnavailable)
    );
    assert!(start.elapsed() < Duration::from_secs(12));
}

#[test]
fn security_l4_debug_shows_no_secret() {
    let config = config("https://hub.example.org/hub/api");
    let api = HubApi::new(&config).unwrap();
    let shown = format!("{config:?} {api:?}");
    assert!(!shown.contains(SERVICE_TOKEN), "{shown}");
}

#[tokio::test]
async fn questions_are_counted_by_endpoint_and_outcome() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let stage = Stage::set().await;
    let good = stage.hub.server_token("alice", "");
    let odd = stage.hub.token_with_reply(Reply::html("<p>"));
    stage.asked(&good).await.unwrap();
    stage.asked(&odd).await.unwrap_err();
    stage.asked("0123456789abcdef").await.unwrap_err();
    let text = rendered.render();
    for outcome in ["ok", "refused", "unavailable"] {
        let line = format!(r#"hubkey_hub_requests_total{{endpoint="user",outcome="{outcome}"}} 1"#);
        assert!(text.contains(&line), "{text}");
    }
}
