//! Load: as much as goes, by `wrk` and `redis-benchmark`; and so much a second, by connections of our own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hubkey_starters::{console::say, process, redis::Redis, tools};
use serde::Serialize;
use tokio::process::Command;
use tokio::time::{Instant, interval_at};

use super::figures::percentile;
use super::wire::{Line, request};

/// Connections that ask at once.
pub(crate) const CONNECTIONS: usize = 32;

/// Somebody who answers token reads.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// `http://127.0.0.1:<port>`
    pub(crate) url: String,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) body: &'static str,
}

/// How a peer did in one round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Peer {
    /// The bytes of one read.
    pub(crate) fn request(&self) -> Vec<u8> {
        let line = format!("{} {}", self.method, self.path);
        request(&line, &self.token, "", self.body)
    }

    /// As many reads as go, on [`CONNECTIONS`] connections, each of which waits for its answer.
    pub(crate) async fn saturate(&self, time: Duration) -> anyhow::Result<Round> {
        let output = Command::new(tools::program("wrk")?)
            .args(["--threads", "1", "--timeout", "10s"])
            .args(["--connections", &CONNECTIONS.to_string()])
            .args(["--duration", &format!("{}s", time.as_secs())])
            .arg("--script")
            .arg(script("read.lua"))
            .arg(format!("{}{}", self.url, self.path))
            .env("BENCH_METHOD", self.method)
            .env("BENCH_BODY", self.body)
            .env("BENCH_TOKEN", &self.token)
            .stdin(Stdio::null())
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        wrk(&text).with_context(|| format!("{}: {text}", self.name))
    }

    /// So many reads a second, one after another on each of twice as many connections. A read that could not begin in
    /// time counts from when it should have begun.
    pub(crate) async fn pace(&self, per_second: u32, time: Duration) -> anyhow::Result<Round> {
        let lines = u32::try_from(2 * CONNECTIONS)?;
        let every = Duration::from_secs(1) * lines / per_second;
        let begin = Instant::now() + Duration::from_millis(50);
        let mut reading = tokio::task::JoinSet::new();
        for number in 0..lines {
            let (url, bytes) = (self.url.clone(), self.request());
            let first = begin + every * number / lines;
            reading.spawn(async move {
                let mut line = Line::connect(&url).await?;
                paced(&mut line, &bytes, first, every, begin + time).await
            });
        }
        let mut samples = Vec::new();
        while let Some(read) = reading.join_next().await {
            samples.extend(read??);
        }
        let count = u32::try_from(samples.len())?;
        Ok(Round {
            per_second: f64::from(count) / time.as_secs_f64(),
            p50_ms: percentile(&samples, 50.0),
            p99_ms: percentile(&samples, 99.0),
        })
    }
}

/// Milliseconds of each read.
async fn paced(
    line: &mut Line,
    bytes: &[u8],
    first: Instant,
    every: Duration,
    end: Instant,
) -> anyhow::Result<Vec<f64>> {
    let mut ticks = interval_at(first, every);
    let (mut samples, mut free) = (Vec::new(), first);
    loop {
        let due = ticks.tick().await;
        if due >= end {
            return Ok(samples);
        }
        // The timer is late by up to a millisecond, which is no fault of who answers.
        let begun = if due < free { due } else { Instant::now() };
        let answer = line.ask(bytes).await?;
        ensure!(
            answer.status == 200,
            "a read was answered {}",
            answer.status
        );
        free = Instant::now();
        samples.push((free - begun).as_secs_f64() * 1e3);
    }
}

/// `GET` of a key, as many as go on as many connections as peers have.
pub(crate) async fn redis(redis: &Redis, key: &str, reads: u32) -> anyhow::Result<Round> {
    let output = Command::new(tools::program("redis-benchmark")?)
        .args(["-h", "127.0.0.1", "--csv"])
        .args(["-p", &redis.port().to_string()])
        .args(["-a", redis.password().unwrap_or_default()])
        .args(["-c", &CONNECTIONS.to_string(), "-n", &reads.to_string()])
        .args(["GET", key])
        .stdin(Stdio::null())
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    csv(&text).with_context(|| format!("redis-benchmark: {text}"))
}

/// A file of ours for another program.
pub(crate) fn script(name: &str) -> PathBuf {
    process::checkout().join("e2e/bench").join(name)
}

/// The line that `read.lua` writes.
fn wrk(text: &str) -> anyhow::Result<Round> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("measured "))
        .context("wrk measured nothing")?;
    let numbers: Vec<f64> = line
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("not numbers")?;
    let [requests, microseconds, failed, p50, p99] = numbers[..] else {
        anyhow::bail!("not five numbers");
    };
    ensure!(failed < 1.0, "{failed} reads failed");
    Ok(Round {
        per_second: requests / microseconds * 1e6,
        p50_ms: p50 / 1e3,
        p99_ms: p99 / 1e3,
    })
}

/// A head of names and a line of values, all in quotation marks.
fn csv(text: &str) -> anyhow::Result<Round> {
    let mut lines = text
        .lines()
        .skip_while(|line| !line.starts_with("\"test\""));
    let row = |line: Option<&str>| -> Vec<String> {
        let cells = line.unwrap_or_default().trim_matches('"').split("\",\"");
        cells.map(str::to_owned).collect()
    };
    let (names, values) = (row(lines.next()), row(lines.next()));
    let number = |name: &str| -> anyhow::Result<f64> {
        let place = names
            .iter()
            .position(|one| one == name)
            .context("no column")?;
        Ok(values.get(place).context("no value")?.parse()?)
    };
    Ok(Round {
        per_second: number("rps")?,
        p50_ms: number("p50_latency_ms")?,
        p99_ms: number("p99_latency_ms")?,
    })
}

/// A sign of life.
pub(super) fn tell_round(name: &str, round: usize, found: &Round) {
    let Round {
        per_second,
        p50_ms,
        p99_ms,
    } = found;
    say(format!(
        "          round {round}, {name}: {per_second:.0} reads/s, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms"
    ));
}

#[cfg(test)]
mod tests {
    use super::{csv, wrk};

    #[test]
    fn what_wrk_says_is_read_and_a_failed_read_is_no_number() {
        let round = wrk("Running 2s test\nmeasured 5000 2000000 0 1500 9000\n").unwrap();
        assert!((round.per_second - 2500.0).abs() < 1e-6);
        assert!((round.p50_ms - 1.5).abs() < 1e-6 && (round.p99_ms - 9.0).abs() < 1e-6);
        assert!(wrk("measured 5000 2000000 1 1500 9000").is_err());
        assert!(wrk("unable to connect").is_err());
    }

    #[test]
    fn what_redis_benchmark_says_is_read_by_its_columns() {
        let text = "Warning: Using a password\n\"test\",\"rps\",\"avg_latency_ms\",\"p50_latency_ms\",\"p99_latency_ms\"\n\
            \"GET key\",\"61349.69\",\"0.290\",\"0.271\",\"0.615\"\n";
        let round = csv(text).unwrap();
        assert!((round.per_second - 61_349.69).abs() < 1e-6);
        assert!((round.p50_ms - 0.271).abs() < 1e-6 && (round.p99_ms - 0.615).abs() < 1e-6);
        assert!(csv("Could not connect").is_err());
    }
}
