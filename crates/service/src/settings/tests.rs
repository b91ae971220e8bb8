use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::{NamedTempFile, TempDir};

use super::value_type::{DurationType, Enum, Number, Parsed};
use super::*;

const ID: Parsed<String> = Parsed::with(
    "lower-case letters, digits and dashes",
    |text| {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        text.chars().all(valid).then(|| text.to_owned())
    },
    Clone::clone,
);

#[derive(Debug, PartialEq)]
struct Provider {
    issuer: String,
    secret: String,
}

#[derive(Debug, PartialEq)]
struct Sample {
    listen: String,
    hold: Duration,
    polls: u64,
    allow_plaintext: bool,
    trusted: Vec<String>,
    providers: Vec<(String, Provider)>,
}

fn read(reader: &Reader) -> Option<Sample> {
    let kernel = reader.section("kernel");
    let listen = kernel.required(
        "listen",
        &value_type::ADDRESS,
        "Where kernels reach the broker.",
    );
    let time = DurationType::between(Duration::from_secs(1), Duration::from_mins(1));
    let hold = kernel.or(
        "hold",
        &time,
        Duration::from_secs(25),
        "How long a poll waits.",
    );
    let polls = kernel.or(
        "polls",
        &Number::between(1, 100_000),
        10_240,
        "How many may poll.",
    );
    let allow_plaintext = kernel.or(
        "allow_plaintext",
        &value_type::BOOL,
        false,
        "Whether to do without TLS.",
    );
    let trusted = kernel.list("trusted_proxies", &value_type::NETWORK, "Whom to believe.");
    kernel.or("mode", &Enum(&[("a", 1), ("b", 2)]), 1, "A | B.");
    let providers = reader.required_tables("providers", &ID, |provider| {
        let issuer = provider.required("issuer", &value_type::WEB_URL, "The issuer.");
        let secret = provider.secret("client_secret", |text| text, "The client's secret.");
        Some(Provider {
            issuer: issuer?.to_string(),
            secret: secret?,
        })
    });
    Some(Sample {
        listen: listen?.to_string(),
        hold,
        polls,
        allow_plaintext,
        trusted: trusted.iter().map(ToString::to_string).collect(),
        providers,
    })
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// What `finish` says, with the file's name replaced.
fn mistakes(text: &str, pairs: &[(&str, &str)]) -> String {
    let file = file(text);
    let reader = Reader::open(Some(file.path()), env(pairs));
    read(&reader);
    let shown = reader.finish().expect_err("there are mistakes").to_string();
    shown.replace(&file.path().display().to_string(), "hubkey.toml")
}

fn secret_file(dir: &TempDir, text: &str) -> PathBuf {
    let path = dir.path().join("secret");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn file_environment_and_secret_file_make_the_settings() {
    let dir = TempDir::new().unwrap();
    let secret = secret_file(&dir, "canary\n");
    let text = format!(
        "[kernel]\nlisten = \"127.0.0.1:1\"\npolls = 0x10\nallow_plaintext = true\n\
         trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n\
         [providers.lab-api]\nissuer = \"https://idp.example\"\nclient_secret_file = {secret:?}\n"
    );
    let file = file(&text);
    let variables = env(&[
        ("HUBKEY_KERNEL_LISTEN", "[::]:8081"),
        ("HUBKEY_KERNEL_HOLD", "1500ms"),
        ("HUBKEY_CONFIG", "x"),
        ("HUBKEY_PROVIDERS", "git"),
        ("HUBKEY_PROVIDERS_GIT_ISSUER", "https://git.example"),
        ("HUBKEY_PROVIDERS_GIT_CLIENT_SECRET", "other"),
        ("HUBKEY_SERVICE_HOST", "10.0.0.1"),
        ("HUBKEY_PORT_8081_TCP", "tcp://10.0.0.1:8081"),
    ]);
    let reader = Reader::open(Some(file.path()), variables);
    let sample = read(&reader);
    reader.finish().unwrap();
    let provider = |id: &str, issuer: &str, secret: &str| {
        (
            id.to_owned(),
            Provider {
                issuer: issuer.to_owned(),
                secret: secret.to_owned(),
            },
        )
    };
    let expected = Sample {
        listen: "[::]:8081".to_owned(),
        hold: Duration::from_millis(1500),
        polls: 16,
        allow_plaintext: true,
        trusted: vec!["10.0.0.0/8".to_owned(), "::1/128".to_owned()],
        providers: vec![
            provider("git", "https://git.example/", "other"),
            provider("lab-api", "https://idp.example/", "canary"),
        ],
    };
    assert_eq!(sample, Some(expected));
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = "kernal = 1\n[kernel]\nhold = \"2h\"\npolls = -1\nallow_plaintext = \"yes\"\nlisen = 1\n\
                trusted_proxies = \"10.0.0.0/8\"\nmode = [\"a\"]\n\
                [kernels]\nx = 1\n\
                [providers]\nflat = 1\n\
                [providers.UPPER]\nissuer = \"https://idp.example\"\n\
                [providers.lab-api]\nissuer = \"https://user:pass@idp.example\"\nclient_secret = \"canary\"\n\
                [providers.git]\nclient_secret_file = \"/nowhere/canary\"\n";
    let variables = [
        ("HUBKEY_KERNEL_HOLDS", "canary"),
        ("HUBKEY_KERNEL_MODE", "c"),
    ];
    insta::assert_snapshot!(mistakes(text, &variables));
}

#[test]
fn broken_syntax_is_told_without_the_line_and_without_what_follows_from_it() {
    let text = "[kernel]\nhold = \n[providers.lab-api]\nclient_secret = \"canary\nissuer = 3\n";
    insta::assert_snapshot!(mistakes(text, &[("HUBKEY_KERNEL_POLLS", "many")]));
}

#[test]
fn a_missing_file_is_one_mistake() {
    let reader = Reader::open(Some(Path::new("/nowhere/hubkey.toml")), BTreeMap::new());
    read(&reader);
    let shown = reader.finish().unwrap_err();
    insta::assert_snapshot!(shown, @r"
    There is 1 mistake in the settings:
      1. the settings file /nowhere/hubkey.toml cannot be read (No such file or directory (os error 2)).
    ");
}

#[test]
fn security_l4_no_mistake_shows_a_secret() {
    let text = "[providers.lab-api]\nclient_secret = \"canary\"\nclient_secrets = \"canary\"\n\
                issuer = \"https://x:canary@idp.example\"\n\
                [providers.git]\nclient_secret_file = \"canary\"\n\
                [providers.third]\nclient_secret_file = [\"canary\"]\n";
    let shown = mistakes(
        text,
        &[
            ("HUBKEY_CANARY", "canary"),
            ("HUBKEY_PROVIDERS_GIT_ISUER", "canary"),
        ],
    );
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_secret_given_twice_or_empty_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = secret_file(&dir, "\n");
    let text = format!(
        "[kernel]\nlisten = \"127.0.0.1:1\"\n[providers.a]\nissuer = \"https://a.example\"\n\
         [providers.b]\nissuer = \"https://b.example\"\nclient_secret_file = {path:?}\n"
    );
    let variables = [
        ("HUBKEY_PROVIDERS_A_CLIENT_SECRET", "x"),
        ("HUBKEY_PROVIDERS_A_CLIENT_SECRET_FILE", "y"),
    ];
    insta::assert_snapshot!(mistakes(&text, &variables), @r"
    There are 2 mistakes in the settings:
      1. hubkey.toml, line 7: `providers.b.client_secret_file` names a file that is empty; name a file that holds the secret.
      2. environment variable HUBKEY_PROVIDERS_A_CLIENT_SECRET_FILE: HUBKEY_PROVIDERS_A_CLIENT_SECRET and HUBKEY_PROVIDERS_A_CLIENT_SECRET_FILE are both set; remove one of them.
    ");
}

#[test]
fn twins_in_the_environment_are_refused() {
    let loose: Parsed<String> = Parsed::with("any", |text| Some(text.to_owned()), Clone::clone);
    let file = file("[providers.a-b]\n[providers.a_b]\n");
    let reader = Reader::open(Some(file.path()), BTreeMap::new());
    reader.tables("providers", &loose, |_| Some(()));
    let shown = reader.finish().unwrap_err().to_string();
    assert!(
        shown.contains("share their environment variables"),
        "{shown}"
    );
}

#[test]
fn the_reference_shows_every_key() {
    insta::assert_snapshot!(reference(read));
}

#[test]
fn the_common_sections_have_defaults() {
    let reader = Reader::open(None, BTreeMap::new());
    assert_eq!(read_ops(&reader, 9101).listen.to_string(), "127.0.0.1:9101");
    assert_eq!(read_log(&reader).filter, "info");
    reader.finish().unwrap();
}

#[test]
fn lengths_of_time_are_shown_as_they_are_read() {
    for text in ["0s", "500ms", "30s", "10m", "12h", "2d"] {
        assert_eq!(
            value_type::DURATION.show(&value_type::DURATION.read(text).unwrap()),
            text
        );
    }
    for text in ["", "30", "s", "-1s", "1.5s", "1w", "99999999999999999999d"] {
        assert_eq!(value_type::DURATION.read(text), None, "{text}");
    }
}
