//! Metadata: what is believed, and for how long.

use std::time::Duration;

use hubkey_fakes::hostile_provider::{Endpoint, scenarios::metadata};
use hubkey_oidc::{IdentityProvider, IdpError};
use hubkey_protocol::ProviderStatus;

use crate::support::{Setup, Transaction, word};

const HOUR: Duration = Duration::from_hours(1);

async fn row(row: &str, words: &[&str]) {
    let cases = metadata::of(row);
    assert!(!cases.is_empty(), "{row} has no cases");
    Setup::new().await.sign_in_honestly().await;
    for case in cases {
        let setup = Setup::new().await;
        setup.op.metadata(case.alter);
        let word = word(setup.sign_in().await);
        assert!(words.contains(&word), "{row}: {}: {word}", case.name);
        assert_eq!(setup.hits(Endpoint::Authorize), 0, "{}", case.name);
        assert_eq!(setup.hits(Endpoint::Token), 0, "{}", case.name);
        assert_eq!(setup.hits(Endpoint::Jwks), 0, "{}", case.name);
        assert_eq!(setup.client.status(), ProviderStatus::Unavailable);
    }
}

#[tokio::test]
async fn security_p70_metadata_of_another_issuer_is_refused() {
    row("p70", &["metadata_issuer", "metadata_members"]).await;
}

#[tokio::test]
async fn security_p71_endpoints_elsewhere_are_refused() {
    row(
        "p71",
        &["endpoint_host", "endpoint_url", "metadata_members"],
    )
    .await;
}

#[tokio::test]
async fn security_p74_userinfo_on_another_host_is_refused() {
    row("p74", &["endpoint_host"]).await;
}

#[tokio::test]
async fn security_p72_a_token_endpoint_that_moves_is_refused() {
    let setup =
        Setup::with(|config| config.outbound.allowed_endpoint_hosts = vec!["localhost".into()])
            .await;
    setup.sign_in_honestly().await;
    let elsewhere = setup.op.url_at("localhost");
    setup.op.metadata(move |metadata| {
        metadata["token_endpoint"] = format!("{elsewhere}/token").into();
    });
    // Still the first document.
    setup.sign_in().await.unwrap();
    setup.later(2 * HOUR);
    setup.op.forget_requests();
    assert_eq!(word(setup.sign_in().await), "token_endpoint_host_changed");
    assert_eq!(setup.hits(Endpoint::Discovery), 1);
    assert_eq!(setup.hits(Endpoint::Token), 0);
    assert_eq!(setup.client.status(), ProviderStatus::Unavailable);
}

#[tokio::test]
async fn metadata_is_read_once_an_hour_and_by_one_at_a_time() {
    let setup = Setup::new().await;
    assert_eq!(setup.client.status(), ProviderStatus::Unknown);
    let transactions: Vec<_> = (0..30).map(|_| Transaction::new()).collect();
    let urls = transactions
        .iter()
        .map(|transaction| setup.url(transaction));
    for url in futures_util::future::join_all(urls).await {
        url.unwrap();
    }
    assert_eq!(setup.hits(Endpoint::Discovery), 1);
    assert_eq!(setup.client.status(), ProviderStatus::Ready);
    setup.later(HOUR / 2);
    setup.sign_in().await.unwrap();
    assert_eq!(setup.hits(Endpoint::Discovery), 1);
    setup.later(HOUR);
    setup.sign_in().await.unwrap();
    assert_eq!(setup.hits(Endpoint::Discovery), 2);
}

#[tokio::test]
async fn feature_g8_a_provider_that_is_down_at_first_is_asked_again() {
    let setup = Setup::new().await;
    setup.op.set_up(false);
    let refused = setup.url(&Transaction::new()).await.err();
    assert_eq!(refused, Some(IdpError::Unavailable));
    assert_eq!(setup.client.status(), ProviderStatus::Unavailable);
    setup.op.set_up(true);
    setup.sign_in().await.unwrap();
    assert_eq!(setup.client.status(), ProviderStatus::Ready);
}

#[tokio::test]
async fn old_metadata_serves_while_the_provider_is_silent() {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    setup.op.set_up(false);
    setup.later(2 * HOUR);
    assert!(setup.url(&Transaction::new()).await.is_ok());
    assert_eq!(setup.client.status(), ProviderStatus::Unavailable);
    setup.later(24 * HOUR);
    let refused = setup.url(&Transaction::new()).await.err();
    assert_eq!(refused, Some(IdpError::Unavailable));
}

#[tokio::test]
async fn a_provider_that_insists_on_pushed_requests_is_refused() {
    let setup = Setup::new().await;
    setup
        .op
        .metadata(|metadata| metadata["require_pushed_authorization_requests"] = true.into());
    assert_eq!(word(setup.sign_in().await), "pushed_authorization_requests");
}
