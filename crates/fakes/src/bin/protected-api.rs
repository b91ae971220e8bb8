//! The protected API as a program, for the demo.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use hubkey_fakes::protected_api::{Settings, router};
use tokio::net::TcpListener;

/// An API that answers with who called.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long)]
    listen: SocketAddr,
    /// Ask the API that runs there whether it lives, and end.
    #[arg(long)]
    health: bool,
    /// The issuer whose tokens are accepted.
    #[arg(long, required_unless_present = "health")]
    issuer: Option<String>,
    /// The audience that a token must name.
    #[arg(long, required_unless_present = "health")]
    audience: Option<String>,
    /// The scope that a token must have.
    #[arg(long, required_unless_present = "health")]
    scope: Option<String>,
    /// Where the issuer's keys are, if not where its discovery document says.
    #[arg(long)]
    jwks_uri: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Options {
        listen,
        health,
        issuer,
        audience,
        scope,
        jwks_uri,
    } = Options::parse();
    if health {
        return ask_health(listen).await;
    }
    let router = router(Settings {
        issuer: issuer.unwrap_or_default(),
        audience: audience.unwrap_or_default(),
        scope: scope.unwrap_or_default(),
        jwks_uri,
    })?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("could not listen on {listen}"))?;
    // The one line that a starter waits for.
    writeln!(
        std::io::stdout(),
        "listening on http://{}",
        listener.local_addr()?
    )?;
    axum::serve(listener, router)
        .await
        .context("the server ended")
}

async fn ask_health(address: SocketAddr) -> anyhow::Result<()> {
    let url = format!("http://{address}/healthz");
    let answer = hubkey_fakes::loopback::client()?.get(url).send().await?;
    answer.error_for_status()?;
    Ok(())
}
