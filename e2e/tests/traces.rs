//! One sign-in is one readable trace, and the trace says nothing that is not for everybody's eyes.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hubkey_e2e::evidence::canary::Canaries;
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::kernel::Kernel;
use hubkey_e2e::real::keycloak::Person;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::{LAB_API, Stack, StackOptions};
use hubkey_fakes::collector::{Collector, Span};

type Outcome = anyhow::Result<()>;

const CONNECT: &str = "import hubkey\nlab = await hubkey.connect('lab-api')";
const TELL: &str = "import os\nprint(lab.token)\nprint(os.environ['JUPYTERHUB_API_TOKEN'])";
const SOON: Duration = Duration::from_secs(20);
const BROKER: &str = "hubkey-token-broker";
const CALLBACK: &str = "hubkey-callback-server";

/// Which spans a first sign-in has at least, and who tells of them.
const EXPECTED: [(&str, &str); 19] = [
    (BROKER, "connect"),
    (BROKER, "POST /v1/sign-ins"),
    (BROKER, "GET /v1/sign-ins/{nonce}"),
    (BROKER, "wait for wake-up"),
    (CALLBACK, "GET /start/{ticket}"),
    (BROKER, "POST /internal/v1/start"),
    (CALLBACK, "GET /oauth_callback"),
    (BROKER, "POST /internal/v1/hub-callback"),
    (BROKER, "hub token"),
    (BROKER, "hub user"),
    (CALLBACK, "GET /callback/{provider}"),
    (BROKER, "POST /internal/v1/callback/{provider}"),
    (BROKER, "provider token"),
    (CALLBACK, "POST /confirm/{flow}"),
    (BROKER, "POST /internal/v1/confirm"),
    (BROKER, "store read"),
    (BROKER, "store commit"),
    (BROKER, "delivery"),
    (BROKER, "POST /v1/sign-ins/{nonce}/ack"),
];

/// Every attribute that a span may have.
const ATTRIBUTES: [&str; 9] = [
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "hubkey.outcome",
    "hubkey.provider",
    "hubkey.records",
    "server.address",
    "url.scheme",
];

/// A finished sign-in of a person, its spans and everything that nobody else may know.
struct Finished {
    stack: Stack,
    collector: Collector,
    person: Person,
    canaries: Canaries,
}

async fn sign_in() -> anyhow::Result<Finished> {
    let collector = Collector::start().await?;
    let options = StackOptions {
        environment: collector.environment(),
        ..StackOptions::default()
    };
    let stack = Stack::start("traces", options).await?;
    let person = stack.new_person().await?;
    stack.hub.start_server(&person.name, "").await?;
    let mut kernel = Kernel::start(&stack.hub, &person.name, "").await?;
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    let browser = Browser::start(&stack.run, &person.name).await?;
    let met = browser.open_sign_in(&link, &person).await?;
    ensure!(met.last() == Some(&Page::Done), "met {met:?}");
    kernel.finish(SOON).await?.ok()?;
    let told = kernel.run(TELL).await?.ok()?;
    let mut canaries = Canaries::default();
    let mut tokens = told.lines();
    canaries.add("access token", tokens.next().context("no token")?);
    canaries.add("server token", tokens.next().context("no server token")?);
    canaries.add("ticket", link.rsplit('/').next().context("no ticket")?);
    remember(&mut canaries, &browser, &stack, &person).await?;
    browser.quit().await;
    Ok(Finished {
        stack,
        collector,
        person,
        canaries,
    })
}

async fn remember(
    canaries: &mut Canaries,
    browser: &Browser,
    stack: &Stack,
    person: &Person,
) -> Outcome {
    let traffic = browser.traffic().await?;
    for (kind, parameter) in [
        ("code", "code"),
        ("state", "state"),
        ("oidc nonce", "nonce"),
        ("challenge", "code_challenge"),
    ] {
        canaries.add_all(kind, traffic.parameters(parameter));
    }
    canaries.add_all(
        "cookie",
        traffic.cookies.into_iter().map(|(_, value)| value),
    );
    for entry in std::fs::read_dir(stack.run.join("secrets"))?.flatten() {
        canaries.add("file", std::fs::read_to_string(entry.path())?.trim());
    }
    canaries.add("e-mail address", &*person.email);
    for kind in [
        "access token",
        "server token",
        "ticket",
        "code",
        "state",
        "oidc nonce",
        "cookie",
        "file",
        "e-mail address",
    ] {
        ensure!(canaries.count(kind) > 0, "no {kind} was seen");
    }
    Ok(())
}

/// Whether all expected spans are in the trace of the one `connect` among them.
fn is_complete(spans: &[Span]) -> bool {
    let Some(connect) = spans.iter().find(|span| span.name == "connect") else {
        return false;
    };
    EXPECTED.iter().all(|(service, name)| {
        spans.iter().any(|span| {
            span.trace_id == connect.trace_id && span.service == *service && span.name == *name
        })
    })
}

#[tokio::test]
async fn feature_g12_security_i3_one_sign_in_is_one_trace_that_says_nothing_secret() -> Outcome {
    let finished = sign_in().await?;
    let collector = &finished.collector;
    let spans = collector.until(SOON, is_complete).await;
    let spans = spans.with_context(|| finished.stack.broker.output())?;
    let connect = spans
        .iter()
        .find(|span| span.name == "connect")
        .context("no connect")?;
    assert_one_tree(&spans, connect);
    assert_eq!(connect.attribute("hubkey.provider"), Some(LAB_API));
    assert_eq!(connect.attribute("hubkey.outcome"), Some("connected"));
    let delivery = spans.iter().find(|span| span.name == "delivery");
    let delivery = delivery.context("no delivery")?;
    // The delivery's own end is noted a moment after the connect is told of.
    assert!(connect.time.0 < delivery.time.0 && delivery.time.0 <= connect.time.1);
    assert_nothing_private(&finished, &spans);
    assert_logs_lead_to(&finished.stack, connect)
}

/// From each span of the trace a way leads up to `connect`.
fn assert_one_tree(spans: &[Span], connect: &Span) {
    assert!(connect.parent.is_empty(), "{connect:?}");
    let of_trace = || {
        spans
            .iter()
            .filter(|span| span.trace_id == connect.trace_id)
    };
    let ids: HashSet<&str> = of_trace().map(|span| span.id.as_str()).collect();
    for span in of_trace().filter(|span| span.id != connect.id) {
        assert!(ids.contains(span.parent.as_str()), "a loose end: {span:?}");
    }
    let pages = spans.iter().filter(|span| span.name.contains("/start/"));
    let astray: Vec<_> = pages
        .filter(|span| span.trace_id != connect.trace_id)
        .collect();
    assert!(astray.is_empty(), "{astray:?}");
}

fn assert_nothing_private(finished: &Finished, spans: &[Span]) {
    let Finished {
        collector,
        person,
        canaries,
        ..
    } = finished;
    assert_eq!(canaries.found_in(&collector.bytes()), [""; 0]);
    for span in spans {
        assert_eq!(span.extras, 0, "{span:?}");
        for (name, value) in &span.attributes {
            assert!(ATTRIBUTES.contains(&name.as_str()), "{name} in {span:?}");
            // A handle of a sign-in is its short id, a dot and 22 or 43 characters.
            let is_handle = value
                .split_once('.')
                .is_some_and(|(short, rest)| short.len() == 6 && matches!(rest.len(), 22 | 43));
            assert!(!is_handle && !value.contains(['?', '=', '@']), "{span:?}");
            assert!(!value.contains(&*person.name), "{span:?}");
        }
        assert!(!span.name.contains(&*person.name), "{span:?}");
    }
}

/// The lines of both servers name the trace, and the same request has the same id in both.
fn assert_logs_lead_to(stack: &Stack, connect: &Span) -> Outcome {
    let (pages, broker) = (stack.callback_server.output(), stack.broker.output());
    let page = line(&pages, "route", "/callback/{provider}")?;
    let call = line(&broker, "route", "/internal/v1/callback/{provider}")?;
    let pinned = line(&broker, "event", "account_linked")?;
    for line in [&page, &call, &pinned] {
        assert_eq!(line["trace_id"], *connect.trace_id, "{line}");
    }
    assert_eq!(page["request_id"], call["request_id"]);
    assert_ne!(page["span_id"], call["span_id"]);
    Ok(())
}

/// The first line of a log that has this field.
fn line(log: &str, field: &str, value: &str) -> anyhow::Result<serde_json::Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|line| line[field] == value)
        .with_context(|| format!("no line with {field} {value}"))
}
