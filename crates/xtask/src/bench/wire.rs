//! One connection that speaks as much HTTP/1.1 as measurements need, at next to no cost of its own.

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{} without JSON", self.status))
    }
}

/// The bytes of a request with this server token.
pub(crate) fn request(line: &str, token: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

impl Line {
    /// Connects to `http://<address>`.
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let address = url.trim_start_matches("http://");
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            let count = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(count > 0, "the server closed the connection");
            if let Some(answer) = read(&self.buffer)? {
                return Ok(answer);
            }
        }
    }
}

/// The answer, once it is there whole.
fn read(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = bytes.windows(END.len()).position(|four| four == END) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    let body = &bytes[end + END.len()..];
    let length = length.context("an answer without a length")?;
    let status = status.context("an answer without a status")?.parse()?;
    let body = body.get(..length).map(<[u8]>::to_vec);
    Ok(body.map(|body| Answer { status, body }))
}

#[cfg(test)]
mod tests {
    use super::{Answer, read};

    #[test]
    fn an_answer_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
        for cut in 0..text.len() {
            assert_eq!(read(&text[..cut]).unwrap(), None, "{cut}");
        }
        let whole = Answer {
            status: 200,
            body: b"body".to_vec(),
        };
        assert_eq!(read(text).unwrap(), Some(whole));
        assert!(read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
