//! The least that axum can do: one route, one answer. What `cargo xtask bench` measures the broker beside.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use clap::Parser;

/// Answers every `POST /token` with the same JSON.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// The answer.
    #[arg(long)]
    answer: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen, answer } = Arguments::parse();
    let answer: &'static str = answer.leak();
    // The body is read, as a handler of JSON does.
    let handler = async move |_: String| ([(CONTENT_TYPE, "application/json")], answer);
    let router = Router::new().route("/token", post(handler));
    let listener = tokio::net::TcpListener::bind(listen).await?;
    Ok(axum::serve(listener, router).await?)
}
