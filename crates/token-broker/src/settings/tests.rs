//! The examples of the manual are settings that a broker takes.

use std::path::Path;

use hubkey_e2e::{certificates::Authority, process::checkout};

use super::Settings;

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

#[test]
fn the_manuals_examples_are_taken_together() {
    let manual = std::fs::read_to_string(checkout().join("docs/operations.md")).unwrap();
    let written: String = examples(&manual).collect();
    for provider in ["lab-api]", "google]", "github]", "lab-api.exchange]"] {
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
    let settings = Settings::load(Some(&file)).unwrap();
    let ids: Vec<_> = settings
        .providers
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(ids, ["github", "google", "lab-api"]);
}
