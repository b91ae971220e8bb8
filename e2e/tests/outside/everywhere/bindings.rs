//! Person, browser, hub user, server and kernel belong together: what happens where one of them is another.

use hubkey_fakes::kernel_api::{KernelApi, Opened};
use hubkey_starters::process;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Guest, Outcome};

/// Asks for a token of a connection.
async fn token_of(api: &KernelApi, id: &str) -> anyhow::Result<(StatusCode, Value)> {
    let path = format!("/v1/connections/{id}/token");
    let body = json!({ "min_valid_seconds": 0 });
    api.ask(Method::POST, &path, Some(body), &[]).await
}

#[tokio::test]
async fn feature_g6_need_8_a_connection_answers_its_own_server_only() -> Outcome {
    let (guest, _kernel, _browser) = Guest::connected().await?;
    let hub = &guest.stack.hub;
    hub.start_server(guest.name(), "workbench").await?;
    let other = Guest::new().await?;
    let own = guest.api()?;
    let connection = own.connections().await?[0]["id"].clone();
    let id = connection.as_str().unwrap();
    let (status, answer) = token_of(&own, id).await?;
    assert_eq!(status, StatusCode::OK);
    assert!(answer["access_token"].is_string());
    assert!(answer.get("refresh_token").is_none() && answer.get("id_token").is_none());

    let unknown = token_of(&own, &"A".repeat(id.len())).await?;
    for api in [guest.api_of("workbench")?, other.api()?] {
        let (status, answer) = token_of(&api, id).await?;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(answer["code"], unknown.1["code"]);
    }
    let broker = guest.stack.broker.url();
    let by_hand = hub.user_token(guest.name(), &[]).await?;
    let narrow = hub.user_token(guest.name(), &["read:users!user"]).await?;
    for token in [by_hand.as_str(), &narrow, "no-token-of-this-hub"] {
        let api = KernelApi::new(broker, token)?;
        let (status, answer) = token_of(&api, id).await?;
        assert!(
            [StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED].contains(&status),
            "{status} {answer}"
        );
    }
    // Another sign-in's handle and secret.
    let opened = own.open("data-api").await?;
    for api in [guest.api_of("workbench")?, other.api()?] {
        assert_eq!(api.poll(&opened).await?.0, StatusCode::NOT_FOUND);
    }
    let wrong = Opened {
        poll_secret: "A".repeat(43),
        ..opened.clone()
    };
    assert_eq!(own.poll(&wrong).await?.0, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn need_9_a_dead_broker_leaves_server_and_kernel_alone() -> Outcome {
    let (guest, mut kernel, _browser) = Guest::connected().await?;
    let nowhere = format!("http://127.0.0.1:{}", process::free_port()?);
    let cell = format!(
        "import os\nos.environ[\"HUBKEY_URL\"] = \"{nowhere}\"\nawait hubkey.connect(\"data-api\", timeout=8)"
    );
    let output = kernel.run(&cell).await?;
    assert_eq!(output.error.unwrap().0, "BrokerUnavailable");
    let text = kernel.run("print(bool(lab.token))").await?.ok()?;
    assert_eq!(text.trim(), "True");
    let mut second = guest.kernel().await?;
    assert_eq!(second.run("print(1)").await?.ok()?.trim(), "1");
    Ok(())
}
