//! Where a message ends, for a relay that passes one at a time: Redis and HTTP/1.1, as far as the broker speaks them.

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Redis,
    Http,
}

impl Protocol {
    /// The length of the first message in these bytes, once it is there as a whole.
    pub(crate) fn whole(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Redis => value(bytes, 0),
            Self::Http => http(bytes),
        }
    }
}

/// Where a value of Redis ends that begins here.
fn value(bytes: &[u8], at: usize) -> Option<usize> {
    let end = at + find(bytes.get(at..)?, b"\r\n")?;
    let after = end + 2;
    let count = || -> i64 { text(&bytes[at + 1..end]).parse().expect("a length") };
    match bytes[at] {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => Some(after),
        b'$' | b'=' | b'!' => {
            let Ok(length) = usize::try_from(count()) else {
                return Some(after);
            };
            let after = after + length + 2;
            (after <= bytes.len()).then_some(after)
        }
        b'*' | b'~' | b'>' => values(bytes, after, count()),
        b'%' => values(bytes, after, 2 * count()),
        other => panic!("Redis does not begin a value with {other}"),
    }
}

fn values(bytes: &[u8], at: usize, count: i64) -> Option<usize> {
    (0..count).try_fold(at, |at, _| value(bytes, at))
}

fn http(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let lines = text(&bytes[..head]).to_ascii_lowercase();
    assert!(!lines.contains("\r\ntransfer-encoding:"), "of no length");
    let length = lines
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |length| length.trim().parse().expect("a length"));
    (bytes.len() >= head + length).then_some(head + length)
}

/// The words of a command or of a message of Redis: an array of texts.
pub(crate) fn words(message: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut at = find(message, b"\r\n").map_or(message.len(), |end| end + 2);
    while let Some(end) = message.get(at..).and_then(|rest| value(rest, 0)) {
        let one = &message[at..at + end];
        let begin = find(one, b"\r\n").map_or(0, |end| end + 2);
        words.push(one[begin..].strip_suffix(b"\r\n").unwrap_or(&[]).to_vec());
        at += end;
    }
    words
}

/// Method and path of a request.
pub(crate) fn request_line(message: &[u8]) -> String {
    let end = find(message, b"\r\n").unwrap_or(message.len());
    let line = text(&message[..end]);
    line.rsplit_once(' ')
        .map_or(line, |(line, _)| line)
        .to_owned()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("text")
}

pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|found| found == wanted)
}

#[cfg(test)]
mod tests {
    use super::{Protocol, request_line, words};

    #[test]
    fn a_message_of_redis_ends_where_its_last_value_does() {
        let whole = b"*3\r\n$5\r\nHMGET\r\n$-1\r\n*2\r\n:7\r\n$2\r\n\r\n\r\n";
        for cut in 0..whole.len() {
            assert_eq!(Protocol::Redis.whole(&whole[..cut]), None, "{cut}");
        }
        let mut two = whole.to_vec();
        two.extend_from_slice(b"+PONG\r\n");
        assert_eq!(Protocol::Redis.whole(&two), Some(whole.len()));
    }

    #[test]
    fn the_words_of_a_command() {
        let command = b"*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n";
        assert_eq!(words(command), [b"PING".to_vec(), b"hi".to_vec()]);
    }

    #[test]
    fn a_message_of_http_ends_with_its_body() {
        let whole = b"POST /token HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b";
        for cut in 0..whole.len() {
            assert_eq!(Protocol::Http.whole(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(Protocol::Http.whole(whole), Some(whole.len()));
        assert_eq!(request_line(whole), "POST /token");
    }
}
