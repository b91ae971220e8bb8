//! A thousand kernels at each of four brokers meet a token that has just ended.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hubkey_fakes::hostile_provider::Endpoint;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::extent::{Built, Extent};
use super::figures::percentile;
use super::kernels::{Crowd, text};
use super::report::{Section, Target};
use super::wire::{Line, request};

const BROKERS: usize = 4;
/// Seconds that the first token lives; the one after it lives for minutes.
const LIFE: u64 = 5;
/// A kernel asks so often where the store was too slow, as every client does.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(200);

/// What one kernel got.
struct Got {
    token: String,
    took_ms: f64,
    tries: usize,
}

pub(crate) async fn measure(built: &Built, extent: &Extent) -> anyhow::Result<Section> {
    let crowd = Crowd::start("bench-storm", built, BROKERS).await?;
    crowd.site.provider.next_reply(Endpoint::Token, |reply| {
        reply.edit_json(|answer| answer["expires_in"] = json!(LIFE));
    });
    let ask = connect(&crowd).await?;
    let ended = Instant::now() + Duration::from_secs(LIFE) + Duration::from_millis(500);
    let (begin, started) = watch::channel(None);
    let mut kernels = tokio::task::JoinSet::new();
    // Not before: a broker closes a connection on which nothing comes for seconds.
    tokio::time::sleep_until(ended).await;
    for broker in &crowd.site.brokers {
        for _ in 0..extent.storm {
            let line = Line::connect(&broker.url).await?;
            kernels.spawn(draw(line, ask.clone(), started.clone()));
        }
    }
    begin.send_replace(Some(Instant::now()));
    let mut all = Vec::new();
    while let Some(got) = kernels.join_next().await {
        all.push(got??);
    }
    let refreshes = crowd.site.provider.grants().refreshes();
    section(&all, refreshes, crowd.site.provider.grants().reuses())
}

/// A connection, and the bytes with which its kernels draw a token.
async fn connect(crowd: &Crowd) -> anyhow::Result<Vec<u8>> {
    let kernels = crowd.open("kernel", 1).await?;
    let kernel = kernels.first().context("no kernel")?;
    let (mut browser, question) = crowd.to_the_question(kernel).await?;
    browser.connect(question).await?;
    let mut line = Line::connect(&crowd.site.broker()?.url).await?;
    let answer = line.ask(&kernel.poll()).await?.json()?;
    let id = text(&answer["connection"], "id")?;
    let path = format!("POST /v1/connections/{id}/token");
    Ok(request(
        &path,
        &kernel.token,
        "",
        r#"{"min_valid_seconds":1}"#,
    ))
}

async fn draw(
    mut line: Line,
    ask: Vec<u8>,
    mut started: watch::Receiver<Option<Instant>>,
) -> anyhow::Result<Got> {
    let begun = *started.wait_for(Option::is_some).await?;
    let begun = begun.context("it began")?;
    for tries in 1..=TRIES {
        let answer = line.ask(&ask).await?;
        let json = answer.json()?;
        if answer.status == 200 {
            return Ok(Got {
                token: text(&json, "access_token")?,
                took_ms: begun.elapsed().as_secs_f64() * 1e3,
                tries,
            });
        }
        ensure!(answer.status == 503, "{}: {}", answer.status, json["code"]);
        sleep(PAUSE).await;
    }
    anyhow::bail!("a kernel got no token")
}

fn section(all: &[Got], refreshes: usize, reuses: usize) -> anyhow::Result<Section> {
    let times: Vec<f64> = all.iter().map(|got| got.took_ms).collect();
    let tokens: BTreeSet<&str> = all.iter().map(|got| got.token.as_str()).collect();
    let again = all.iter().filter(|got| got.tries > 1).count();
    let counted = f64::from(u32::try_from(refreshes)?);
    let met = refreshes == 1 && tokens.len() == 1 && reuses == 0;
    let target = Target {
        met,
        wanted: "1".to_owned(),
        measured: refreshes.to_string(),
        ..Target::at_most("refreshes for all kernels at one expiry", 1.0, counted, "")
    };
    let [p50, p99, last] = [50.0, 99.0, 100.0].map(|percent| percentile(&times, percent));
    let row = [
        all.len().to_string(),
        refreshes.to_string(),
        tokens.len().to_string(),
        again.to_string(),
        format!("{p50:.0}"),
        format!("{p99:.0}"),
        format!("{last:.0}"),
    ];
    Ok(Section {
        name: "storm",
        title: "A storm of refreshes",
        about: format!(
            "{} kernels on connections of their own, a quarter at each of {BROKERS} broker processes, ask in the same moment for \
             a token that has just ended, at a provider whose refresh tokens are good once. Refreshes are counted at the \
             provider. A kernel that is answered `store_unavailable` or `refresh_in_progress` asks again after {} ms, as clients \
             do.",
            all.len(),
            PAUSE.as_millis()
        ),
        columns: vec![
            "kernels",
            "refreshes",
            "different tokens",
            "asked again",
            "p50 ms",
            "p99 ms",
            "last ms",
        ],
        rows: vec![row.to_vec()],
        targets: vec![target],
        data: json!({
            "kernels": all.len(), "refreshes": refreshes, "reuses": reuses, "tokens": tokens.len(), "asked_again": again,
            "milliseconds": times,
        }),
    })
}
