//! One part of the stack is gone, hangs, or has forgotten everything: what a kernel sees, and what recovers by itself.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::kernel::Kernel;
use hubkey_e2e::real::server_token::kernel_of_server;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::containers::Compose;
use hubkey_e2e::stack::{DATA_API, LAB_API, Stack};
use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{Connected, Outcome, alone, compose, life, refused};

/// Breaks Redis, sees the refusals, mends it, and sees that the same broker serves the same connection again.
async fn redis_goes_and_comes(break_it: &str, mend_it: &str) -> Outcome {
    let (stack, _alone) = alone().await?;
    let compose = compose(stack)?;
    let person = Connected::new(stack).await?;
    let before = life(compose)?;
    compose.run(&[break_it, "redis"])?;
    let seen = refused(&person, "store_unavailable").await;
    compose.run(&[mend_it, "redis"])?;
    let back = person.until_served().await?;
    seen?;
    assert!(back < Duration::from_secs(30), "{back:?}");
    assert_eq!(life(compose)?, before, "the broker was started anew");
    ensure!(
        !stack.broker.output().contains("panicked"),
        "the broker panicked"
    );
    Ok(())
}

#[tokio::test]
async fn security_r14_redis_is_killed_and_comes_back_with_what_it_had_written() -> Outcome {
    redis_goes_and_comes("kill", "start").await
}

#[tokio::test]
async fn security_r14_redis_hangs() -> Outcome {
    redis_goes_and_comes("pause", "unpause").await
}

#[tokio::test]
async fn security_r14_redis_comes_back_empty_and_the_person_signs_in_again() -> Outcome {
    let (stack, _alone) = alone().await?;
    let mut person = Connected::new(stack).await?;
    let redis = stack.redis.as_ref().context("a stack with Redis")?;
    let mut connection = redis.connect().await?;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await?;
    let (status, answer) = person.token().await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    // The pin is gone too, so the account is confirmed anew.
    let met = person.sign_in(LAB_API).await?;
    assert_eq!(met.last(), Some(&Page::Done));
    assert!(met.contains(&Page::Confirm), "{met:?}");
    assert_eq!(person.token().await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn security_r15_a_full_redis_refuses_and_evicts_nothing() -> Outcome {
    let (stack, _alone) = alone().await?;
    let person = Connected::new(stack).await?;
    let redis = stack.redis.as_ref().context("a stack with Redis")?;
    let mut connection = redis.connect().await?;
    let mut limit = async |bytes: &str| -> Outcome {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("maxmemory").arg(bytes);
        Ok(command.query_async::<()>(&mut connection).await?)
    };
    limit("1").await?;
    let answer = person.open().await;
    limit("256mb").await?;
    let (status, answer) = answer?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert_eq!(answer["code"], "store_unavailable");
    person.until_served().await?;
    Ok(())
}

const CONNECT: &str = r#"import hubkey
lab = await hubkey.connect("lab-api")
print("connected")"#;

/// A cell waits for its person while `disturb` does what it does; then the person signs in, and the cell goes on.
async fn cell_survives(disturb: impl AsyncFnOnce(&Stack, &Compose) -> Outcome) -> Outcome {
    let (stack, _alone) = alone().await?;
    let person = Connected::new(stack).await?;
    // Another server of the same person, which is not connected yet.
    stack
        .hub
        .start_server(&person.person.name, "second")
        .await?;
    let mut kernel = Kernel::start(&stack.hub, &person.person.name, "second").await?;
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    disturb(stack, compose(stack)?).await?;
    let met = person.browser.open_sign_in(&link, &person.person).await?;
    assert_eq!(met.last(), Some(&Page::Done));
    let text = kernel.finish(Duration::from_mins(1)).await?.ok()?;
    assert!(text.contains("connected"), "{text}");
    assert_eq!(person.token().await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn security_r14_a_waiting_cell_survives_the_death_of_both_servers() -> Outcome {
    cell_survives(async |stack, compose| {
        compose.run(&["kill", "token-broker", "callback-server"])?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        compose.run(&[
            "up",
            "--no-build",
            "--wait",
            "token-broker",
            "callback-server",
        ])?;
        ensure!(
            !stack.broker.output().contains("panicked"),
            "the broker panicked"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn security_r14_a_waiting_cell_survives_the_death_of_redis() -> Outcome {
    cell_survives(async |_, compose| {
        compose.run(&["kill", "redis"])?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        compose.run(&["up", "--no-build", "--wait", "redis"])?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn security_r11_tokens_are_served_while_the_provider_is_down_and_sign_ins_say_so() -> Outcome
{
    let (stack, _alone) = alone().await?;
    let compose = compose(stack)?;
    let mut person = Connected::new(stack).await?;
    compose.run(&["kill", "keycloak"])?;
    let seen = without_provider(compose, &person).await;
    compose.run(&["up", "--no-build", "--wait", "keycloak"])?;
    seen?;
    let met = person.sign_in(DATA_API).await?;
    assert_eq!(met.last(), Some(&Page::Done));
    Ok(())
}

/// The broker is started anew, so that it has to ask the provider for its metadata.
async fn without_provider(compose: &Compose, person: &Connected) -> Outcome {
    compose.run(&["restart", "token-broker"])?;
    person.until_served().await?;
    let opened = person.api.open(DATA_API).await?;
    person.browser.open(&opened.link).await?;
    person
        .browser
        .await_text("does not answer right now")
        .await?;
    let (state, answer) = person.api.result(&opened).await?;
    assert_eq!(state, "failed", "{answer}");
    assert!(
        answer.to_string().contains("provider_unavailable"),
        "{answer}"
    );
    assert_eq!(person.token().await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn security_k8_without_the_hub_nobody_new_is_let_in_and_it_recovers() -> Outcome {
    let (stack, _alone) = alone().await?;
    let compose = compose(stack)?;
    let person = Connected::new(stack).await?;
    let other = stack.new_person().await?;
    stack.hub.start_server(&other.name, "").await?;
    let broker = stack.broker.url();
    let stranger = kernel_of_server(broker, &stack.hub, &other.name, "")?;
    compose.run(&["kill", "jupyterhub"])?;
    // Nobody has asked with this token before, so the Hub has to be asked.
    let body = serde_json::json!({ "provider": LAB_API });
    let seen: anyhow::Result<(StatusCode, Value)> = stranger
        .ask(reqwest::Method::POST, "/v1/sign-ins", Some(body), &[])
        .await;
    compose.run(&["up", "--no-build", "--wait", "jupyterhub"])?;
    let (status, answer) = seen?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert_eq!(answer["code"], "hub_unavailable");
    let back = person.until_served().await?;
    assert!(back < Duration::from_secs(40), "{back:?}");
    stranger.open(LAB_API).await?;
    Ok(())
}
