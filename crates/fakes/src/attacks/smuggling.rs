//! Requests that two readers could read in two ways, each with a second request hidden in it, and the check that a
//! server answers none of them twice (request smuggling).

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than a server of ours waits for the rest of a head or of a body.
const PATIENCE: Duration = Duration::from_secs(20);
const SAME_LENGTH: &str = "the same length twice";
/// After so long without a byte, a connection that may live on has no more to say.
const QUIET: Duration = Duration::from_secs(3);
/// How long an answer may take.
const SOON: Duration = Duration::from_secs(10);

/// One request that can be read in two ways.
#[derive(Debug)]
struct Shape {
    name: String,
    bytes: String,
}

/// Sends every shape to a path of a server, each on a connection of its own, and fails where one is answered twice or
/// its connection is left open.
pub async fn check(server: SocketAddr, path: &str) -> anyhow::Result<()> {
    sees_both(server, path)
        .await
        .context("two requests, one after the other")?;
    let shapes = shapes(path);
    let wrong: Vec<_> = join_all(shapes.iter().map(|shape| send(server, shape)))
        .await
        .into_iter()
        .filter_map(Result::err)
        .map(|error| format!("{error:#}"))
        .collect();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Sends every shape through the hub's proxy, one after the other, and fails where the server behind it has read more
/// requests than the proxy has: one of them was hidden from the proxy. `counts` tells how many the proxy has read, and how
/// many the server.
pub async fn check_behind(
    proxy: SocketAddr,
    path: &str,
    counts: impl AsyncFn() -> anyhow::Result<(u64, u64)>,
) -> anyhow::Result<()> {
    let more = |now: (u64, u64), before: (u64, u64)| (now.0 - before.0, now.1 - before.1);
    let before = counts().await?;
    sees_both(proxy, path).await?;
    let honest = more(counts().await?, before);
    ensure!(honest == (2, 2), "two requests were counted as {honest:?}");
    let mut wrong = Vec::new();
    for shape in shapes(path) {
        let before = counts().await?;
        let (heard, _) = converse(proxy, &shape, PATIENCE).await?;
        let (of_proxy, of_server) = more(counts().await?, before);
        if of_server > of_proxy {
            let text = String::from_utf8_lossy(&heard);
            wrong.push(format!(
                "{}: {of_server} for {of_proxy}: {text}",
                shape.name
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Shows that the check can see a second answer where there is one.
async fn sees_both(server: SocketAddr, path: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    let honest = format!("GET {path} HTTP/1.1\r\nhost: {server}\r\n");
    stream.write_all(format!("{honest}\r\n").as_bytes()).await?;
    let mut heard = vec![0; 65_536];
    let first = timeout(SOON, stream.read(&mut heard)).await??;
    heard.truncate(first);
    // Whatever is left of the first answer arrives before the second.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let last = format!("{honest}connection: close\r\n\r\n");
    stream.write_all(last.as_bytes()).await?;
    timeout(SOON, stream.read_to_end(&mut heard)).await??;
    ensure!(answers(&heard) == 2, "{}", String::from_utf8_lossy(&heard));
    Ok(())
}

async fn send(server: SocketAddr, shape: &Shape) -> anyhow::Result<()> {
    let name = &shape.name;
    // The same length twice is one length (RFC 9112, section 6.3).
    let may_stay = name == SAME_LENGTH;
    let patience = if may_stay { QUIET } else { PATIENCE };
    let (heard, is_closed) = converse(server, shape, patience).await?;
    let text = String::from_utf8_lossy(&heard);
    if answers(&heard) > 1 {
        bail!("{name}: answered twice: {text}");
    }
    ensure!(is_closed || may_stay, "{name}: left open: {text}");
    Ok(())
}

/// What is answered until the server closes, which is told too, or has said nothing for so long.
async fn converse(
    server: SocketAddr,
    shape: &Shape,
    patience: Duration,
) -> anyhow::Result<(Vec<u8>, bool)> {
    let mut stream = TcpStream::connect(server).await?;
    // A server may close before it has read all.
    let _ = stream.write_all(shape.bytes.as_bytes()).await;
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    let is_closed = loop {
        match timeout(patience, stream.read(&mut buffer)).await {
            Err(_) => break false,
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(count)) => heard.extend_from_slice(&buffer[..count]),
        }
    };
    Ok((heard, is_closed))
}

fn answers(heard: &[u8]) -> usize {
    heard
        .windows(b"HTTP/1.1 ".len())
        .filter(|window| window == b"HTTP/1.1 ")
        .count()
}

/// The request that is hidden.
fn hidden(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

fn shapes(path: &str) -> Vec<Shape> {
    let mut shapes = by_field(path);
    shapes.extend(by_body(path));
    shapes.extend(by_line(path));
    shapes
}

/// What says the length of a body twice, or unclearly. `N` is that length.
const FIELDS: [(&str, &str); 27] = [
    (
        "length and chunks",
        "content-length: N\r\ntransfer-encoding: chunked",
    ),
    (
        "chunks and length",
        "transfer-encoding: chunked\r\ncontent-length: N",
    ),
    ("two lengths", "content-length: 0\r\ncontent-length: N"),
    (
        "two lengths, the other way",
        "content-length: N\r\ncontent-length: 0",
    ),
    (SAME_LENGTH, "content-length: N\r\ncontent-length: N"),
    ("lengths in a list", "content-length: N, N"),
    ("a length with a sign", "content-length: +N"),
    ("a length below zero", "content-length: -1"),
    ("a length in hexadecimal", "content-length: 0xN"),
    ("a length with a fraction", "content-length: N.0"),
    ("a length with a space", "content-length: 0 N"),
    (
        "a length that overflows",
        "content-length: 18446744073709551616",
    ),
    ("a length of nothing", "content-length: "),
    (
        "chunks after a space",
        "transfer-encoding : chunked\r\ncontent-length: N",
    ),
    (
        "chunks on a folded line",
        "transfer-encoding:\r\n chunked\r\ncontent-length: N",
    ),
    (
        "chunks after a folded tab",
        "x-note: a\r\n\ttransfer-encoding: chunked\r\ncontent-length: N",
    ),
    (
        "a first line that is folded",
        " transfer-encoding: chunked\r\ncontent-length: N",
    ),
    (
        "identity and length",
        "transfer-encoding: identity\r\ncontent-length: N",
    ),
    (
        "chunked, then identity",
        "transfer-encoding: chunked, identity\r\ncontent-length: N",
    ),
    (
        "identity, then chunked",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked",
    ),
    (
        "an unknown coding",
        "transfer-encoding: xchunked\r\ncontent-length: N",
    ),
    (
        "chunks in quotes",
        "transfer-encoding: \"chunked\"\r\ncontent-length: N",
    ),
    (
        "chunks behind a tab of another kind",
        "transfer-encoding: \u{b}chunked\r\ncontent-length: N",
    ),
    (
        "chunks with a parameter",
        "transfer-encoding: chunked;q=1\r\ncontent-length: N",
    ),
    (
        "a line that ends in LF",
        "x-note: a\ntransfer-encoding: chunked\r\ncontent-length: N",
    ),
    (
        "a line that ends in CR",
        "x-note: a\rtransfer-encoding: chunked\r\ncontent-length: N",
    ),
    (
        "a field with a NUL",
        "x-note: a\0\r\ntransfer-encoding: chunked\r\ncontent-length: N",
    ),
];

fn by_field(path: &str) -> Vec<Shape> {
    let body = format!("0\r\n\r\n{}", hidden(path));
    let shape = |(name, fields): (&str, &str)| {
        let fields = fields.replace('N', &body.len().to_string());
        Shape::new(name, format!("{}{fields}\r\n\r\n{body}", head(path)))
    };
    FIELDS.into_iter().map(shape).collect()
}

/// Bodies in chunks that end sooner for one reader than for another.
fn by_body(path: &str) -> Vec<Shape> {
    let long = format!("0;{}\r\n\r\n", "a".repeat(20_000));
    let chunks = [
        ("nothing odd", "0\r\n\r\n"),
        ("an extension", "0;name=\"value\"\r\n\r\n"),
        ("a very long extension", &long),
        ("an extension that ends in LF", "5;a\nhello\r\n0\r\n\r\n"),
        ("an extension with a CR", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("a size that ends in LF", "5\nhello\n0\n\n"),
        ("a size that ends in CR", "5\rhello\r\n0\r\n\r\n"),
        ("a size with a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a size with a sign", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a size below zero", "-1\r\n\r\n"),
        (
            "a size that overflows",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        ("a size behind a space", " 5\r\nhello\r\n0\r\n\r\n"),
        ("a size before a space", "5 \r\nhello\r\n0\r\n\r\n"),
        ("more than the size", "3\r\nhello\r\n0\r\n\r\n"),
        ("a trailer with a length", "0\r\ncontent-length: 40\r\n\r\n"),
        ("a trailer that ends in LF", "0\r\nx: y\n\r\n"),
    ];
    let shape = |(name, body): (&str, &str)| {
        let head = format!("{}transfer-encoding: chunked\r\n\r\n", head(path));
        Shape::new(
            &format!("in chunks: {name}"),
            format!("{head}{body}{}", hidden(path)),
        )
    };
    chunks.into_iter().map(shape).collect()
}

/// Heads whose lines are not those of HTTP/1.1, and requests that come in a row.
fn by_line(path: &str) -> Vec<Shape> {
    let hidden = hidden(path);
    let length = hidden.len();
    let first = format!("GET {path} HTTP/1.1\r\nhost: x\r\n");
    [
        ("lines that end in LF", format!("{}\n{hidden}", first.replace("\r\n", "\n"))),
        ("an empty line that ends in LF", format!("{first}\n{hidden}")),
        ("HTTP/1.0 in chunks", format!(
            "POST {path} HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n{hidden}"
        )),
        ("an older request without an end", format!("POST {path}\r\n\r\n{hidden}")),
        ("behind the first", format!("{first}\r\n{hidden}")),
        ("behind the first and a half", format!("{first}\r\n{hidden}{}", &hidden[..20])),
        ("behind a body", format!("{}content-length: 2\r\n\r\nab{hidden}", head(path))),
        ("behind a body of nothing", format!("{}content-length: 0\r\n\r\n{hidden}", head(path))),
    ]
    .map(|(name, bytes)| Shape::new(name, bytes))
    .into()
}

fn head(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\n")
}

impl Shape {
    fn new(name: &str, bytes: String) -> Self {
        Self {
            name: name.to_owned(),
            bytes,
        }
    }
}
