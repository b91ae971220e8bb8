//! Many connections at once, from one process.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use futures_util::{StreamExt as _, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const AT_ONCE: usize = 64;
const SOON: Duration = Duration::from_secs(30);
/// What this process has open beside the crowd.
const BESIDE: u64 = 512;

/// Opens connections that ask one thing each, and then stay open and say no more. Those that the server closes are among
/// them.
pub async fn idle(server: SocketAddr, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    room_for(count as u64)?;
    let connections: Vec<_> = stream::iter(0..count)
        .map(|_| one(server))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    connections.into_iter().collect()
}

/// Lets this process have so many connections open.
pub fn room_for(count: u64) -> anyhow::Result<()> {
    let wanted = count + BESIDE;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < wanted) {
        let enough = maximum.is_none_or(|maximum| maximum >= wanted);
        ensure!(enough, "{wanted} open files are needed: raise `ulimit -Hn`");
        let current = Some(wanted);
        setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
    }
    Ok(())
}

async fn one(server: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = timeout(SOON, TcpStream::connect(server)).await??;
    let asked = stream
        .write_all(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    // A full server answers without reading and closes.
    if asked.is_ok() {
        let _ = timeout(SOON, stream.read(&mut [0; 4096])).await?;
    }
    Ok(stream)
}
