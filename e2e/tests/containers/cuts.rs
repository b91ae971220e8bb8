//! What does not die, but is out of reach, full or slow: the way to Redis, its disk, and Keycloak.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hubkey_e2e::evidence::canary::Canaries;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::containers::Compose;
use hubkey_e2e::stack::{DATA_API, Stack};
use hubkey_starters::console::say;
use reqwest::StatusCode;

use crate::support::{
    Connected, Outcome, SOON, alone, compose, life, nothing_leaked, refused, timed, until_refused,
};

/// A way to Redis is back, and so is the broker: Redis is asked at least every second or so.
const BACK: Duration = Duration::from_secs(20);

/// How the way to Redis is cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// Every connection is reset, and every new one.
    Reset,
    /// What is sent is acknowledged and never answered; connections of that time stay dead for ever.
    Silence,
    /// What is sent gets lost; the name is unknown.
    NoNetwork,
}

impl Cut {
    fn make(self, compose: &Compose) -> Outcome {
        match self {
            Self::Reset => tell_relay(compose, "USR1"),
            Self::Silence => tell_relay(compose, "USR2"),
            Self::NoNetwork => compose.network("disconnect", "store", "relay"),
        }
    }

    fn mend(self, compose: &Compose) -> Outcome {
        match self {
            Self::Reset | Self::Silence => tell_relay(compose, "HUP"),
            Self::NoNetwork => compose.network("connect", "store", "relay"),
        }
    }
}

fn tell_relay(compose: &Compose, signal: &str) -> Outcome {
    compose
        .run(&["kill", "--signal", signal, "relay"])
        .map(drop)
}

/// Cuts the way, sees refusals, mends it, and waits for the same broker. Gives how long that took.
async fn cut_and_mended(
    compose: &Compose,
    person: &Connected,
    cut: Cut,
) -> anyhow::Result<Duration> {
    cut.make(compose)?;
    let seen = async {
        until_refused("store_unavailable", async || person.token().await).await?;
        refused(person, "store_unavailable").await
    };
    let seen = seen.await;
    cut.mend(compose)?;
    let back = person.until_served().await?;
    seen?;
    Ok(back)
}

#[tokio::test]
async fn security_r14_the_way_to_redis_is_reset_silent_and_gone_and_a_sign_in_outlives_it()
-> Outcome {
    let (stack, _alone) = alone().await?;
    let compose = compose(stack)?;
    let person = Connected::new(stack).await?;
    let opened = person.api.open(DATA_API).await?;
    let mut canaries = Canaries::default();
    canaries.add("server token", person.api.token());
    canaries.add("ticket", opened.ticket());
    canaries.add("poll secret", &opened.poll_secret);
    canaries.add("access token", person.access_token().await?);
    let before = life(compose)?;
    for cut in [Cut::Reset, Cut::Silence, Cut::NoNetwork] {
        let back = cut_and_mended(compose, &person, cut).await;
        let back = back.with_context(|| format!("{cut:?}"))?;
        say(format!(
            "    way to Redis, {cut:?}: served again {back:.1?} after it was mended"
        ));
        assert!(back < BACK, "{cut:?}: {back:?}");
    }
    assert_eq!(life(compose)?, before, "the broker was started anew");
    // Nothing was forgotten: the link of before still leads to a connection.
    let met = person
        .browser
        .open_sign_in(&opened.link, &person.person)
        .await?;
    assert_eq!(met.last(), Some(&Page::Done));
    let (state, answer) = person.api.result(&opened).await?;
    assert_eq!(state, "connected", "{answer}");
    nothing_leaked(stack, &canaries)
}

/// Fills the disk under Redis to the last byte, or frees it.
fn fill(compose: &Compose, full: bool) -> Outcome {
    let script = if full {
        "cat /dev/zero > /data/filler 2>/dev/null || true"
    } else {
        "rm /data/filler"
    };
    compose
        .run(&["exec", "-T", "relay", "sh", "-c", script])
        .map(drop)
}

#[tokio::test]
async fn security_r15_a_full_disk_under_redis_stops_sign_ins_and_no_token() -> Outcome {
    let (stack, _alone) = alone().await?;
    let compose = compose(stack)?;
    let person = Connected::new(stack).await?;
    let before = life(compose)?;
    fill(compose, true)?;
    let seen = without_disk(&person).await;
    fill(compose, false)?;
    let started = Instant::now();
    while person.open().await?.0 == StatusCode::SERVICE_UNAVAILABLE {
        ensure!(started.elapsed() < BACK, "no sign-in after {BACK:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    say(format!(
        "    Redis' disk: sign-ins again {:.1?} after it had room",
        started.elapsed()
    ));
    seen?;
    assert_eq!(life(compose)?, before, "the broker was started anew");
    // What was promised before is on the disk.
    compose.run(&["kill", "redis"])?;
    compose.run(&["up", "--no-build", "--wait", "redis"])?;
    person.until_served().await?;
    Ok(())
}

/// Redis takes what it had begun, then refuses every write.
async fn without_disk(person: &Connected) -> Outcome {
    until_refused("store_unavailable", async || person.open().await).await?;
    let ((status, answer), time) = timed(person.token()).await?;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(time < SOON, "{time:?}");
    Ok(())
}

/// How long Keycloak does not answer: less than the broker waits for it.
const SLOW: Duration = Duration::from_secs(3);
/// How long the realm's access tokens live here, in seconds, and with how much left a kernel wants another one.
const LIFE: u64 = 100;
const WANTED: u64 = 88;

#[tokio::test]
async fn security_r11_a_slow_provider_holds_up_what_needs_it_and_nothing_else() -> Outcome {
    let (stack, _alone) = alone().await?;
    live_for(stack, LIFE).await?;
    let outcome = hangs_and_is_slow(stack, compose(stack)?).await;
    live_for(stack, 300).await?;
    outcome
}

async fn live_for(stack: &Stack, seconds: u64) -> Outcome {
    let life = serde_json::json!({ "accessTokenLifespan": seconds });
    stack.keycloak.change_realm(&life).await
}

async fn hangs_and_is_slow(stack: &Stack, compose: &Compose) -> Outcome {
    let mut person = Connected::new(stack).await?;
    // A new broker has to ask for the provider's metadata; who needs it is told that there is no answer.
    compose.run(&["restart", "token-broker"])?;
    person.until_served().await?;
    compose.run(&["pause", "keycloak"])?;
    let told = told_of_the_provider(&person).await;
    compose.run(&["unpause", "keycloak"])?;
    say(format!("    Keycloak hangs: told after {:.1?}", told?));
    // By now the token is too old for some.
    tokio::time::sleep(Duration::from_secs(LIFE - WANTED + 1).saturating_sub(person.age())).await;
    compose.run(&["pause", "keycloak"])?;
    let slow = refresh_while_slow(compose, &person).await;
    // Where it failed, nobody may have done it.
    let _ = compose.run(&["unpause", "keycloak"]);
    say(format!("    Keycloak slow: a refresh took {:.1?}", slow?));
    let met = person.sign_in(DATA_API).await?;
    assert_eq!(met.last(), Some(&Page::Done));
    Ok(())
}

/// A refresh waits for the provider and comes to a good end; who has a token waits for nobody.
async fn refresh_while_slow(compose: &Compose, person: &Connected) -> anyhow::Result<Duration> {
    let others = async {
        let started = Instant::now();
        while started.elapsed() < SLOW {
            let ((status, answer), time) = timed(person.token()).await?;
            ensure!(status == StatusCode::OK && time < SOON, "{time:?} {answer}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        compose.run(&["unpause", "keycloak"]).map(drop)
    };
    let refresh = timed(person.token_valid_for(WANTED));
    let (((status, answer), time), ()) = tokio::try_join!(refresh, others)?;
    ensure!(status == StatusCode::OK, "{status} {answer}");
    ensure!(time > SLOW / 2, "the provider was not asked: {time:?}");
    Ok(time)
}

async fn told_of_the_provider(person: &Connected) -> anyhow::Result<Duration> {
    let opened = person.api.open(DATA_API).await?;
    let started = Instant::now();
    person.browser.open(&opened.link).await?;
    person
        .browser
        .await_text("does not answer right now")
        .await?;
    let told = started.elapsed();
    let (state, answer) = person.api.result(&opened).await?;
    ensure!(
        state == "failed" && answer.to_string().contains("provider_unavailable"),
        "{answer}"
    );
    let (status, answer) = person.token().await?;
    ensure!(status == StatusCode::OK, "{answer}");
    Ok(told)
}
