//! After a whole sign-in at the finest log level: what was secret is nowhere.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hubkey_e2e::keycloak::Keycloak;
use hubkey_e2e::stack::Stack;
use hubkey_e2e::tools;

use crate::support::{CONNECT, Outcome, Seat};

/// Only for eyes that may see it: the test's own copy.
const TELL: &str = "print(lab.token)";

#[tokio::test]
async fn security_l1_and_feature_b11_the_token_is_in_no_log_and_no_request_line() -> Outcome {
    let (stack, token, link) = signed_in().await?;
    let ticket = link.rsplit('/').next().unwrap_or_default().to_owned();
    let logs = files(stack.run.path(), &|path| {
        path.extension().is_some_and(|kind| kind == "log")
    });
    assert!(logs.len() > 6, "{logs:?}");
    for log in &logs {
        assert_absent(log, &token)?;
    }
    // The servers never write down a link or what is behind a question mark.
    for name in ["token-broker", "callback-server"] {
        let log = stack.run.log(name);
        assert_absent(&log, &ticket)?;
        let text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
        for word in ["code=", "state=", "\"code_verifier\"", "Bearer ey"] {
            assert!(!text.contains(word), "{} contains {word}", log.display());
        }
    }
    Ok(())
}

#[tokio::test]
async fn feature_g5_the_files_of_redis_hold_no_token() -> Outcome {
    let (stack, token, _) = signed_in().await?;
    let redis = stack.redis.as_ref().expect("the shared stack has a Redis");
    let data = files(redis.folder(), &|path| !path.ends_with("redis.conf"));
    let written: u64 = data
        .iter()
        .filter_map(|path| path.metadata().ok())
        .map(|file| file.len())
        .sum();
    assert!(written > 1000, "nothing was written, so nothing was tested");
    for file in &data {
        assert_absent(file, &token)?;
    }
    Ok(())
}

#[tokio::test]
async fn feature_c7_the_client_secret_is_with_the_broker_only() -> Outcome {
    let mut seat = Seat::take().await?;
    let browser = seat.browser().await?;
    seat.sign_in(&browser).await?;
    let seen = "import os\nprint(os.environ, lab, vars(type(lab)), dir(lab))";
    let text = seat.kernel.run(seen).await?.ok()?;
    assert!(text.contains("HUBKEY_URL") && !text.contains(Keycloak::CLIENT_SECRET));
    assert!(
        !browser
            .driver()
            .source()
            .await?
            .contains(Keycloak::CLIENT_SECRET)
    );
    let logs = files(seat.stack.run.path(), &|path| {
        path.extension().is_some_and(|kind| kind == "log")
    });
    for log in logs {
        assert_absent(&log, Keycloak::CLIENT_SECRET)?;
    }
    browser.quit().await;
    Ok(())
}

#[tokio::test]
async fn feature_g12_audit_lines_say_who_and_which_request_and_nothing_secret() -> Outcome {
    let mut seat = Seat::take().await?;
    let browser = seat.browser().await?;
    let output = seat.sign_in(&browser).await?;
    assert!(!output.everything.is_empty());
    browser.quit().await;
    let log = seat.stack.broker.output();
    let of_person: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(&format!("\"{}\"", seat.person.name)))
        .collect();
    for event in [
        "session_created",
        "ticket_claimed",
        "identity_pinned",
        "token_delivered",
    ] {
        let line = of_person.iter().find(|line| line.contains(event));
        let line = line.unwrap_or_else(|| panic!("no line tells {event} of {}", seat.person.name));
        assert!(line.contains("request_id"), "{line}");
        assert!(!line.contains(&*seat.person.email), "{line}");
    }
    Ok(())
}

/// A finished sign-in: the access token, and the link that was clicked.
async fn signed_in() -> anyhow::Result<(&'static Stack, String, String)> {
    let mut seat = Seat::take().await?;
    let browser = seat.browser().await?;
    let link = seat.begin().await?;
    browser.open_sign_in(&link, &seat.person).await?;
    seat.kernel.finish(crate::support::SOON).await?.ok()?;
    seat.kernel.run(CONNECT).await?.ok()?;
    let token = seat.kernel.run(TELL).await?.ok()?.trim().to_owned();
    assert!(token.len() > 200, "this is no token");
    browser.quit().await;
    Ok((seat.stack, token, link))
}

/// Fails if a file holds the secret as it is, or in one of the ways in which programs write bytes.
fn assert_absent(file: &Path, secret: &str) -> Outcome {
    let bytes = std::fs::read(file)?;
    // A JWT's last part alone is already the secret half of it.
    let tail = secret.rsplit('.').next().unwrap_or(secret);
    let hex = tools::hex(secret.as_bytes());
    let forms = [
        secret.to_owned(),
        tail.to_owned(),
        hex,
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    for form in forms {
        let found = bytes
            .windows(form.len())
            .any(|window| window == form.as_bytes());
        assert!(!found, "{} holds what it must not", file.display());
    }
    Ok(())
}

/// The files below a folder that fit; what is Keycloak's own or the browser's own is not ours to judge.
fn files(folder: &Path, fits: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && name != "keycloak" && !name.ends_with("-profile") && name != "secrets" {
            found.extend(files(&path, fits));
        } else if path.is_file() && fits(&path) {
            found.push(path);
        }
    }
    found
}
