//! What one sign-in costs, for the notes of a release. Nothing here is asserted on time: machines differ.

use std::collections::BTreeMap;

use anyhow::Context as _;
use hubkey_e2e::real::kernel::Kernel;
use hubkey_e2e::stack::Stack;
use hubkey_fakes::loopback;
use hubkey_starters::process::artifacts;
use serde_json::{Value, json};

use super::bare::Bare;
use crate::support::{CONNECT, Guest, LONG, Outcome, last_line, shared_origin};

const CONNECT_AND_SAY_WHEN: &str = r#"import hubkey, datetime
lab = await hubkey.connect("lab-api")
print(datetime.datetime.now(datetime.timezone.utc).isoformat())"#;

type Counts = BTreeMap<String, f64>;

/// How often Redis was told each command.
async fn redis_commands(stack: &Stack) -> anyhow::Result<Counts> {
    let redis = stack.redis.as_ref().context("a stack with Redis")?;
    let mut connection = redis.connect().await?;
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut connection)
        .await?;
    let lines = info.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let count = rest.split(',').next()?.parse().ok()?;
        Some((name.to_owned(), count))
    });
    // What these questions themselves cost.
    Ok(lines
        .filter(|(name, _)| !["info", "auth", "hello", "client|setinfo"].contains(&name.as_str()))
        .collect())
}

/// The broker's own counters of one kind.
async fn counters(stack: &Stack, metric: &str) -> anyhow::Result<Counts> {
    let url = format!("http://127.0.0.1:{}/metrics", stack.ports.broker_ops);
    let text = loopback::client()?.get(url).send().await?.text().await?;
    let lines = text.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix(metric)?.rsplit_once(' ')?;
        Some((labels.to_owned(), value.parse().ok()?))
    });
    Ok(lines.collect())
}

/// What was added.
fn difference(before: &Counts, after: &Counts) -> Counts {
    let grown = after.iter().map(|(name, count)| {
        let added = count - before.get(name).copied().unwrap_or(0.0);
        (name.clone(), added)
    });
    grown.filter(|(_, added)| *added > 0.0).collect()
}

async fn cost(stack: &Stack) -> anyhow::Result<[Counts; 3]> {
    Ok([
        redis_commands(stack).await?,
        counters(stack, "hubkey_hub_requests_total").await?,
        counters(stack, "hubkey_provider_requests_total").await?,
    ])
}

/// Seconds of the day of a time in UTC, as logs and Python write it.
fn seconds(time: &str) -> anyhow::Result<f64> {
    let (_, clock) = time.split_once('T').context("no time")?;
    let clock = clock.trim_end_matches("+00:00").trim_end_matches('Z');
    let parts: Vec<f64> = clock.split(':').map(str::parse).collect::<Result<_, _>>()?;
    let [hours, minutes, seconds] = parts[..] else {
        anyhow::bail!("no time: {time}");
    };
    Ok((hours * 60.0 + minutes) * 60.0 + seconds)
}

/// When the last redirect of a provider arrived at callback-server, by its log.
fn redirect_arrived(stack: &Stack) -> anyhow::Result<f64> {
    let log = stack.callback_server.output();
    let mut lines = log
        .lines()
        .filter(|line| line.contains("/callback/{provider}"));
    let line: Value = serde_json::from_str(lines.next_back().context("no redirect in the log")?)?;
    let answered = seconds(line["timestamp"].as_str().unwrap_or_default())?;
    Ok(answered - line["latency_ms"].as_f64().unwrap_or_default() / 1000.0)
}

fn resident_kib(process: Option<u32>) -> anyhow::Result<u64> {
    let id = process.context("the server runs")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.context("no VmRSS")?.parse()?)
}

#[tokio::test]
async fn first_sign_in_numbers() -> Outcome {
    let bare = Bare::start().await?;
    let servers = json!({
        "profile": "debug",
        "broker start ms": bare.started_in[0].as_millis(),
        "callback start ms": bare.started_in[1].as_millis(),
        "broker idle KiB": resident_kib(bare.broker.id())?,
        "callback idle KiB": resident_kib(bare.callback_server.id())?,
    });
    drop(bare);

    let (stack, _turn) = shared_origin().await?;
    let guest = Guest::on(stack).await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    let before = cost(stack).await?;
    guest
        .run_and_sign_in(&mut kernel, &browser, CONNECT)
        .await?;
    let after = cost(stack).await?;
    let [redis, hub, provider] = [0, 1, 2].map(|kind| difference(&before[kind], &after[kind]));

    // The account is known now, so nothing stands between the provider's redirect and the kernel.
    stack.hub.start_server(guest.name(), "again").await?;
    let mut kernel = Kernel::start(&stack.hub, guest.name(), "again").await?;
    kernel.begin(CONNECT_AND_SAY_WHEN).await?;
    let link = kernel.link().await?;
    guest.sign_in(&browser, &link).await?;
    let returned = kernel.finish(LONG).await?.ok()?;
    let returned = returned.lines().find(|line| line.contains("+00:00"));
    let waited = seconds(last_line(returned.context("no time")?))? - redirect_arrived(stack)?;
    let numbers = json!({
        "Redis commands of one sign-in": redis,
        "questions to the hub": hub,
        "requests to the provider": provider,
        "ms from the provider's redirect to the kernel": (waited * 1000.0).round(),
        "servers": servers,
    });
    assert!(!redis.is_empty() && !hub.is_empty() && !provider.is_empty());
    std::fs::create_dir_all(artifacts())?;
    let text = serde_json::to_string_pretty(&numbers)?;
    std::fs::write(artifacts().join("numbers.json"), &text)?;
    println!("{text}");
    Ok(())
}
