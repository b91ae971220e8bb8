//! What is counted, and that no provider can make the counts grow.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::AtomicU64, atomic::Ordering},
};

use http::StatusCode;
use hubkey_fakes::{fake_http::Reply, hostile_provider::Endpoint};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::support::Setup;

/// Keeps every counter by its name and labels.
#[derive(Debug, Default)]
struct Tally(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Tally {
    fn counts(&self) -> BTreeMap<String, u64> {
        let counters = self.0.lock().unwrap();
        let read = |(name, count): (&String, &Arc<AtomicU64>)| {
            (name.clone(), count.load(Ordering::SeqCst))
        };
        counters.iter().map(read).collect()
    }
}

impl Recorder for Tally {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<_> = key.labels().map(metrics::Label::value).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        let mut counters = self.0.lock().unwrap();
        Counter::from_arc(Arc::clone(counters.entry(name).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn security_l5_calls_are_counted_under_closed_labels() {
    let tally = Tally::default();
    // The test's runtime has one thread: everything on it counts here.
    let _guard = metrics::set_default_local_recorder(&tally);
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    let expected: BTreeMap<_, _> = [
        "hubkey_provider_requests_total op discovery ok",
        "hubkey_provider_requests_total op jwks ok",
        "hubkey_provider_requests_total op token ok",
        "hubkey_provider_requests_total op userinfo ok",
        "hubkey_jwks_refreshes_total op ok",
    ]
    .map(|name| (name.to_owned(), 1))
    .into();
    assert_eq!(tally.counts(), expected);

    for round in 0..20 {
        let code = format!("error-{round}");
        let refused = Reply::oauth_error(StatusCode::BAD_REQUEST, &code);
        setup.op.answer_next(Endpoint::Token, refused);
        setup.sign_in().await.unwrap_err();
        setup
            .op
            .next_id_token(move |token| token.head("kid", format!("kid-{round}")));
        setup.sign_in().await.unwrap_err();
    }
    let counts = tally.counts();
    assert_eq!(counts.len(), expected.len() + 2, "{counts:?}");
    assert_eq!(
        counts["hubkey_provider_requests_total op token refused"],
        20
    );
    assert_eq!(counts["hubkey_provider_requests_total op token ok"], 21);
    // What came with each ID token that was refused goes back: access token and refresh token.
    assert_eq!(
        counts["hubkey_provider_requests_total op revocation ok"],
        40
    );
    // One fetch for all the invented names.
    assert_eq!(counts["hubkey_jwks_refreshes_total op ok"], 2);
}
