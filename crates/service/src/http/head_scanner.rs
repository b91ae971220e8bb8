//! Detects request heads with a bare LF and pipelined requests, which hyper accepts; a proxy in front may see one request
//! where hyper sees two.

/// How the lines of a head ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum LineEndings {
    /// Each in CR LF.
    Crlf = 1,
    /// Some in CR or LF alone, or the head began among the bytes of the request before it.
    Ambiguous = 2,
}

impl LineEndings {
    pub(super) fn of(word: u8) -> Option<Self> {
        [Self::Crlf, Self::Ambiguous]
            .into_iter()
            .find(|lines| *lines as u8 == word)
    }
}

/// What was seen of the present head, and of what came behind it.
#[derive(Debug, Default)]
pub(super) struct HeadScanner {
    last: u8,
    is_begun: bool,
    is_line_empty: bool,
    is_ambiguous: bool,
    /// Bytes of the head, so far.
    length: usize,
    /// Bytes since the end of the head; `None` before that.
    behind: Option<u64>,
}

impl HeadScanner {
    /// Another head begins, after a request with a body of this length.
    pub(super) fn begin_head(&mut self, length: u64) {
        *self = Self {
            is_ambiguous: self.behind.is_some_and(|behind| behind != length),
            ..Self::default()
        };
    }

    /// Reads on; returns how the lines ended when the head is over.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<LineEndings> {
        if let Some(behind) = &mut self.behind {
            *behind += bytes.len() as u64;
            return None;
        }
        let end = bytes.iter().position(|byte| self.is_end(*byte));
        self.length += end.map_or(bytes.len(), |end| end + 1);
        let end = end?;
        self.behind = Some((bytes.len() - end - 1) as u64);
        Some(if self.is_ambiguous {
            LineEndings::Ambiguous
        } else {
            LineEndings::Crlf
        })
    }

    /// Whether the head, as far as it was read, is longer than this.
    pub(super) fn is_beyond(&self, longest: usize) -> bool {
        self.length > longest
    }

    /// Takes one byte; returns whether it is the last of the head.
    fn is_end(&mut self, byte: u8) -> bool {
        let after_cr = std::mem::replace(&mut self.last, byte) == b'\r';
        match byte {
            b'\r' => {}
            b'\n' => {
                self.is_ambiguous |= !after_cr;
                // Empty lines before the first one are skipped by hyper, as RFC 9112 asks for.
                return std::mem::replace(&mut self.is_line_empty, true) && self.is_begun;
            }
            _ => {
                self.is_ambiguous |= after_cr;
                self.is_line_empty = false;
                self.is_begun = true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<LineEndings> {
        HeadScanner::default().read(text.as_bytes())
    }

    #[test]
    fn security_q13_lines_end_in_cr_lf_alone() {
        assert_eq!(
            read("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
            Some(LineEndings::Crlf)
        );
        assert_eq!(
            read("\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            Some(LineEndings::Crlf)
        );
        for ambiguous in [
            "GET / HTTP/1.1\nhost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\r\n\n",
            "GET / HTTP/1.1\r\nhost: x\n\n",
            "GET / HTTP/1.1\r\nhost: x\ry: z\r\n\r\n",
            "\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(
                read(ambiguous),
                Some(LineEndings::Ambiguous),
                "{ambiguous:?}"
            );
        }
        for unfinished in ["", "\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\r\n\r"] {
            assert_eq!(read(unfinished), None, "{unfinished:?}");
        }
    }

    #[test]
    fn security_q13_a_head_in_pieces_is_one() {
        let head = b"GET / HTTP/1.1\r\nhost: x\r\n\r\nab";
        for at in 0..head.len() {
            let mut scanner = HeadScanner::default();
            let (first, second) = head.split_at(at);
            let lines = [scanner.read(first), scanner.read(second)];
            assert_eq!(
                lines.iter().flatten().collect::<Vec<_>>(),
                [&LineEndings::Crlf]
            );
            assert_eq!(scanner.behind, Some(2), "{at}");
        }
    }

    #[test]
    fn security_q13_a_head_does_not_begin_in_the_request_before() {
        let head = b"GET / HTTP/1.1\r\n\r\n";
        for (rest, expected) in [
            (&b"ab"[..], LineEndings::Crlf),
            (b"abGET / HT", LineEndings::Ambiguous),
            (b"a", LineEndings::Ambiguous),
        ] {
            let mut scanner = HeadScanner::default();
            assert_eq!(scanner.read(head), Some(LineEndings::Crlf));
            scanner.read(rest);
            scanner.begin_head(2);
            assert_eq!(scanner.read(head), Some(expected), "{rest:?}");
        }
    }
}
