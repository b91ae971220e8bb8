//! How soon a finished sign-in is at the kernel that waits for it, beside many that wait on, and what each costs.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use hubkey_starters::console::say;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::extent::{Built, Extent};
use super::figures::percentile;
use super::kernels::{Crowd, Waiting};
use super::report::{Section, Target};
use super::wire::Line;

/// Until polls that began together are spread, and the broker has what it needs for them.
const SETTLE: Duration = Duration::from_secs(6);
/// One click in this time: sign-ins that end at the same moment wait for each other, not for the wake-up.
const CLICK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found with so many kernels.
#[derive(Debug, Serialize)]
struct Found {
    waiting: usize,
    finished: usize,
    /// From the click to the kernel's answer.
    from_click_ms: Vec<f64>,
    /// From the answer to the click, which is sent once everything is stored; 0 where the kernel was faster.
    from_answer_ms: Vec<f64>,
    idle_kib: f64,
    waiting_kib: f64,
    /// Of one core, while nothing but waiting goes on.
    waiting_percent: f64,
}

impl Found {
    fn each_kib(&self) -> f64 {
        let count = u32::try_from(self.waiting).map_or(f64::INFINITY, f64::from);
        (self.waiting_kib - self.idle_kib) / count
    }
}

pub(crate) async fn measure(built: &Built, extent: &Extent) -> anyhow::Result<Section> {
    let mut all = Vec::new();
    for &count in extent.waiting {
        let found = one(built, count, extent.finished.min(count)).await?;
        say(format!(
            "          {count} wait: p50 {:.1} ms, p99 {:.1} ms, {:.1} KiB each",
            percentile(&found.from_click_ms, 50.0),
            percentile(&found.from_click_ms, 99.0),
            found.each_kib()
        ));
        all.push(found);
    }
    section(&all)
}

async fn one(built: &Built, count: usize, finished: usize) -> anyhow::Result<Found> {
    let crowd = Crowd::start("bench-wakeup", built, 1).await?;
    warm(&crowd).await?;
    let broker = crowd.site.broker()?;
    let idle_kib = broker.memory()?;
    let kernels = crowd.open("kernel", count).await?;
    let (told, mut answers) = mpsc::unbounded_channel();
    let mut polls = tokio::task::JoinSet::new();
    for (number, kernel) in kernels.iter().enumerate() {
        let (url, poll, told) = (broker.url.clone(), kernel.poll(), told.clone());
        polls.spawn(async move {
            let answered = wait(&url, &poll).await?;
            // Whoever measures may have enough.
            let _ = told.send((number, answered));
            anyhow::Ok(())
        });
    }
    sleep(SETTLE).await;
    ensure!(polls.try_join_next().is_none(), "a poll ended at once");
    let (before, began) = (broker.busy()?, Instant::now());
    sleep(SETTLE).await;
    let waiting_percent = (broker.busy()? - before) / began.elapsed().as_secs_f64() * 100.0;
    let waiting_kib = broker.memory()?;
    let mut found = Found {
        waiting: count,
        finished,
        from_click_ms: Vec::new(),
        from_answer_ms: Vec::new(),
        idle_kib,
        waiting_kib,
        waiting_percent,
    };
    finish(&crowd, &kernels[..finished], &mut answers, &mut found).await?;
    Ok(found)
}

/// One whole sign-in, so that what is made once is there.
async fn warm(crowd: &Crowd) -> anyhow::Result<()> {
    let kernels = crowd.open("warm", 1).await?;
    let kernel = kernels.first().context("no kernel")?;
    let (mut browser, question) = crowd.to_the_question(kernel).await?;
    browser.connect(question).await?;
    wait(&crowd.site.broker()?.url, &kernel.poll()).await?;
    Ok(())
}

/// Polls until the sign-in has ended, and says when the answer was there.
async fn wait(url: &str, poll: &[u8]) -> anyhow::Result<Instant> {
    let mut line = Line::connect(url).await?;
    loop {
        let answer = line.ask(poll).await?;
        let now = Instant::now();
        let state = answer.json()?["status"].clone();
        match state.as_str() {
            Some("pending") => {}
            Some("connected") => return Ok(now),
            _ => anyhow::bail!("a poll was answered {}: {state}", answer.status),
        }
    }
}

/// Finishes sign-ins one after another.
async fn finish(
    crowd: &Crowd,
    kernels: &[Waiting],
    answers: &mut mpsc::UnboundedReceiver<(usize, Instant)>,
    found: &mut Found,
) -> anyhow::Result<()> {
    let mut ready = Vec::new();
    for kernel in kernels {
        ready.push(crowd.to_the_question(kernel).await?);
    }
    for (number, (mut browser, question)) in ready.into_iter().enumerate() {
        let clicked = Instant::now();
        browser.connect(question).await?;
        let stored = Instant::now();
        let (which, answered) = timeout(PATIENCE, answers.recv())
            .await
            .context("a kernel was not woken")?
            .context("nobody waits")?;
        ensure!(which == number, "another kernel was woken");
        found
            .from_click_ms
            .push((answered - clicked).as_secs_f64() * 1e3);
        let late = answered.saturating_duration_since(stored);
        found.from_answer_ms.push(late.as_secs_f64() * 1e3);
        sleep_until(clicked + CLICK).await;
    }
    Ok(())
}

fn section(all: &[Found]) -> anyhow::Result<Section> {
    let most = all.last().context("nothing was measured")?;
    let of_most = format!("with {} waiting", most.waiting);
    let targets = vec![
        Target::at_most(
            &format!("wake-up p99 {of_most}, from the click"),
            10.0,
            percentile(&most.from_click_ms, 99.0),
            " ms",
        ),
        Target::at_most(
            &format!("memory for each kernel {of_most}"),
            8.0,
            most.each_kib(),
            " KiB",
        ),
    ];
    let rows = all.iter().map(|found| {
        let shown = |samples: &[f64], percent| format!("{:.2}", percentile(samples, percent));
        vec![
            found.waiting.to_string(),
            shown(&found.from_click_ms, 50.0),
            shown(&found.from_click_ms, 99.0),
            shown(&found.from_answer_ms, 50.0),
            shown(&found.from_answer_ms, 99.0),
            format!("{:.1}", found.each_kib()),
            format!("{:.0} %", found.waiting_percent),
        ]
    });
    Ok(Section {
        name: "wake-up",
        title: "Waiting kernels",
        about: about(most),
        columns: vec![
            "waiting",
            "p50 ms",
            "p99 ms",
            "p50 ms after the answer",
            "p99 ms after the answer",
            "KiB each",
            "of one core",
        ],
        rows: rows.collect(),
        targets,
        data: json!(all),
    })
}

fn about(most: &Found) -> String {
    format!(
        "So many kernels of as many people, each with an open sign-in and a poll on a connection of its own, at one broker. \
         The Hub is a scripted one that speaks HTTP, for no developer's machine runs ten thousand servers. {} people go through \
         the whole sign-in up to the page that names both accounts; then each clicks \"Connect\", one every {} ms. The first pair \
         of columns counts from the click, so it has the confirmation itself in it (the account link, the connection and the end of the \
         sign-in are stored), then the wake-up, the question to the Hub whether the server still runs, and the delivery; the \
         second pair counts from the answer to the click. Memory is the growth of the resident set by a kernel: its connection, \
         its poll and what is remembered of its identity. The last column is the broker's processor time while all wait and \
         nothing else happens: each poll reads its record again only when it is woken, or after half a minute.",
        most.finished,
        CLICK.as_millis()
    )
}
