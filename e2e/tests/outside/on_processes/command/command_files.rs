//! The command `hubkey` and its files, with tokens that live for ten seconds.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hubkey_e2e::evidence::canary::Canaries;
use rustix::process::Signal;
use serde_json::Value;

use crate::on_processes::connections::refresh::strict;
use crate::support::command::Hubkey;
use crate::support::{Guest, Outcome};

/// More than two lives of a token.
const WATCHED: Duration = Duration::from_secs(24);

/// A program that reads its token each time, and ends in its own way when it is told to.
const PROGRAM: &str = r#"trap 'exit 9' TERM
echo "$BEARER_TOKEN_FILE"
while :; do cat "$BEARER_TOKEN_FILE"; echo; sleep 1 & wait $!; done"#;

#[tokio::test]
async fn feature_k11_need_15_files_hold_a_fresh_token_for_their_owner_only() -> Outcome {
    let guest = Guest::on(strict().await?).await?;
    let (hubkey, browser) = (Hubkey::of(&guest).await?, guest.browser().await?);
    let mut login = hubkey.start(&["login", "lab-api"])?;
    let link = login.link().await?;
    guest.sign_in(&browser, &link).await?;
    let said = login.end().await?;
    ensure!(
        said.code == Some(0) && said.told.contains("Signed in to Example Lab"),
        "{said:?}"
    );

    let path = hubkey.home.join("token");
    let text = path.to_str().context("no text")?;
    let mut serving = hubkey.start(&["serve-file", text, "lab-api"])?;
    let greeting = serving.line().await?;
    ensure!(greeting.contains("a fresh token is kept"), "{greeting}");
    let run = [
        "exec",
        "lab-api",
        "--file",
        "BEARER_TOKEN_FILE",
        "--",
        "sh",
        "-c",
        PROGRAM,
    ];
    let running = hubkey.start(&run)?;

    let seen = watch(&path).await?;
    let mut canaries = Canaries::default();
    canaries.add_all("access token", seen.iter().cloned());
    let visible = [serving.visible()?, running.visible()?].concat();
    ensure!(
        canaries.found_in(&visible).is_empty(),
        "other processes can see a token"
    );

    serving.signal(Signal::TERM)?;
    running.signal(Signal::TERM)?;
    let (served, ran) = (serving.end().await?, running.end().await?);
    ensure!(
        served.code == Some(0) && served.out.is_empty(),
        "{served:?}"
    );
    ensure!(!path.exists(), "the file was left");
    let ended = ran.code;
    ensure!(
        ended == Some(9) && ran.told.is_empty(),
        "{ended:?}: {}",
        ran.told
    );
    own_file_of(&ran.out)
}

/// Looks at the file again and again: it always holds one whole valid token, and only its owner can read it.
async fn watch(path: &Path) -> anyhow::Result<BTreeSet<String>> {
    let (mut seen, began) = (BTreeSet::new(), Instant::now());
    while began.elapsed() < WATCHED {
        let token = std::fs::read_to_string(path).context("the file is not there")?;
        let left = seconds_left(&token)?;
        ensure!(left > 0.0, "an ended token");
        let mode = std::fs::metadata(path)?.mode() & 0o7777;
        ensure!(mode == 0o600, "mode {mode:o}");
        seen.insert(token);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(
        (2..=12).contains(&seen.len()),
        "{} tokens in {WATCHED:?}",
        seen.len()
    );
    Ok(seen)
}

/// What is left of a token; an error if there is more or less than one.
fn seconds_left(token: &str) -> anyhow::Result<f64> {
    let parts: Vec<&str> = token.split('.').collect();
    ensure!(
        parts.len() == 3 && token.trim() == token,
        "not one whole token"
    );
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1])?)?;
    let end = claims["exp"].as_f64().context("no end")?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the token's end is of the real clock"
    )]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(end - now.as_secs_f64())
}

/// The program's own file: in memory, gone, and with more than one token in its time.
fn own_file_of(output: &str) -> Outcome {
    let mut lines = output.lines();
    let path = PathBuf::from(lines.next().context("no path")?);
    ensure!(path.starts_with("/dev/shm"), "{}", path.display());
    ensure!(
        !path.exists() && !path.parent().is_some_and(Path::exists),
        "the file was left"
    );
    let tokens: BTreeSet<&str> = lines.collect();
    ensure!(tokens.len() >= 2, "{} tokens", tokens.len());
    ensure!(
        tokens.iter().all(|token| token.split('.').count() == 3),
        "a torn token"
    );
    Ok(())
}
