//! The encryption key is changed under a hub with people on it: first as the documentation says, then as after a leak.

use std::{fs, time::Duration};

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::{Stack, StackOptions};
use tokio::time::{Instant, sleep};

use crate::support::{CONNECT, Guest, LONG, Outcome, built, last_line};

/// The broker looks at its files every ten seconds.
const READ_AGAIN: Duration = Duration::from_secs(30);
const READ_LINE: &str = "files were read again";

async fn stack() -> anyhow::Result<&'static Stack> {
    let (programs, packages) = built().await?;
    let options = StackOptions {
        log: "info".to_owned(),
        ..StackOptions::default()
    };
    let stack = Stack::start_built("keys", options, programs, packages).await?;
    Ok(Box::leak(Box::new(stack)))
}

/// What the two files hold, the sealing one first.
fn keys(stack: &Stack) -> anyhow::Result<[String; 2]> {
    let [first, second] = files(stack).map(fs::read_to_string);
    Ok([first?, second?])
}

fn files(stack: &Stack) -> [std::path::PathBuf; 2] {
    ["encryption-key", "second-encryption-key"].map(|name| stack.run.join("secrets").join(name))
}

/// A key of the same form.
fn another(key: &str) -> String {
    let first = if key.starts_with('A') { "B" } else { "A" };
    format!("{first}{}", &key[1..])
}

/// Writes the keys and waits until the broker uses them.
async fn change_keys(stack: &Stack, keys: [&str; 2]) -> Outcome {
    let read = || stack.broker.output().matches(READ_LINE).count();
    let before = read();
    for (file, key) in files(stack).iter().zip(keys) {
        fs::write(file, key)?;
    }
    let started = Instant::now();
    while read() == before {
        ensure!(started.elapsed() < READ_AGAIN, "the keys were not read");
        sleep(Duration::from_millis(200)).await;
    }
    // Where both files did not change in the same look.
    sleep(Duration::from_secs(11)).await;
    Ok(())
}

/// What the person's next sign-in from another server meets.
async fn signs_in_again(guest: &Guest, server: &str) -> anyhow::Result<Vec<Page>> {
    guest.stack.hub.start_server(guest.name(), server).await?;
    let opened = guest.api_of(server)?.open("lab-api").await?;
    let browser = guest.other_browser().await?;
    browser.open_sign_in(&opened.link, &guest.person).await
}

#[tokio::test]
async fn found_a11_first_aid_a_key_is_rotated_and_then_leaks() -> Outcome {
    let stack = stack().await?;
    let (guest, mut kernel, browser) = Guest::connected_on(stack).await?;
    let [old, new] = keys(stack)?;

    // As documented: every broker opens what the new key seals already, so now it seals.
    change_keys(stack, [&new, &old]).await?;
    let found = kernel
        .run(&format!("{CONNECT}\nprint(lab.provider)"))
        .await?
        .ok()?;
    ensure!(last_line(&found) == "lab-api", "{found}");
    let met = signs_in_again(&guest, "second").await?;
    ensure!(met.last() == Some(&Page::Done), "{met:?}");
    ensure!(!met.contains(&Page::Confirm), "asked again: {met:?}");
    // Whoever came meanwhile loses nothing with the old key.
    change_keys(stack, [&new, &new]).await?;
    let met = signs_in_again(&guest, "third").await?;
    ensure!(met.last() == Some(&Page::Done), "{met:?}");
    ensure!(!met.contains(&Page::Confirm), "asked again: {met:?}");
    ensure!(!guest.audited("owner_unreadable"));

    // Now the key is taken out at once.
    let third = another(&new);
    change_keys(stack, [&third, &third]).await?;
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    let met = browser.open_sign_in(&link, &guest.person).await?;
    ensure!(met.last() == Some(&Page::Refused), "{met:?}");
    let said = browser.text().await?;
    ensure!(said.contains("operators have to act"), "{said}");
    let error = kernel.finish(LONG).await?.ok().err().context("connected")?;
    ensure!(format!("{error:#}").contains("The operator"), "{error:#}");
    ensure!(guest.audited("owner_unreadable"));
    let told = warning(stack, &guest)?;

    // The operator knows that the account is theirs.
    let record = told["record"].as_str().context("no record is named")?;
    let redis = stack.redis.as_ref().context("no Redis")?;
    let mut admin = redis.connect().await?;
    let mut delete = redis::cmd("DEL");
    let deleted: usize = delete.arg(record).query_async(&mut admin).await?;
    ensure!(deleted == 1, "{record}");
    let met = signs_in_again(&guest, "fourth").await?;
    ensure!(met.last() == Some(&Page::Done), "{met:?}");
    ensure!(met.contains(&Page::Confirm), "nobody asked: {met:?}");
    Ok(())
}

/// The line of the log that names the person and what to do.
fn warning(stack: &Stack, guest: &Guest) -> anyhow::Result<serde_json::Value> {
    let log = stack.broker.output();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &serde_json::Value| line["level"] == "ERROR")
        .find(|line| line["user"] == *guest.name())
        .context("no line names the person")
}
