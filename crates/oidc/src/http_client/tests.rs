//! Names and the addresses behind them, over real connections.

use std::net::{Ipv4Addr, SocketAddr};

use hubkey_domain::{
    clock::{TestClock, Timestamp},
    provider::OutboundRules,
    random::RandomSource,
};
use hubkey_fakes::hostile_provider::{Endpoint as Asked, HostileProvider};
use reqwest::dns::{Addrs, Name, Resolving};

use super::*;

/// No chance: no circuit opens here, and only then is there any.
#[derive(Debug)]
struct NoChance;

impl RandomSource for NoChance {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Says of every name that it lies at these addresses.
struct Always(&'static [Ipv4Addr]);

impl Resolve for Always {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses = self.0.iter().map(|address| SocketAddr::from((*address, 0)));
        Box::pin(async move { Ok(Box::new(addresses) as Addrs) })
    }
}

/// What comes of asking `op.example` for its metadata when its name leads to loopback.
async fn ask(op: &HostileProvider, private: &[&str]) -> Result<StatusCode, RequestError> {
    let url = Url::parse(&op.url_at("op.example")).unwrap();
    let rules = OutboundRules {
        allow_plaintext: true,
        allow_private_hosts: private.iter().map(|&host| host.to_owned()).collect(),
        ..OutboundRules::default()
    };
    let policy = Arc::new(EgressPolicy::new(&rules, &url));
    let resolver = Guarded::new(
        Arc::clone(&policy),
        Arc::new(Always(&[Ipv4Addr::LOCALHOST])),
    );
    let provider = ProviderId::parse("op").unwrap();
    let breaker = Breaker::new(
        provider.clone(),
        Arc::new(TestClock::at(Timestamp::from_millis(0))),
        Arc::new(NoChance),
    );
    let client = builder(resolver, Vec::new()).build();
    let http = HttpClient::with(provider, policy, breaker, client).unwrap();
    let url = url.join("/.well-known/openid-configuration").unwrap();
    let answer = http.get(Endpoint::Discovery, &url, None).await;
    answer.map(|answer| answer.status)
}

#[tokio::test]
async fn security_p71_a_name_that_leads_inside_is_refused_before_a_byte_is_sent() {
    let op = HostileProvider::start().await.unwrap();
    assert_eq!(ask(&op, &["op.example"]).await, Ok(StatusCode::OK));
    op.forget_requests();
    assert_eq!(ask(&op, &[]).await, Err(RequestError::EgressDenied));
    assert_eq!(
        ask(&op, &["other.example"]).await,
        Err(RequestError::EgressDenied)
    );
    assert_eq!(op.hits(Asked::Discovery), 0);
}

#[tokio::test]
async fn security_l4_an_answer_does_not_show_its_body() {
    let answer = Answer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Zeroizing::new(b"canary".to_vec()),
    };
    assert_eq!(format!("{answer:?}"), "Answer(200 OK)");
}

#[test]
fn a_wait_is_read_as_seconds_or_as_a_date_and_is_else_unknown() {
    const DATED: &str = "Mon, 30 Nov 2026 12:00:00 GMT";
    let wait = |asked: &'static str, date: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(asked));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        let answer = Answer {
            status: StatusCode::SERVICE_UNAVAILABLE,
            headers,
            body: Zeroizing::default(),
        };
        answer.retry_after().map(|wait| wait.as_secs())
    };
    for (asked, expected) in [
        ("20", Some(20)),
        (" 20 ", Some(20)),
        ("0", Some(0)),
        ("1000000000", Some(1_000_000_000)),
        ("99999999999999999999", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("Mon, 30 Nov 2026 12:00:30 GMT", Some(30)),
        ("Monday, 30-Nov-26 12:01:00 GMT", Some(60)),
        ("Mon Nov 30 12:00:05 2026", Some(5)),
        ("Mon, 30 Nov 2026 11:00:00 GMT", Some(0)),
        ("Mon, 30 Nov 2026 12:00:30 +0100", None),
    ] {
        assert_eq!(wait(asked, Some(DATED)), expected, "{asked}");
    }
    assert_eq!(wait("Mon, 30 Nov 2026 12:00:30 GMT", None), None);
    assert_eq!(wait("20", None), Some(20));
}
