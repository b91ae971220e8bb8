//! HTTP/2 where nobody offered it: ten thousand streams on one connection, each reset as soon as it is open
//! (CVE-2023-44487, rule Q6), and the check that a server of HTTP/1.1 takes none of them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How many streams come on one connection.
pub const STREAMS: u32 = 10_000;
/// How many connections do the same at once.
const ATTACKERS: usize = 32;
/// How long a server may take to close a connection that it does not understand.
const PATIENCE: Duration = Duration::from_secs(20);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM_AND_HEADERS: u8 = 5;
const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// `GET / http x`, by the static table of RFC 7541 and one literal.
const REQUEST: &[u8] = &[0x82, 0x84, 0x86, 0x01, 0x01, b'x'];

/// What an attacker sends after the preface: the whole attack.
#[must_use]
pub fn attack() -> Vec<u8> {
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for stream in (1..).step_by(2).take(STREAMS as usize) {
        bytes.extend(frame(HEADERS, END_STREAM_AND_HEADERS, stream, REQUEST));
        bytes.extend(frame(RST_STREAM, 0, stream, &CANCEL));
    }
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default();
    let head = [
        &length.to_be_bytes()[1..],
        &[kind, flags],
        &stream.to_be_bytes(),
    ];
    [&head.concat(), payload].concat()
}

/// Attacks a server from many connections at once, by prior knowledge and by an upgrade; fails where any of them gets
/// more than a refusal in HTTP/1.1, or stays open.
pub async fn check(server: SocketAddr) -> anyhow::Result<()> {
    let attacks = (0..ATTACKERS).map(|number| async move {
        let stream = TcpStream::connect(server).await?;
        if number % 2 == 0 {
            refuses(stream).await
        } else {
            does_not_upgrade(stream).await
        }
    });
    try_join_all(attacks).await.map(|_| ())
}

/// By prior knowledge (RFC 9113, section 3.3), on any connection.
pub async fn refuses(stream: impl AsyncRead + AsyncWrite) -> anyhow::Result<()> {
    let heard = hear(stream, &attack()).await.context("prior knowledge")?;
    let text = String::from_utf8_lossy(&heard);
    let refusal =
        heard.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5");
    ensure!(refusal, "answered HTTP/2 with {text}");
    ensure!(
        text.matches("HTTP/1.1 ").count() <= 1,
        "answered more than once: {text}"
    );
    Ok(())
}

/// By an upgrade of the first request (RFC 7540, section 3.2).
async fn does_not_upgrade(stream: TcpStream) -> anyhow::Result<()> {
    let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\
                   http2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    let bytes = [request.as_bytes(), &attack()].concat();
    let heard = hear(stream, &bytes).await.context("an upgrade")?;
    let text = String::from_utf8_lossy(&heard);
    ensure!(!text.starts_with("HTTP/1.1 101"), "upgraded: {text}");
    ensure!(
        text.matches("HTTP/1.1 ").count() <= 2,
        "answered more than twice: {text}"
    );
    Ok(())
}

/// Sends all that is taken, and listens until the other side closes.
async fn hear(stream: impl AsyncRead + AsyncWrite, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (mut reader, mut writer) = split(stream);
    let mut heard = Vec::new();
    let sending = async {
        // A server that closes takes no more.
        let _ = writer.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let listening = async {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            heard.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::select! {
        () = sending => {}
        closed = timeout(PATIENCE, listening) => closed.context("the connection was left open")?,
    }
    Ok(heard)
}
