use std::collections::BTreeMap;
use std::path::Path;

use hubkey_fakes::certificates::{Authority, Pair};

use super::*;
use crate::settings::Reader;

const IN_2050: u64 = 2_524_608_000;

fn files(folder: &Path) -> CertificateFiles {
    CertificateFiles {
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
    }
}

fn pair() -> Pair {
    Authority::new("test")
        .unwrap()
        .issue(&["localhost"])
        .unwrap()
}

#[test]
fn expiry_is_told_in_both_forms_of_time() {
    let authority = Authority::new("test").unwrap();
    let folder = tempfile::tempdir().unwrap();
    // RFC 5280 writes the years until 2049 with two digits.
    for (year, seconds) in [(2031, 1_924_992_000), (2050, IN_2050)] {
        authority
            .issue_until(&["localhost"], year)
            .unwrap()
            .write(folder.path())
            .unwrap();
        let certificate = ServingCertificate::open(files(folder.path())).unwrap();
        assert_eq!(certificate.expires(), Duration::from_secs(seconds));
    }
}

#[test]
fn security_l4_debug_of_a_certificate_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    pair().write(folder.path()).unwrap();
    let certificate = ServingCertificate::open(files(folder.path())).unwrap();
    assert_eq!(
        format!("{certificate:?}"),
        format!("ServingCertificate {{ expires: {IN_2050}s, .. }}")
    );
}

#[test]
fn a_bad_new_pair_keeps_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let files_of = pair().write(folder.path()).unwrap();
    let certificate = ServingCertificate::open(files(folder.path())).unwrap();
    let served = certificate.pair().certified();
    assert!(!certificate.reload().unwrap());

    std::fs::write(&files_of.certificate, pair().certificate).unwrap();
    let told = certificate.reload();
    assert!(matches!(told, Err(CertificateError::Mismatch)));
    for broken in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&files_of.certificate, broken).unwrap();
        let told = certificate.reload();
        assert!(matches!(told, Err(CertificateError::Certificate)));
    }
    std::fs::remove_file(&files_of.certificate).unwrap();
    let told = certificate.reload();
    assert!(matches!(told, Err(CertificateError::ReadCertificate(_))));
    assert!(Arc::ptr_eq(&served, &certificate.pair().certified()));
}

#[tokio::test]
async fn security_x2_reloads_are_counted_and_a_bad_pair_keeps_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let files_of = pair().write(folder.path()).unwrap();
    let certificate = Arc::new(ServingCertificate::open(files(folder.path())).unwrap());
    let served = certificate.pair().certified();
    let keeps = || Arc::ptr_eq(&served, &certificate.pair().certified());
    let metrics = Metrics::new("0", "0").unwrap();
    let every = Duration::from_millis(5);
    let reloading = Arc::clone(&certificate).keep_reloading(metrics.clone(), "test", every);
    let reloading = tokio::spawn(reloading);
    let measured = async |line: &str| {
        for _ in 0..2000 {
            if metrics
                .render()
                .lines()
                .any(|found| found.starts_with(line))
            {
                return;
            }
            tokio::time::sleep(every).await;
        }
        panic!("{line}: {}", metrics.render());
    };
    let count = |outcome, count| {
        format!(
            r#"hubkey_tls_certificate_reloads_total{{listener="test",outcome="{outcome}"}} {count}"#
        )
    };
    measured(&count("failed", 0)).await;
    std::fs::write(&files_of.certificate, pair().certificate).unwrap();
    measured(&count("failed", 2)).await;
    assert!(keeps());
    pair().write(folder.path()).unwrap();
    measured(&count("ok", 1)).await;
    assert!(!keeps());
    measured(&format!(
        r#"hubkey_tls_certificate_not_after_timestamp_seconds{{listener="test"}} {IN_2050}"#
    ))
    .await;
    measured("# HELP hubkey_tls_certificate_not_after_timestamp_seconds When").await;
    reloading.abort();
}

/// The mistakes that reading the section `kernel` of such files finds.
fn mistakes(certificate: Option<&Path>, key: Option<&Path>) -> String {
    let mut environment = BTreeMap::new();
    let mut name = |variable: &str, path: Option<&Path>| {
        if let Some(path) = path {
            environment.insert(variable.to_owned(), path.display().to_string());
        }
    };
    name("HUBKEY_KERNEL_CERTIFICATE_FILE", certificate);
    name("HUBKEY_KERNEL_CERTIFICATE_KEY_FILE", key);
    let reader = Reader::open(None, environment);
    let read = read_certificate(&reader.section("kernel")).loaded();
    let told = reader
        .finish()
        .map_or_else(|mistakes| mistakes.to_string(), |()| String::new());
    assert_eq!(
        told.is_empty(),
        read.is_some() || (certificate, key) == (None, None)
    );
    told
}

#[test]
fn mistakes_are_told_where_they_were_made() {
    let folder = tempfile::tempdir().unwrap();
    let pair_files = pair().write(folder.path()).unwrap();
    let (certificate, key) = (&pair_files.certificate, &pair_files.key);
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let others = pair().write(&other).unwrap();
    let missing = folder.path().join("missing");

    assert_eq!(mistakes(Some(certificate), Some(key)), "");
    for (certificate, key, expected) in [
        (
            Some(certificate),
            None,
            "`kernel.certificate_key_file`: name this file too, or leave `kernel.certificate_file` out.",
        ),
        (
            None,
            Some(key),
            "`kernel.certificate_file`: name this file too, or leave `kernel.certificate_key_file` out.",
        ),
        (
            Some(&missing),
            Some(key),
            "`kernel.certificate_file`: the certificate's file cannot be read (entity not found)",
        ),
        (
            Some(certificate),
            Some(&missing),
            "`kernel.certificate_key_file`: the key's file cannot be read (entity not found)",
        ),
        (
            Some(key),
            Some(key),
            "`kernel.certificate_file`: the certificate's file does not hold PEM certificates",
        ),
        (
            Some(certificate),
            Some(certificate),
            "`kernel.certificate_key_file`: the key's file does not hold a PEM private key",
        ),
        (
            Some(certificate),
            Some(&others.key),
            "`kernel.certificate_key_file`: the key does not fit the certificate",
        ),
    ] {
        let told = mistakes(certificate.map(AsRef::as_ref), key.map(AsRef::as_ref));
        assert!(told.contains(expected), "{expected}\n{told}");
    }
}
