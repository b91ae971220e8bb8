//! The examples of the manual are settings that a broker takes, and keys that do not go together are not.

use std::{path::Path, time::Duration};

use hubkey_fakes::{
    certificates::Authority,
    hostile_provider::{Alg, SigningKey},
};
use hubkey_starters::process::checkout;

use super::Settings;

/// The pages of `docs` with examples for the broker.
const PAGES: [&str; 5] = [
    "reference/programs.md",
    "how-to/providers/index.md",
    "how-to/providers/google.md",
    "how-to/providers/microsoft-entra-id.md",
    "how-to/providers/github.md",
];
const FOLDER: &str = "/etc/hubkey";

/// What stands between fences that say TOML, where it is for the broker.
fn examples(manual: &str) -> impl Iterator<Item = &str> {
    let fenced = manual.split("```toml\n").skip(1);
    let blocks = fenced.filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("[providers."))
}

/// Every file that an example names is there.
fn make_files(folder: &Path, settings: &str) {
    let named = settings
        .split('"')
        .filter_map(|text| text.strip_prefix(FOLDER));
    for name in named.map(|name| name.trim_start_matches('/')) {
        let secret = match name {
            "redis-url" => "rediss://hubkey@redis.example.org:6379".to_owned(),
            _ => "0".repeat(64),
        };
        std::fs::write(folder.join(name), secret).unwrap();
    }
    let authority = Authority::new("example").unwrap();
    let pair = authority.issue(&["broker.example.org"]).unwrap();
    pair.write(folder).unwrap();
}

/// The settings that the manual's examples make together.
fn settings_of_the_manual() -> Settings {
    let pages = PAGES.map(|page| {
        let page = checkout().join("docs").join(page);
        std::fs::read_to_string(page).unwrap()
    });
    let written: String = pages.iter().flat_map(|page| examples(page)).collect();
    for provider in [
        "lab-api]",
        "google]",
        "entra]",
        "github]",
        "lab-api.token_exchange]",
    ] {
        assert!(
            written.contains(&format!("[providers.{provider}")),
            "{provider}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    make_files(folder.path(), &written);
    let file = folder.path().join("hubkey.toml");
    let written = written.replace(FOLDER, folder.path().to_str().unwrap());
    std::fs::write(&file, written).unwrap();
    Settings::load(Some(&file)).unwrap()
}

#[test]
fn the_manuals_examples_are_taken_together() {
    let settings = settings_of_the_manual();
    let ids: Vec<_> = settings
        .providers
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(ids, ["entra", "github", "google", "lab-api"]);
}

/// What 10,000 polls cost while nothing happens is how often they look; who waits for another broker's refresh still
/// looks soon, for a broker that died wakes nobody.
#[test]
fn polls_look_every_half_minute_and_refreshes_every_two_seconds() {
    let rules = settings_of_the_manual().rules;
    assert_eq!(rules.poll_recheck_interval, Duration::from_secs(30));
    assert_eq!(rules.refresh_recheck_interval, Duration::from_secs(2));
}

/// The mistakes of a provider with these settings and a file of so many keys.
fn mistakes(keys: usize, settings: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let pem = |number| {
        let key = SigningKey::generate(Alg::Es256, number).unwrap();
        key.private_pem().unwrap()
    };
    let keys: String = (0..keys).map(pem).collect();
    std::fs::write(folder.path().join("keys.pem"), keys).unwrap();
    let key_file = folder.path().join("keys.pem");
    let file = folder.path().join("hubkey.toml");
    let table = format!("[providers.lab-api]\nprivate_key_file = {key_file:?}\n{settings}\n");
    std::fs::write(&file, table).unwrap();
    Settings::load(Some(&file)).unwrap_err().to_string()
}

#[test]
fn keys_that_do_not_go_together_are_told() {
    const BY_KEY: &str = "token_endpoint_auth_method = \"private_key_jwt\"\n";
    const PUBLISHED: &str = "publish_jwks = true\n";
    let of = |keys, settings: &[&str]| mistakes(keys, &settings.concat());
    let said = |text: &str| text.contains("private_key") || text.contains("publish_jwks");
    assert!(!said(&of(1, &[BY_KEY])));
    assert!(!said(&of(1, &[BY_KEY, PUBLISHED])));
    assert!(!said(&of(2, &[BY_KEY, PUBLISHED])));
    let several = of(2, &[BY_KEY]);
    assert!(
        several.contains("leave one private key in the file"),
        "{several}"
    );
    let named = of(1, &[BY_KEY, PUBLISHED, "private_key_kid = \"mine\""]);
    assert!(
        named.contains("`providers.lab-api.private_key_kid`: remove it"),
        "{named}"
    );
    let unused = of(1, &[PUBLISHED]);
    assert!(
        unused.contains("`providers.lab-api.publish_jwks`: remove it"),
        "{unused}"
    );
    let both = of(
        2,
        &["token_endpoint_auth_signing_alg = \"EdDSA\"\n", BY_KEY],
    );
    assert!(both.contains("leave one private key in the file"), "{both}");
    assert!(both.contains("key 2 of the file cannot be used"), "{both}");
    let none = of(0, &[BY_KEY, PUBLISHED]);
    assert!(none.contains("names a file that is empty"), "{none}");
}

/// What is said of settings with this method, beside these files.
fn told_of(method: &str, files: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::generate(Alg::Es256, 0).unwrap();
    let key = key.private_pem().unwrap();
    std::fs::write(folder.path().join("private_key"), key).unwrap();
    std::fs::write(folder.path().join("client_secret"), "secret-of-a-client").unwrap();
    let named = files.iter().map(|file| {
        let path = folder.path().join(file);
        format!("{file}_file = {path:?}\n")
    });
    let method = match method {
        "" => String::new(),
        method => format!("token_endpoint_auth_method = \"{method}\"\n"),
    };
    let table = format!("[providers.lab-api]\n{method}{}", named.collect::<String>());
    let settings = folder.path().join("hubkey.toml");
    std::fs::write(&settings, table).unwrap();
    Settings::load(Some(&settings)).unwrap_err().to_string()
}

#[test]
fn found_k8_the_hint_is_the_way_whose_file_is_set() {
    const KEY: &str = "private_key";
    const SECRET: &str = "client_secret";
    for (method, files, advice) in [
        ("", &[KEY][..], "set it to `private_key_jwt`"),
        ("client_secret_post", &[KEY], "set it to `private_key_jwt`"),
        ("none", &[KEY], "set it to `private_key_jwt`"),
        ("none", &[SECRET], "choose `client_secret_basic`"),
        ("private_key_jwt", &[SECRET], "choose `client_secret_basic`"),
        (
            "private_key_jwt",
            &[SECRET, KEY],
            "remove it: `private_key_jwt` proves",
        ),
        ("", &[SECRET, KEY], "remove it, or set"),
        ("none", &[SECRET, KEY], "choose one way"),
        ("", &[], "name a file that holds the secret"),
        (
            "private_key_jwt",
            &[],
            "name a file that holds the private key",
        ),
    ] {
        let told = told_of(method, files);
        assert!(told.contains(advice), "{method} {files:?}: {told}");
        let of_it = |line: &&str| {
            [
                "token_endpoint_auth_method`:",
                "client_secret_file`:",
                "private_key_file`:",
            ]
            .iter()
            .any(|key| line.contains(key))
        };
        assert_eq!(
            told.lines().filter(of_it).count(),
            1,
            "{method} {files:?}: {told}"
        );
    }
    for (method, file) in [
        ("", SECRET),
        ("private_key_jwt", KEY),
        ("client_secret_post", SECRET),
    ] {
        let told = told_of(method, &[file]);
        assert!(
            !told.contains("auth_method`:") && !told.contains("_file`: "),
            "{told}"
        );
    }
}
