//! A provider whose certificate a company's own authority has signed.

use std::{env, fs};

use hubkey_domain::provider::ProviderConfig;
use hubkey_fakes::{
    certificates::Authority,
    hostile_provider::{Endpoint, HostileProvider},
};
use hubkey_oidc::{IdentityProvider as _, IdpError, are_authorities, provider};
use tokio::process::Command;

use crate::support::{Setup, chance, clock, config};

/// A provider of this authority, and a client that trusts these beside the system's.
async fn setup(of: &Authority, trusted: &[&Authority]) -> Setup {
    let op = HostileProvider::start_encrypted(of).await.unwrap();
    let mut config = config(&op.issuer());
    let pem: String = trusted.iter().map(|authority| authority.pem()).collect();
    config.outbound.ca_pem = (!pem.is_empty()).then(|| pem.into_bytes());
    Setup::of(op, config)
}

fn authority(name: &str) -> Authority {
    Authority::new(name).unwrap()
}

#[tokio::test]
async fn security_x2_a_provider_of_a_private_authority_is_trusted_only_where_that_is_set() {
    let (company, other) = (authority("company"), authority("other"));
    setup(&company, &[&company]).await.sign_in_honestly().await;
    // One of several in a file is enough.
    let both = setup(&company, &[&other, &company]).await;
    both.sign_in_honestly().await;
    for trusted in [&[][..], &[&other]] {
        let setup = setup(&company, trusted).await;
        let refused = setup.sign_in().await.err();
        assert!(
            matches!(refused, Some(IdpError::Unavailable)),
            "{refused:?}"
        );
        assert_eq!(setup.hits(Endpoint::Discovery), 0);
    }
}

/// What the system trusts is settled when a program starts, so this one starts itself anew: there, the authority of the
/// provider is one of the system's, and the file has another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_x2_a_private_authority_does_not_take_the_place_of_the_systems() {
    const NAME: &str =
        "authorities::security_x2_a_private_authority_does_not_take_the_place_of_the_systems";
    const ISSUER: &str = "HUBKEY_TEST_ISSUER";
    if let Some(issuer) = env::var_os(ISSUER) {
        let mut config = config(issuer.to_str().unwrap());
        config.outbound.ca_pem = Some(authority("company").pem().into_bytes());
        reach(config).await;
        return;
    }
    let system = authority("system");
    let op = HostileProvider::start_encrypted(&system).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("system.pem");
    fs::write(&file, system.pem()).unwrap();
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", NAME]).env(ISSUER, op.issuer());
    let strange = again.output().await.unwrap();
    assert!(!strange.status.success() && op.hits(Endpoint::Discovery) == 0);
    let known = again.env("SSL_CERT_FILE", &file).output().await.unwrap();
    assert!(known.status.success(), "{known:?}");
    assert_eq!(op.hits(Endpoint::Discovery), 1);
}

/// Asserts that the provider's metadata can be had.
async fn reach(config: ProviderConfig) {
    let client = provider(config, clock(), chance()).unwrap();
    client.ready().await.unwrap();
}

#[test]
fn only_certificates_are_authorities() {
    let pem = authority("company").pem();
    assert!(are_authorities(pem.as_bytes()));
    let commented = format!("Our authority\n\n{pem}{pem}");
    assert!(are_authorities(commented.as_bytes()));
    for wrong in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(!are_authorities(wrong.as_bytes()), "{wrong:?}");
    }
}
