//! Whole sign-ins with the most talkative logs there are, and the search for every secret that was seen.

use std::cell::RefCell;

use anyhow::{Context as _, ensure};
use hubkey_e2e::evidence::canary::Canaries;
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::keycloak::Keycloak;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::{LAB_API, Stack};
use hubkey_fakes::loopback;
use thirtyfour::By;
use tokio::task::JoinHandle;

use crate::support::{Guest, Outcome};

/// A person who has signed in, and every secret of it.
struct Seen {
    guest: Guest,
    canaries: Canaries,
}

/// Signs in, and keeps what nobody else may know.
async fn sign_in_and_remember() -> anyhow::Result<Seen> {
    let guest = Guest::new().await?;
    let (api, browser) = (guest.api()?, guest.browser().await?);
    let opened = api.open(LAB_API).await?;
    let mut canaries = Canaries::default();
    canaries.add("csrf", walk(&guest, &browser, &opened.link).await?);
    let (state, answer) = api.result(&opened).await?;
    ensure!(state == "connected", "the sign-in ended {state}");
    let token = answer["token"]["access_token"].as_str();
    canaries.add("access token", token.context("no token")?);
    canaries.add("server token", api.token());
    canaries.add("nonce", &opened.nonce);
    canaries.add("ticket", opened.ticket());
    canaries.add("poll secret", &opened.poll_secret);
    let connection = answer["connection"]["id"].as_str();
    canaries.add("connection", connection.context("no connection")?);
    remember_traffic(&mut canaries, &browser).await?;
    remember_files(&mut canaries, guest.stack)?;
    for kind in [
        "csrf",
        "access token",
        "server token",
        "nonce",
        "ticket",
        "poll secret",
        "code",
        "state",
        "flow cookie",
        "oidc nonce",
        "file",
    ] {
        ensure!(canaries.count(kind) > 0, "no {kind} was seen");
    }
    Ok(Seen { guest, canaries })
}

/// Goes through the sign-in and gives the CSRF token of the confirmation page.
async fn walk(guest: &Guest, browser: &Browser, link: &str) -> anyhow::Result<String> {
    browser.open(link).await?;
    let csrf = RefCell::new(String::new());
    let mut last = None;
    while last != Some(Page::Done) {
        let look = async |page| {
            if page == Page::Confirm {
                let field = browser.driver().find(By::Css("input[name=csrf]")).await?;
                let value = field.attr("value").await?;
                csrf.replace(value.unwrap_or_default());
            }
            Ok(())
        };
        let page = browser.step_of_sign_in(&guest.person, last, look).await?;
        ensure!(page != Page::Refused, "refused: {}", browser.text().await?);
        last = Some(page);
    }
    Ok(csrf.into_inner())
}

async fn remember_traffic(canaries: &mut Canaries, browser: &Browser) -> Outcome {
    let traffic = browser.traffic().await?;
    canaries.add_all("code", traffic.parameters("code"));
    canaries.add_all("state", traffic.parameters("state"));
    canaries.add_all("oidc nonce", traffic.parameters("nonce"));
    canaries.add_all("challenge", traffic.parameters("code_challenge"));
    for (name, value) in traffic.cookies {
        let kind = if name.contains("hk-") {
            "flow cookie"
        } else if name.starts_with("jupyterhub") {
            "hub cookie"
        } else {
            continue;
        };
        canaries.add(kind, value);
    }
    Ok(())
}

/// Client secret, shared secret, keys, the service's token, and how Redis is reached.
fn remember_files(canaries: &mut Canaries, stack: &Stack) -> Outcome {
    for entry in std::fs::read_dir(stack.run.join("secrets"))?.flatten() {
        let secret = std::fs::read_to_string(entry.path())?;
        canaries.add("file", secret.trim());
    }
    let redis = stack.redis.as_ref().context("a stack with Redis")?;
    canaries.add("password of Redis", redis.password().unwrap_or_default());
    Ok(())
}

#[tokio::test]
async fn security_l1_the_most_talkative_logs_have_no_secret() -> Outcome {
    let seen = sign_in_and_remember().await?;
    let stack = seen.guest.stack;
    let mut found = Vec::new();
    for (name, text) in [
        ("token-broker", stack.broker.output()),
        ("callback-server", stack.callback_server.output()),
    ] {
        ensure!(
            text.contains(r#""level":"TRACE""#),
            "{name} is not talkative"
        );
        found.extend(
            seen.canaries
                .found_in(text.as_bytes())
                .into_iter()
                .map(|what| format!("{name}: {what}")),
        );
    }
    for port in [stack.ports.broker_ops, stack.ports.callback_ops] {
        let url = format!("http://127.0.0.1:{port}/metrics");
        let metrics = loopback::client()?.get(url).send().await?.bytes().await?;
        ensure!(!metrics.is_empty(), "no metrics");
        found.extend(seen.canaries.found_in(&metrics));
    }
    assert_eq!(found, [""; 0]);
    Ok(())
}

/// Everything that Redis is told from now on.
async fn monitor(stack: &Stack) -> anyhow::Result<JoinHandle<anyhow::Result<Vec<u8>>>> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let redis = stack.redis.as_ref().context("a stack with Redis")?;
    let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", redis.port())).await?;
    let password = redis.password().unwrap_or_default();
    socket
        .write_all(format!("AUTH {password}\r\nMONITOR\r\n").as_bytes())
        .await?;
    Ok(tokio::spawn(async move {
        let mut heard = Vec::new();
        let silence = std::time::Duration::from_secs(20);
        let mut buffer = vec![0; 65_536];
        let until = std::time::Instant::now() + std::time::Duration::from_secs(90);
        while std::time::Instant::now() < until {
            match tokio::time::timeout(silence, socket.read(&mut buffer)).await {
                Ok(Ok(count)) if count > 0 => heard.extend_from_slice(&buffer[..count]),
                _ => break,
            }
            if heard.ends_with(b"the-end-of-the-test\"\r\n") {
                break;
            }
        }
        Ok(heard)
    }))
}

#[tokio::test]
async fn feature_g5_security_s1_redis_has_no_secret_in_keys_values_and_commands() -> Outcome {
    let stack = crate::support::stack().await?;
    let heard = monitor(stack).await?;
    let seen = sign_in_and_remember().await?;
    let redis = stack.redis.as_ref().context("a stack with Redis")?;
    let mut connection = redis.connect().await?;
    let mut dump = Vec::new();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await?;
    ensure!(keys.len() > 2, "Redis is empty");
    for key in keys {
        let value: Option<Vec<u8>> = redis::cmd("DUMP")
            .arg(&key)
            .query_async(&mut connection)
            .await?;
        dump.extend(key);
        dump.extend(value.unwrap_or_default());
    }
    let _: String = redis::cmd("ECHO")
        .arg("the-end-of-the-test")
        .query_async(&mut connection)
        .await?;
    let heard = heard.await??;
    ensure!(heard.len() > 1000, "MONITOR told nothing");
    let mut written = Vec::new();
    for file in files(redis.folder())? {
        written.extend(std::fs::read(file)?);
    }
    ensure!(written.len() > 1000, "Redis wrote no file");
    for (name, bytes) in [("dump", dump), ("MONITOR", heard), ("files", written)] {
        // The password of Redis is in its own settings file.
        let mut found = seen.canaries.found_in(&bytes);
        found.retain(|what| !(name == "files" && what.starts_with("password of Redis")));
        assert_eq!(found, [""; 0], "{name}");
    }
    Ok(())
}

fn files(folder: &std::path::Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[tokio::test]
async fn feature_c7_the_client_secret_is_with_the_broker_only() -> Outcome {
    let (guest, mut kernel, browser) = Guest::connected().await?;
    let secret = Keycloak::CLIENT_SECRET;
    let seen = "import os\nprint(os.environ, lab, vars(type(lab)), dir(lab))";
    let text = kernel.run(seen).await?.ok()?;
    assert!(text.contains("HUBKEY_URL") && !text.contains(secret));
    assert!(!browser.driver().source().await?.contains(secret));
    let stack = guest.stack;
    for (name, log) in [
        ("token-broker", stack.broker.output()),
        ("callback-server", stack.callback_server.output()),
        ("hub", stack.hub.output()),
    ] {
        assert!(!log.is_empty() && !log.contains(secret), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn feature_g12_audit_lines_say_who_and_which_request_and_nothing_secret() -> Outcome {
    let (guest, _kernel, _browser) = Guest::connected().await?;
    let lines = guest.audit();
    for event in [
        "sign_in_started",
        "link_opened",
        "account_linked",
        "token_delivered",
    ] {
        let line = lines.iter().find(|line| line["event"] == event);
        let line = line.with_context(|| format!("no line tells {event}"))?;
        assert!(line["request_id"].is_string(), "{line}");
        assert!(!line.to_string().contains(&*guest.person.email), "{line}");
    }
    Ok(())
}
