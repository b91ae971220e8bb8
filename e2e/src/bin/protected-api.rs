//! The protected API as a program, for the demo.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use hubkey_e2e::protected_api::{Settings, router};
use tokio::net::TcpListener;

/// An API that answers with who called.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long)]
    listen: SocketAddr,
    /// The issuer whose tokens are accepted.
    #[arg(long)]
    issuer: String,
    /// The audience that a token must name.
    #[arg(long)]
    audience: String,
    /// The scope that a token must have.
    #[arg(long)]
    scope: String,
    /// Where the issuer's keys are, if not where its discovery document says.
    #[arg(long)]
    jwks_uri: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Options {
        listen,
        issuer,
        audience,
        scope,
        jwks_uri,
    } = Options::parse();
    let router = router(Settings {
        issuer,
        audience,
        scope,
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
