//! JupyterHub's proxy by itself, before one server.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;

use crate::process::{Process, RunFolder, Spec, free_port};
use crate::tools;
use hubkey_fakes::loopback;

const START: Duration = Duration::from_mins(1);

/// A running configurable-http-proxy. Stopped when dropped.
#[derive(Debug)]
pub struct HubProxy {
    _process: Process,
    address: SocketAddr,
    metrics: String,
}

impl HubProxy {
    /// Starts one that sends everything to `target`, as the hub lets it do with the path of a service, and waits until the
    /// target answers through it.
    pub async fn start(run: &RunFolder, target: SocketAddr) -> anyhow::Result<Self> {
        tools::require(&["python packages", "configurable-http-proxy"])?;
        let (port, api_port, metrics_port) = (free_port()?, free_port()?, free_port()?);
        let mut process = Spec::new("hub-proxy", tools::node()?)
            .arg(tools::proxy())
            .args([
                "--ip=127.0.0.1",
                "--api-ip=127.0.0.1",
                "--metrics-ip=127.0.0.1",
            ])
            .arg(format!("--port={port}"))
            .arg(format!("--api-port={api_port}"))
            .arg(format!("--metrics-port={metrics_port}"))
            .arg(format!("--default-target=http://{target}"))
            .start(run)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let client = loopback::client()?;
        let url = format!("http://{address}/");
        let probe = async || loopback::answers(&client, &url).await;
        process.ready(START, probe).await?;
        Ok(Self {
            _process: process,
            address,
            metrics: format!("http://127.0.0.1:{metrics_port}/metrics"),
        })
    }

    /// How many requests it has read.
    pub async fn requests(&self) -> anyhow::Result<u64> {
        let told = loopback::client()?.get(&self.metrics).send().await?;
        let told = told.error_for_status()?.text().await?;
        let mut lines = told.lines();
        let count = lines.find_map(|line| line.strip_prefix("requests_web "));
        count
            .context("the proxy counts no requests")?
            .parse()
            .context("the proxy's count is no number")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
