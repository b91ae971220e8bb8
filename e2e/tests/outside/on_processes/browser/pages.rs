//! The browser's way: one redirect URI, clean addresses, links that a preview does not use up.

use std::path::Path;

use hubkey_e2e::evidence::traffic::parameter;
use hubkey_e2e::stack::LAB_API;
use hubkey_fakes::loopback;

use crate::support::{Guest, Outcome, last_line, stack};

#[tokio::test]
async fn feature_b10_feature_b11_nothing_is_left_in_addresses_and_logs() -> Outcome {
    let (guest, mut kernel, browser) = Guest::connected().await?;
    let token = kernel.run("print(lab.token)").await?.ok()?;
    let token = last_line(&token).to_owned();
    let done = browser.await_text("You can close this tab").await?;
    assert!(
        done.contains("Signed in to Example Lab as") && done.contains(&*guest.person.email),
        "{done}"
    );
    let address = browser.address().await?;
    assert!(!address.contains('?'), "the page at the end: {address}");
    let traffic = browser.traffic().await?;
    let callback = traffic.to("/callback/lab-api").unwrap();
    let code = parameter(&callback, "code").unwrap();
    for request in traffic.after("/callback/lab-api") {
        assert!(!request.contains(&code), "the code went on");
        assert!(!request.contains("code="), "a code went on");
    }
    assert!(!traffic.everything.contains(&token), "the token was seen");
    for (name, log) in logs(&guest)? {
        assert!(!log.contains(&token), "{name} has the token");
        assert!(!log.contains(&code), "{name} has the code");
    }
    Ok(())
}

/// What our servers, Redis, and the hub with its proxy and single-user servers logged. Keycloak may know its own code.
fn logs(guest: &Guest) -> anyhow::Result<Vec<(String, String)>> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(guest.stack.run.path())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_log = Path::new(&name).extension().is_some_and(|end| end == "log");
        if is_log && !name.ends_with("-browser.log") && name != "keycloak.log" {
            let bytes = std::fs::read(entry.path())?;
            logs.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    for wanted in ["jupyterhub.log", "token-broker.log", "callback-server.log"] {
        assert!(
            logs.iter()
                .any(|(name, log)| name == wanted && !log.is_empty()),
            "{wanted} is missing"
        );
    }
    Ok(logs)
}

#[tokio::test]
async fn security_q15_a_preview_does_not_burn_the_link() -> Outcome {
    let guest = Guest::new().await?;
    let api = guest.api()?;
    let opened = api.open(LAB_API).await?;
    let client = loopback::client()?;
    for _ in 0..3 {
        let bare = client.get(&opened.link).send().await?;
        assert!(!bare.status().is_server_error());
        let as_browser = client
            .get(&opened.link)
            .header("sec-fetch-site", "none")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .send()
            .await?;
        let location = as_browser.headers().get("location");
        let location = location.map_or("", |value| value.to_str().unwrap_or_default());
        assert!(
            !location.starts_with(&guest.stack.keycloak.origin()),
            "a preview came to the provider"
        );
    }
    let browser = guest.browser().await?;
    guest.sign_in(&browser, &opened.link).await?;
    assert_eq!(api.result(&opened).await?.0, "connected");
    Ok(())
}

#[tokio::test]
async fn need_16_the_operator_sees_sign_ins_and_who_got_a_token() -> Outcome {
    let (guest, _kernel, _browser) = Guest::connected().await?;
    let ops = format!(
        "http://127.0.0.1:{}/metrics",
        stack().await?.ports.broker_ops
    );
    let metrics = loopback::client()?.get(ops).send().await?.text().await?;
    for wanted in [
        "hubkey_sign_ins_opened_total{",
        "hubkey_sign_ins_total{",
        "hubkey_sign_in_duration_seconds",
        "hubkey_provider_requests_total{",
    ] {
        assert!(metrics.contains(wanted), "{wanted}: {metrics}");
    }
    assert!(!metrics.contains(guest.name()), "metrics name nobody");
    for event in [
        "sign_in_started",
        "link_opened",
        "account_confirmation_shown",
        "account_confirmation_accepted",
        "account_linked",
        "token_issued",
        "token_delivered",
    ] {
        assert!(guest.audited(event), "{event} is missing");
    }
    Ok(())
}
