//! A master, two replicas and three sentinels of the test's own, and the ways to break them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use rustix::process::{Pid, Signal, kill_process};

use super::{Redis, RedisOptions};
use crate::process::{Process, RunFolder, Spec, free_port};
use crate::tools;

/// The name under which the sentinels know the master.
pub const MASTER: &str = "hubkey";
/// What the sentinels ask for.
pub const SENTINEL_PASSWORD: &str = "sentinel-dev-password";
/// How long anything may take that sentinels or replicas do by themselves.
const LIMIT: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const SENTINELS: usize = 3;

/// A master with two replicas, and three sentinels that take a second of silence for a death.
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<Redis>,
    master: usize,
    watching: Vec<Sentinel>,
    run: RunFolder,
}

#[derive(Debug)]
struct Sentinel {
    process: Process,
    port: u16,
}

impl Sentinels {
    /// Starts all six, and waits until the sentinels know everybody.
    pub async fn start(label: &str) -> anyhow::Result<Self> {
        let run = RunFolder::create(label)?;
        let master = Redis::start_with(&run, options(None)).await?;
        let mut servers = vec![master];
        for _ in 0..2 {
            let options = options(Some(servers[0].port));
            servers.push(Redis::start_with(&run, options).await?);
        }
        let ports = [free_port()?, free_port()?, free_port()?];
        let mut sentinels = Vec::new();
        for own in 0..SENTINELS {
            sentinels.push(start_sentinel(&run, own, ports, &servers)?);
        }
        let mut started = Self {
            servers,
            master: 0,
            watching: sentinels,
            run,
        };
        started.until_settled().await?;
        Ok(started)
    }

    /// Where the sentinels are, as the broker's settings write it.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let ports = self.watching.iter().map(|sentinel| sentinel.port);
        ports
            .map(|port| format!("redis://127.0.0.1:{port}"))
            .collect()
    }

    /// The password of the servers' users.
    #[must_use]
    pub fn password(&self) -> &str {
        self.servers[0].password().unwrap_or_default()
    }

    /// The server that was the master when somebody looked last.
    #[must_use]
    pub fn master(&self) -> &Redis {
        &self.servers[self.master]
    }

    /// Kills the master, without a chance to hand over anything.
    pub fn kill_master(&mut self) -> anyhow::Result<()> {
        kill(&mut self.servers[self.master].process)
    }

    /// Ends one sentinel.
    pub fn stop_sentinel(&mut self, number: usize) {
        self.watching[number].process.stop();
    }

    /// Waits until the sentinels have made another server the master of the one that is left.
    pub async fn until_promoted(&mut self) -> anyhow::Result<()> {
        let (old, started) = (self.master, Instant::now());
        loop {
            for (number, server) in self.servers.iter().enumerate() {
                if number != old
                    && self.votes(server.port).await > SENTINELS / 2
                    && info(server, "role").await.as_deref() == Some("master")
                {
                    self.master = number;
                    return Ok(());
                }
            }
            wait(started, "another master").await?;
        }
    }

    /// Brings the killed server back as a replica, and waits until everything is as at the start.
    pub async fn repair(&mut self, killed: usize) -> anyhow::Result<()> {
        let port = self.servers[self.master].port.to_string();
        let server = &mut self.servers[killed];
        server.process.stop();
        server.process = Spec::new(format!("redis-{}", server.port), &server.program)
            .arg(server.folder.join("redis.conf"))
            .args(["--replicaof", "127.0.0.1", &port])
            .in_folder(&server.folder)
            .start(&self.run)?;
        self.until_settled().await
    }

    /// The whole of it: another master, and the one that was killed back as its replica.
    pub async fn fail_over(&mut self) -> anyhow::Result<()> {
        let killed = self.master;
        self.until_promoted().await?;
        self.repair(killed).await
    }

    /// Cuts the replicas off: what the master takes from now on, nobody else has.
    pub async fn cut_replication(&self) -> anyhow::Result<()> {
        self.on_replicas("wrong").await?;
        let mut connection = connect(self.master()).await?;
        let mut command = redis::cmd("CLIENT");
        command.arg("KILL").arg("TYPE").arg("replica");
        command.exec_async(&mut connection).await?;
        let started = Instant::now();
        while info(self.master(), "connected_slaves").await.as_deref() != Some("0") {
            wait(started, "the end of replication").await?;
        }
        Ok(())
    }

    /// Lets replicas follow a master again.
    pub async fn mend_replication(&self) -> anyhow::Result<()> {
        self.on_replicas(self.password()).await
    }

    /// Waits until both replicas hold what the master has.
    pub async fn until_replicated(&self) -> anyhow::Result<()> {
        let mut connection = connect(self.master()).await?;
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg("hk:replicated").arg("").ignore();
        pipeline.cmd("WAIT").arg(2).arg(5_000);
        let (held,): (u32,) = pipeline.query_async(&mut connection).await?;
        anyhow::ensure!(held == 2, "{held} replicas hold what was written");
        Ok(())
    }

    async fn on_replicas(&self, password: &str) -> anyhow::Result<()> {
        for (number, server) in self.servers.iter().enumerate() {
            if number != self.master {
                let mut connection = connect(server).await?;
                let mut command = redis::cmd("CONFIG");
                command.arg("SET").arg("masterauth").arg(password);
                command.exec_async(&mut connection).await?;
            }
        }
        Ok(())
    }

    /// How many sentinels say that the master is at this port.
    async fn votes(&self, port: u16) -> usize {
        let mut votes = 0;
        for sentinel in &self.watching {
            let mut ask = redis::cmd("SENTINEL");
            ask.arg("get-master-addr-by-name").arg(MASTER);
            let Ok(mut connection) = sentinel.connect().await else {
                continue;
            };
            let named = ask.query_async::<(String, u16)>(&mut connection).await;
            votes += usize::from(named.is_ok_and(|(_, named)| named == port));
        }
        votes
    }

    /// Until one server is the master for every sentinel, with two replicas that are up to date. On a busy machine
    /// sentinels may change their mind on the way.
    async fn until_settled(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while !self.is_settled().await || self.until_replicated().await.is_err() {
            wait(started, "two replicas and three sentinels that know of all").await?;
        }
        Ok(())
    }

    async fn is_settled(&mut self) -> bool {
        for (number, server) in self.servers.iter().enumerate() {
            if self.votes(server.port).await == SENTINELS {
                self.master = number;
            }
        }
        if info(self.master(), "role").await.as_deref() != Some("master") {
            return false;
        }
        for replica in ["slave0", "slave1"] {
            let state = info(self.master(), replica).await.unwrap_or_default();
            if !state.contains("state=online") {
                return false;
            }
        }
        for sentinel in &self.watching {
            if sentinel.is_content().await != Some(true) {
                return false;
            }
        }
        true
    }
}

impl Sentinel {
    async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let url = format!("redis://:{SENTINEL_PASSWORD}@127.0.0.1:{}", self.port);
        redis::Client::open(url)?
            .get_multiplexed_async_connection()
            .await
    }

    /// Whether it thinks well of the master and of a replica, and knows of two other sentinels.
    async fn is_content(&self) -> Option<bool> {
        type Told = BTreeMap<String, String>;
        let mut connection = self.connect().await.ok()?;
        let ask = |what: &str| redis::cmd("SENTINEL").arg(what).arg(MASTER).to_owned();
        let master: Told = ask("master").query_async(&mut connection).await.ok()?;
        let replicas: Vec<Told> = ask("replicas").query_async(&mut connection).await.ok()?;
        let is =
            |told: &Told, key: &str, value: &str| told.get(key).is_some_and(|found| found == value);
        let good = |told: &Told| is(told, "flags", "slave") && is(told, "master-link-status", "ok");
        Some(
            is(&master, "flags", "master")
                && is(&master, "num-other-sentinels", "2")
                && replicas.iter().any(good),
        )
    }
}

/// They are told of each other at once, in place of finding out within seconds.
fn start_sentinel(
    run: &RunFolder,
    own: usize,
    ports: [u16; SENTINELS],
    servers: &[Redis],
) -> anyhow::Result<Sentinel> {
    let name = format!("sentinel-{}", ports[own]);
    let folder = run.folder(&name)?;
    let id = |number: usize| format!("{number:040x}");
    let (port, password) = (ports[own], servers[0].password().unwrap_or_default());
    let mut lines = vec![
        format!("port {port}\nbind 127.0.0.1\ndir {}", folder.display()),
        format!("sentinel myid {}", id(own + 1)),
        format!("sentinel monitor {MASTER} 127.0.0.1 {} 2", servers[0].port),
        format!("sentinel auth-pass {MASTER} {password}"),
        format!("sentinel down-after-milliseconds {MASTER} 1000"),
        format!("sentinel failover-timeout {MASTER} 3000"),
        format!("sentinel parallel-syncs {MASTER} 2"),
        format!("requirepass {SENTINEL_PASSWORD}"),
    ];
    for replica in &servers[1..] {
        lines.push(format!(
            "sentinel known-replica {MASTER} 127.0.0.1 {}",
            replica.port
        ));
    }
    for (number, port) in ports
        .iter()
        .enumerate()
        .filter(|(number, _)| *number != own)
    {
        let id = id(number + 1);
        lines.push(format!(
            "sentinel known-sentinel {MASTER} 127.0.0.1 {port} {id}"
        ));
    }
    let file = folder.join("sentinel.conf");
    std::fs::write(&file, lines.join("\n") + "\n")?;
    let process = run_sentinel(run, &name, &file)?;
    Ok(Sentinel { process, port })
}

fn run_sentinel(run: &RunFolder, name: &str, file: &Path) -> anyhow::Result<Process> {
    Spec::new(name, tools::program("redis-server")?)
        .arg(file)
        .arg("--sentinel")
        .start(run)
}

fn options(master: Option<u16>) -> RedisOptions {
    let mut options = RedisOptions::default();
    let password = options.password.clone().unwrap_or_default();
    options.extra = vec![
        format!("masterauth {password}"),
        "repl-diskless-sync-delay 0".to_owned(),
    ];
    if let Some(master) = master {
        options.extra.push(format!("replicaof 127.0.0.1 {master}"));
    }
    options
}

/// With patience: on a busy machine servers take their time.
async fn connect(server: &Redis) -> anyhow::Result<MultiplexedConnection> {
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(LIMIT))
        .set_response_timeout(Some(LIMIT));
    let client = server.client()?;
    let connection = client.get_multiplexed_async_connection_with_config(&patient);
    Ok(connection.await?)
}

/// One field of what a server says of its replication.
async fn info(server: &Redis, field: &str) -> Option<String> {
    let mut connection = server.connect().await.ok()?;
    let mut ask = redis::cmd("INFO");
    let told: String = ask
        .arg("replication")
        .query_async(&mut connection)
        .await
        .ok()?;
    told.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}

fn kill(process: &mut Process) -> anyhow::Result<()> {
    let id = process.id().context("it does not run")?;
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    kill_process(pid.context("an odd process id")?, Signal::KILL)?;
    process.stop();
    Ok(())
}

async fn wait(started: Instant, what: &str) -> anyhow::Result<()> {
    if started.elapsed() > LIMIT {
        bail!("waited for {LIMIT:?} for {what}");
    }
    tokio::time::sleep(LOOK_AGAIN).await;
    Ok(())
}
