//! The servers without a hub and without a provider.

use std::time::{Duration, Instant};

use hubkey_e2e::stack::servers::Server;
use hubkey_e2e::stack::{Ports, Secrets, StackOptions, broker_settings, callback_settings};
use hubkey_starters::process::RunFolder;
use hubkey_starters::redis::Redis;

use crate::support::built;

/// Both servers and Redis, without a hub and without a provider.
pub(crate) struct Bare {
    pub(crate) callback_server: Server,
    pub(crate) broker: Server,
    _redis: Redis,
    /// From the start of the program to its first "ready".
    pub(crate) started_in: [Duration; 2],
    // Removed when a later run is made.
    _run: RunFolder,
}

impl Bare {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (programs, _) = built().await?;
        let run = RunFolder::create("bare")?;
        let (ports, secrets) = (Ports::free(false)?, Secrets::write(&run)?);
        let options = StackOptions::default();
        let redis = Redis::start(&run).await?;
        let callback_file = run.join("callback-server.toml");
        std::fs::write(
            &callback_file,
            callback_settings(&options, &ports, &secrets),
        )?;
        let broker_file = run.join("token-broker.toml");
        let settings = broker_settings(&options, &ports, &secrets, Some(&redis.url()))?;
        std::fs::write(&broker_file, settings)?;
        let before = Instant::now();
        let broker = Server::start(
            &run,
            &programs.join("token-broker"),
            &broker_file,
            format!("http://127.0.0.1:{}", ports.kernel),
            ports.broker_ops,
        )
        .await?;
        let between = Instant::now();
        let callback_server = Server::start(
            &run,
            &programs.join("callback-server"),
            &callback_file,
            ports.public_url.clone(),
            ports.callback_ops,
        )
        .await?;
        Ok(Self {
            callback_server,
            broker,
            _redis: redis,
            started_in: [between - before, between.elapsed()],
            _run: run,
        })
    }
}
