//! A token read through the whole path, beside those who do less or did it before.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::keycloak::ALICE;
use hubkey_e2e::real::server_token::kernel_of_server;
use hubkey_e2e::real::sign_in::Page;
use hubkey_fakes::kernel_api::Opened;
use hubkey_starters::jupyterhub::{HubOptions, JupyterHub, Registration};
use hubkey_starters::process::{Process, Spec, free_port};
use hubkey_starters::tools;
use serde_json::{Value, json};

use super::extent::{Built, Extent};
use super::figures::Spread;
use super::load::{self, CONNECTIONS, Peer, Round};
use super::report::{Section, Target};
use super::site::{Fixture, HubAt, PROVIDER, Site, local};
use super::wire::Line;

const USER: &str = "alice";
/// Longer than all of a run, so that no read refreshes.
const TOKEN_LIFE: u64 = 86_400;
const BODY: &str = r#"{"min_valid_seconds":60}"#;
/// A key of Redis with as much as a connection's record has.
const KEY: &str = "bench:record";
const RECORD: usize = 1_400;
const START: Duration = Duration::from_secs(30);

/// A site at a real hub with a connection that a person signed in for.
pub(crate) struct Stage {
    pub(crate) site: Site,
    pub(crate) hub: JupyterHub,
    /// The kernel's server token.
    pub(crate) token: String,
    connection: String,
}

impl Stage {
    /// Starts everything, and signs in with Chromium.
    pub(crate) async fn start(built: &Built) -> anyhow::Result<Self> {
        let fixture = Fixture::new("bench-read", built.programs.clone(), 1)?;
        let options = HubOptions {
            port: Some(free_port()?),
            api_port: Some(free_port()?),
            hubkey: Some(Registration {
                public_url: fixture.public_url(),
                broker_url: fixture.broker_url(),
                callback_url: None,
                api_token_file: fixture.secrets.hub_token.clone(),
                ca_file: None,
            }),
            python_packages: Some(built.packages.clone()),
            ..HubOptions::default()
        };
        let hub = JupyterHub::start(&fixture.run, options).await?;
        let at = HubAt {
            api_url: hub.api_url(),
            public_url: hub.url(),
        };
        let site = Site::start(fixture, &at).await?;
        site.provider
            .token_responses(|answer| answer["expires_in"] = json!(TOKEN_LIFE));
        hub.start_server(USER, "").await?;
        let api = kernel_of_server(&site.broker()?.url, &hub, USER, "")?;
        let opened = api.open(PROVIDER).await?;
        sign_in(&site, &opened).await?;
        let (state, answer) = api.result(&opened).await?;
        ensure!(state == "connected", "the sign-in ended as {state}");
        let connection = answer["connection"]["id"].as_str().context("no id")?;
        Ok(Self {
            token: api.token().to_owned(),
            connection: connection.to_owned(),
            site,
            hub,
        })
    }

    fn broker(&self) -> anyhow::Result<Peer> {
        Ok(Peer {
            name: "hubkey",
            url: self.site.broker()?.url.clone(),
            method: "POST",
            path: format!("/v1/connections/{}/token", self.connection),
            token: self.token.clone(),
            body: BODY,
        })
    }

    /// Those beside it, and the processes that they are.
    async fn others(&self, built: &Built) -> anyhow::Result<(Vec<Peer>, Vec<Process>)> {
        let broker = self.broker()?;
        let answer = Line::connect(&broker.url)
            .await?
            .ask(&broker.request())
            .await?;
        let answer = String::from_utf8(answer.body)?;
        let (axum, tornado) = (free_port()?, free_port()?);
        let run = &self.site.fixture.run;
        let bare = Spec::new("bare-axum", built.programs.join("bare-axum"))
            .args(["--listen", &format!("127.0.0.1:{axum}")])
            .args(["--answer", &answer]);
        let service = Spec::new("tornado", tools::python())
            .arg(load::script("tornado_peer.py"))
            .env("PEER_ANSWER", &answer)
            .env("PEER_HUB_API", self.hub.api_url())
            .env("PEER_SERVICE_TOKEN", self.site.fixture.hub_token()?)
            .env("PEER_PORT", tornado.to_string());
        let peer = |name, port| Peer {
            name,
            url: local(port),
            path: "/token".to_owned(),
            ..broker.clone()
        };
        let peers = vec![
            peer("bare axum", axum),
            peer("tornado", tornado),
            Peer {
                name: "the Hub's /api/user",
                url: self.hub.api_url().trim_end_matches("/hub/api").to_owned(),
                method: "GET",
                path: "/hub/api/user".to_owned(),
                body: "",
                ..broker.clone()
            },
        ];
        let mut processes = vec![bare.start(run)?, service.start(run)?];
        for (process, peer) in processes.iter_mut().zip(&peers) {
            until_it_answers(process, peer).await?;
        }
        Ok((peers, processes))
    }
}

async fn sign_in(site: &Site, opened: &Opened) -> anyhow::Result<()> {
    let browser = Browser::start(&site.fixture.run, USER).await?;
    let pages = browser.open_sign_in(&opened.link, &ALICE).await;
    browser.quit().await;
    let pages = pages?;
    ensure!(
        pages.last() == Some(&Page::Done),
        "the sign-in went wrong: {pages:?}"
    );
    Ok(())
}

async fn until_it_answers(process: &mut Process, peer: &Peer) -> anyhow::Result<()> {
    process
        .ready(START, async || {
            let Ok(mut line) = Line::connect(&peer.url).await else {
                return false;
            };
            let answer = line.ask(&peer.request()).await;
            answer.is_ok_and(|answer| answer.status == 200)
        })
        .await
}

/// What one peer did in all rounds.
struct Reads {
    name: &'static str,
    rounds: Vec<Round>,
    /// At the same rate for all.
    paced: Vec<Round>,
}

impl Reads {
    fn per_second(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.per_second))
    }

    fn row(&self, ours: &Self) -> Vec<String> {
        let p99 = |rounds: &[Round]| match rounds {
            [] => "–".to_owned(),
            _ => Spread::of(rounds.iter().map(|round| round.p99_ms)).show(2),
        };
        let p50 = |rounds: &[Round]| match rounds {
            [] => "–".to_owned(),
            _ => Spread::of(rounds.iter().map(|round| round.p50_ms)).show(2),
        };
        vec![
            self.name.to_owned(),
            self.per_second().show(0),
            format!("{:.2}", ratio(ours, self)),
            p50(&self.rounds),
            p99(&self.rounds),
            p50(&self.paced),
            p99(&self.paced),
        ]
    }
}

/// The median of the ratios of each round: what happens on the machine meanwhile happens to both.
fn ratio(ours: &Reads, other: &Reads) -> f64 {
    let rounds = ours.rounds.iter().zip(&other.rounds);
    Spread::of(rounds.map(|(ours, other)| ours.per_second / other.per_second)).median
}

/// The same for the 99th percentile at the same rate.
fn tail_ratio(ours: &Reads, other: &Reads) -> f64 {
    let rounds = ours.paced.iter().zip(&other.paced);
    Spread::of(rounds.map(|(ours, other)| ours.p99_ms / other.p99_ms)).median
}

pub(crate) async fn measure(built: &Built, extent: &Extent) -> anyhow::Result<Section> {
    let stage = Stage::start(built).await?;
    let broker = stage.broker()?;
    let (others, _processes) = stage.others(built).await?;
    stage.site.redis.put_text(KEY, &"r".repeat(RECORD)).await?;
    let peers: Vec<Peer> = std::iter::once(broker.clone()).chain(others).collect();
    let mut reads: Vec<Reads> = peers.iter().map(|peer| none(peer.name)).collect();
    let mut raw = none("raw Redis GET");
    for round in 0..=extent.rounds {
        // The first one warms everything up and counts for nothing.
        let time = extent.round;
        for (peer, reads) in peers.iter().zip(&mut reads) {
            let found = peer.saturate(time).await?;
            load::tell_round(peer.name, round, &found);
            reads.rounds.push(found);
            if ["hubkey", "bare axum"].contains(&peer.name) {
                reads.paced.push(peer.pace(extent.rate, time).await?);
            }
        }
        let found = load::redis(&stage.site.redis, KEY, extent.redis_reads).await?;
        raw.rounds.push(found);
    }
    reads.push(raw);
    for reads in &mut reads {
        reads.rounds.remove(0);
        reads.paced = reads.paced.split_off(usize::from(!reads.paced.is_empty()));
    }
    let trips = trips(&stage, &broker).await?;
    let memory = stage.site.broker()?.memory()? / 1024.0;
    Ok(section(&reads, trips, memory, extent))
}

fn none(name: &'static str) -> Reads {
    Reads {
        name,
        rounds: Vec::new(),
        paced: Vec::new(),
    }
}

/// How often Redis is spoken to for one read: what its socket got, over reads one after another.
async fn trips(stage: &Stage, broker: &Peer) -> anyhow::Result<f64> {
    const READS: u32 = 2_000;
    let (mut line, bytes) = (Line::connect(&broker.url).await?, broker.request());
    line.ask(&bytes).await?;
    let before = stage.site.redis.reads().await?;
    for _ in 0..READS {
        ensure!(line.ask(&bytes).await?.status == 200, "a read failed");
    }
    let after = stage.site.redis.reads().await?;
    Ok((after - before) / f64::from(READS))
}

fn section(reads: &[Reads], trips: f64, memory: f64, extent: &Extent) -> Section {
    Section {
        name: "read",
        title: "Token read",
        about: about(trips, memory, extent),
        columns: vec![
            "who",
            "reads/s",
            "hubkey is … times that",
            "p50 ms",
            "p99 ms",
            "p50 ms at the same rate",
            "p99 ms at the same rate",
        ],
        rows: reads.iter().map(|one| one.row(&reads[0])).collect(),
        targets: targets(reads, trips),
        data: data(reads, trips, memory),
    }
}

fn targets(reads: &[Reads], trips: f64) -> Vec<Target> {
    let ours = &reads[0];
    let find = |name| {
        reads
            .iter()
            .find(|reads| reads.name == name)
            .unwrap_or(ours)
    };
    let (axum, hub) = (find("bare axum"), find("the Hub's /api/user"));
    vec![
        Target::at_least("token reads beside bare axum", 0.75, ratio(ours, axum), "×"),
        Target::at_most(
            "p99 of a token read beside bare axum's, at the same rate",
            1.0,
            tail_ratio(ours, axum),
            "×",
        ),
        Target::at_least(
            "token reads beside the Hub's /api/user",
            100.0,
            ratio(ours, hub),
            "×",
        ),
        // The upkeep of the connection is in it: a question a second.
        Target {
            met: trips < 1.05,
            ..Target::at_most("round trips to Redis for one read", 1.0, trips, "")
        },
    ]
}

fn about(trips: f64, memory: f64, extent: &Extent) -> String {
    format!(
        "`POST /v1/connections/{{id}}/token` with the server token of a JupyterLab server of a real JupyterHub, for a \
         connection that a person signed in for in Chromium; the Hub's answer is cached, as in production. bare axum gives \
         the same bytes and does nothing else; tornado is a service of the hub that keeps the token in memory and the Hub's \
         answer for minutes; Redis gives a value as long as a connection's record. {} rounds of {} s for each in turns, \
         `wrk` on {CONNECTIONS} connections, each of which waits for its answer, so that more reads a second mean less \
         waiting; then for the broker and axum {} reads a second on {} connections, where both have time to spare. The broker \
         held {memory:.1} MiB afterwards. A read speaks to Redis {trips:.2} times (its socket's reads, background upkeep \
         included).",
        extent.rounds,
        extent.round.as_secs(),
        extent.rate,
        2 * CONNECTIONS,
    )
}

fn data(reads: &[Reads], trips: f64, memory: f64) -> Value {
    let peers: Vec<Value> = reads
        .iter()
        .map(|one| json!({ "who": one.name, "rounds": one.rounds, "paced": one.paced }))
        .collect();
    json!({ "peers": peers, "redis_round_trips": trips, "broker_mib": memory })
}

#[cfg(test)]
mod tests {
    use super::{Reads, Round, ratio, tail_ratio};

    fn reads(rounds: &[(f64, f64)]) -> Reads {
        let rounds = rounds.iter().map(|(per_second, p99_ms)| Round {
            per_second: *per_second,
            p50_ms: 0.0,
            p99_ms: *p99_ms,
        });
        Reads {
            name: "one",
            rounds: rounds.clone().collect(),
            paced: rounds.collect(),
        }
    }

    #[test]
    fn rounds_are_compared_in_pairs() {
        let ours = reads(&[(75.0, 3.0), (10.0, 9.0), (80.0, 3.0)]);
        let other = reads(&[(100.0, 2.0), (10.0, 9.0), (100.0, 2.0)]);
        assert!((ratio(&ours, &other) - 0.8).abs() < 1e-9);
        assert!((tail_ratio(&ours, &other) - 1.5).abs() < 1e-9);
    }
}
