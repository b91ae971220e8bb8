//! A Redis server of the test's own.

pub mod cluster;
pub mod sentinels;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use redis::TlsCertificates;

use crate::process::{Process, RunFolder, Spec, free_port};
use crate::tools;
use hubkey_fakes::certificates;

/// The user that the broker is, and all that it may do: the list of `docs/how-to/redis.md`, which a test compares.
pub const USER: &str = "hubkey";
/// See [`USER`].
pub const USER_RULES: &str = "resetchannels ~hk:* &hk:* -@all +evalsha +script|load +hget +hmget +hset +pexpire +del \
    +publish +subscribe +unsubscribe +ping +info +select +set +wait";
/// What it may do in addition where the servers are a cluster.
pub const CLUSTER_RULES: &str = "+cluster|slots";

/// How a Redis is to be set up. The default is what the broker asks for.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// `maxmemory-policy`.
    pub eviction: String,
    /// Whether every write goes to an append-only file, so that a restart forgets nothing.
    pub append_only: bool,
    /// The password of the default user, who may do anything, and of [`USER`]. Without one, anyone on this machine may
    /// connect.
    pub password: Option<String>,
    /// Whether it speaks TLS, and nothing else, with a certificate for 127.0.0.1 of an authority of its own.
    pub tls: bool,
    /// More lines of `redis.conf`.
    pub extra: Vec<String>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            eviction: "noeviction".to_owned(),
            append_only: true,
            password: Some("redis-dev-password".to_owned()),
            tls: false,
            extra: Vec::new(),
        }
    }
}

/// A running Redis. Its folder survives [`Redis::restart`].
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    folder: PathBuf,
    options: RedisOptions,
    program: PathBuf,
}

impl Redis {
    /// Starts a Redis as the broker wants it.
    pub async fn start(run: &RunFolder) -> anyhow::Result<Self> {
        Self::start_with(run, RedisOptions::default()).await
    }

    /// Starts a Redis on a free port of 127.0.0.1.
    pub async fn start_with(run: &RunFolder, options: RedisOptions) -> anyhow::Result<Self> {
        let program = tools::program("redis-server")?;
        let port = free_port()?;
        let name = format!("redis-{port}");
        let folder = run.folder(&name)?;
        if options.tls {
            certificates::write_for_loopback(&folder, "redis")?;
        }
        let lines = configuration(port, &folder, &options);
        std::fs::write(folder.join("redis.conf"), lines)?;
        let process = spawn(run, &name, &program, &folder)?;
        let mut redis = Self {
            process,
            port,
            folder,
            options,
            program,
        };
        redis.until_ready().await?;
        Ok(redis)
    }

    /// One that runs in a container: `process` follows what it writes. Its folder is in a volume.
    #[must_use]
    pub fn of_container(process: Process, port: u16, password: String) -> Self {
        Self {
            process,
            port,
            folder: PathBuf::new(),
            options: RedisOptions {
                password: Some(password),
                ..RedisOptions::default()
            },
            program: PathBuf::new(),
        }
    }

    /// Its address as the `redis` crate and the broker's settings write it, with the password of [`USER`].
    #[must_use]
    pub fn url(&self) -> String {
        match &self.options.password {
            Some(password) => self.url_of(&format!("{USER}:{password}@")),
            None => self.url_of(""),
        }
    }

    /// Its address with [`USER`] and without the password.
    #[must_use]
    pub fn url_without_password(&self) -> String {
        self.url_of(&format!("{USER}@"))
    }

    /// Its address for the default user, who may do anything.
    #[must_use]
    pub fn admin_url(&self) -> String {
        match &self.options.password {
            Some(password) => self.url_of(&format!(":{password}@")),
            None => self.url_of(""),
        }
    }

    /// The file with the authority of its certificate, if it speaks TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.options.tls.then(|| self.folder.join("ca.pem"))
    }

    fn url_of(&self, user: &str) -> String {
        let scheme = if self.options.tls { "rediss" } else { "redis" };
        format!("{scheme}://{user}127.0.0.1:{}/0", self.port)
    }

    /// The password of both users.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.options.password.as_deref()
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with its data files.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// A client of the test's own, which may do anything.
    pub fn client(&self) -> anyhow::Result<redis::Client> {
        let Some(file) = self.ca_file() else {
            return Ok(redis::Client::open(self.admin_url())?);
        };
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(std::fs::read(file)?),
        };
        Ok(redis::Client::build_with_tls(
            self.admin_url(),
            certificates,
        )?)
    }

    /// A connection of the test's own, which may do anything.
    pub async fn connect(&self) -> anyhow::Result<redis::aio::MultiplexedConnection> {
        self.client()?
            .get_multiplexed_async_connection()
            .await
            .context("cannot connect to the Redis of this test")
    }

    /// Keeps a text under a key.
    pub async fn put_text(&self, key: &str, text: &str) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        let mut command = redis::cmd("SET");
        Ok(command
            .arg(key)
            .arg(text)
            .exec_async(&mut connection)
            .await?)
    }

    /// How often it has read from the socket of any client: once for each time that it was spoken to, where nobody
    /// speaks before the answer is there.
    pub async fn reads(&self) -> anyhow::Result<f64> {
        let mut connection = self.connect().await?;
        let mut command = redis::cmd("INFO");
        command.arg("stats");
        let text: String = command.query_async(&mut connection).await?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("total_reads_processed:"));
        Ok(line
            .context("this Redis does not count reads")?
            .trim()
            .parse()?)
    }

    /// Stops it and starts it again on the same port with the same data.
    pub async fn restart(&mut self, run: &RunFolder) -> anyhow::Result<()> {
        self.process.stop();
        let name = format!("redis-{}", self.port);
        self.process = spawn(run, &name, &self.program, &self.folder)?;
        self.until_ready().await
    }

    /// Stops it; [`Redis::restart`] brings it back.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let client = self.client()?;
        self.process
            .ready(Duration::from_secs(20), async || {
                let Ok(mut connection) = client.get_multiplexed_async_connection().await else {
                    return false;
                };
                let answer = redis::cmd("PING")
                    .query_async::<String>(&mut connection)
                    .await;
                answer.is_ok()
            })
            .await
    }
}

fn spawn(
    run: &RunFolder,
    name: &str,
    program: &std::path::Path,
    folder: &std::path::Path,
) -> anyhow::Result<Process> {
    Spec::new(name, program)
        .arg(folder.join("redis.conf"))
        .in_folder(folder)
        .start(run)
}

fn configuration(port: u16, folder: &std::path::Path, options: &RedisOptions) -> String {
    let mut lines = vec![
        "bind 127.0.0.1".to_owned(),
        if options.tls {
            format!(
                "port 0\ntls-port {port}\ntls-cert-file tls.crt\ntls-key-file tls.key\ntls-auth-clients no"
            )
        } else {
            format!("port {port}")
        },
        format!("dir {}", folder.display()),
        "daemonize no".to_owned(),
        "save \"\"".to_owned(),
        "maxmemory 256mb".to_owned(),
        format!("maxmemory-policy {}", options.eviction),
        format!(
            "appendonly {}",
            if options.append_only { "yes" } else { "no" }
        ),
        "appendfsync everysec".to_owned(),
    ];
    if let Some(password) = &options.password {
        lines.push(format!("user default on >{password} ~* &* +@all"));
        lines.push(format!("user {USER} on >{password} {USER_RULES}"));
    }
    lines.extend(options.extra.iter().cloned());
    lines.join("\n") + "\n"
}
