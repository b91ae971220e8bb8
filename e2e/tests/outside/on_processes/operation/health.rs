//! What the ops port says.

use std::time::{Duration, Instant};

use hubkey_e2e::stack::servers::Server;
use hubkey_e2e::stack::{Ports, Secrets, StackOptions, broker_settings};
use hubkey_fakes::loopback;
use hubkey_starters::process::RunFolder;
use hubkey_starters::redis::Redis;

use crate::support::{Outcome, built};

/// No Hub and no provider run here: neither keeps the broker from being ready.
#[tokio::test]
async fn feature_k13_the_broker_is_ready_as_long_as_redis_is_there() -> Outcome {
    let (programs, _) = built().await?;
    let run = RunFolder::create("health")?;
    let (ports, secrets) = (Ports::free(false)?, Secrets::write(&run)?);
    let mut redis = Redis::start(&run).await?;
    let settings = run.join("token-broker.toml");
    let text = broker_settings(
        &StackOptions::default(),
        &ports,
        &secrets,
        Some(&redis.url()),
    )?;
    std::fs::write(&settings, text)?;
    let url = format!("http://127.0.0.1:{}", ports.kernel);
    let program = programs.join("token-broker");
    let broker = Server::start(&run, &program, &settings, url, ports.broker_ops).await?;
    assert!(says(&ports, "healthz", 200).await?);
    redis.stop();
    assert!(says(&ports, "readyz", 503).await?, "{}", broker.output());
    assert!(says(&ports, "healthz", 200).await?, "the process lives");
    redis.restart(&run).await?;
    assert!(says(&ports, "readyz", 200).await?, "{}", broker.output());
    Ok(())
}

/// Whether the ops port soon answers so.
async fn says(ports: &Ports, path: &str, status: u16) -> anyhow::Result<bool> {
    let client = loopback::client()?;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        let url = format!("http://127.0.0.1:{}/{path}", ports.broker_ops);
        if client.get(url).send().await?.status() == status {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}
