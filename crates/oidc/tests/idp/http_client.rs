//! How answers arrive: redirected, endless, slow, packed, mislabelled.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hubkey_fakes::{
    fake_http::{Bystander, Reply, SilentListener},
    hostile_provider::{Endpoint, HostileProvider, scenarios::reply},
};
use hubkey_oidc::IdpError;
use hubkey_protocol::provider_rules::ProviderRule;

use crate::support::{Setup, Transaction, config, word};

const ENDPOINTS: [Endpoint; 4] = [
    Endpoint::Discovery,
    Endpoint::Jwks,
    Endpoint::Token,
    Endpoint::UserInfo,
];

/// Every case of a row at every endpoint, all at once: some take ten seconds.
async fn row(row: &str) {
    let cases = reply::of(row);
    assert!(!cases.is_empty(), "{row} has no cases");
    Setup::new().await.sign_in_honestly().await;
    let mut spoiled = Vec::new();
    for case in cases {
        for endpoint in ENDPOINTS {
            let setup = Setup::new().await;
            setup.op.replies(endpoint, case.alter);
            spoiled.push((case, endpoint, setup));
        }
    }
    join_all(spoiled.iter().map(async |(case, endpoint, setup)| {
        let begun = Instant::now();
        let error = setup.sign_in().await.err();
        let name = format!("{row}: {} at {endpoint:?}: {error:?}", case.name);
        assert_eq!(error.is_some(), case.refused, "{name}");
        // Each endpoint has ten seconds; the rest is patience with a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(40), "{name}");
        check_hits(setup, *endpoint, case.refused, &name);
    }))
    .await;
}

/// What comes after a refused answer was not asked for.
fn check_hits(setup: &Setup, endpoint: Endpoint, refused: bool, name: &str) {
    assert_eq!(setup.hits(endpoint), 1, "{name}");
    let spent = !refused || matches!(endpoint, Endpoint::Token | Endpoint::UserInfo);
    assert_eq!(setup.hits(Endpoint::Token), usize::from(spent), "{name}");
    let read = !refused || endpoint == Endpoint::UserInfo;
    assert_eq!(setup.hits(Endpoint::UserInfo), usize::from(read), "{name}");
}

#[tokio::test]
async fn security_p73_redirects_are_refused_and_not_followed() {
    let bystander = Bystander::start().await.unwrap();
    for endpoint in ENDPOINTS {
        for status in reply::REDIRECTS {
            let setup = Setup::new().await;
            let target = format!("{}/elsewhere", bystander.url());
            setup.op.answer(endpoint, Reply::redirect(status, &target));
            let word = word(setup.sign_in().await);
            assert!(
                word.ends_with("_redirected"),
                "{endpoint:?} {status}: {word}"
            );
            assert_eq!(setup.hits(endpoint), 1);
        }
    }
    assert_eq!(bystander.hits(), 0);
}

#[tokio::test]
async fn security_p73_a_redirect_within_the_provider_is_refused_too() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    let target = format!("{}/token", setup.op.issuer());
    let redirect = Reply::redirect(http::StatusCode::TEMPORARY_REDIRECT, &target);
    setup.op.answer_next(Endpoint::Token, redirect);
    assert_eq!(word(setup.sign_in().await), "token_redirected");
    assert_eq!(setup.hits(Endpoint::Token), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_p75_long_endless_and_slow_answers_are_cut() {
    row("p75").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_p76_packed_answers_are_not_unpacked() {
    row("p76").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_p77_mislabelled_and_malformed_answers_are_refused() {
    row("p77").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_p79_cookies_are_neither_kept_nor_sent() {
    row("p79").await;
    let setup = Setup::new().await;
    for endpoint in ENDPOINTS {
        setup.op.replies(endpoint, reply::of("p79")[0].alter);
    }
    setup.sign_in().await.unwrap();
    setup.later(Duration::from_hours(2));
    setup.sign_in().await.unwrap();
    for endpoint in ENDPOINTS {
        let requests = setup.op.requests(endpoint);
        assert!(!requests.is_empty());
        assert!(
            requests
                .iter()
                .all(|request| !request.headers.contains_key("cookie"))
        );
        // Nothing that asks for a packed answer either (P76), nor says where it comes from.
        for name in ["accept-encoding", "referer"] {
            assert!(
                requests
                    .iter()
                    .all(|request| !request.headers.contains_key(name))
            );
        }
    }
}

#[tokio::test]
async fn security_p78_a_handshake_that_does_not_come_ends_in_seconds() {
    let silent = SilentListener::start().await.unwrap();
    let op = HostileProvider::start().await.unwrap();
    let setup = Setup::of(op, config(&format!("https://{}", silent.address())));
    let begun = Instant::now();
    let refused = setup.url(&Transaction::new()).await.err();
    assert_eq!(refused, Some(IdpError::Unavailable));
    assert!(begun.elapsed() < Duration::from_secs(9));
}

#[tokio::test]
async fn security_p71_a_loopback_endpoint_of_a_public_issuer_is_not_called() {
    let op = HostileProvider::start().await.unwrap();
    let issuer = op.url_at("localhost");
    // Permitted: a loopback issuer.
    let setup = Setup::of(op, config(&issuer));
    setup
        .op
        .metadata(move |metadata| metadata["issuer"] = issuer.clone().into());
    let url = setup.url(&Transaction::new()).await;
    assert_eq!(
        url.err(),
        Some(IdpError::RuleBroken(ProviderRule::EndpointHost))
    );
    assert_eq!(setup.hits(Endpoint::Discovery), 1);

    // Refused before a byte is sent: names that mean this machine, for an issuer that is not this machine.
    for host in ["rebind.example.invalid", "127.0.0.1.nip.invalid"] {
        let op = HostileProvider::start().await.unwrap();
        let setup = Setup::of(op, config(&format!("https://{host}")));
        assert!(setup.url(&Transaction::new()).await.is_err());
        assert_eq!(setup.hits(Endpoint::Discovery), 0);
    }
}
