//! Where in a trace a call is made: W3C Trace Context, as far as hubkey speaks it. Never a secret.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::InvalidId;

/// The header that names the span a call is made in.
pub const TRACEPARENT_HEADER: &str = "traceparent";
/// The header beside it; of its members only ours is read.
pub const TRACESTATE_HEADER: &str = "tracestate";
/// The header by which one request has the same name in the logs of both servers.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// The target of spans that belong into a trace, in `tracing`'s macros:
/// `tracing::info_span!(target: TRACE, "store commit", otel.kind = "client")`.
pub const TRACE: &str = "hubkey::trace";

const EXPECTED: InvalidId = InvalidId::expecting("a traceparent of version 00");
const MEMBER: &str = "hubkey=";

/// One span of one trace, as the header `traceparent` carries it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Traceparent {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

impl Traceparent {
    /// A span; `None` where an id is zero, which stands for none.
    #[must_use]
    pub fn new(trace_id: u128, span_id: u64, sampled: bool) -> Option<Self> {
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            sampled,
        })
    }

    /// Reads a header of any origin. Of later versions only what version 00 has is read.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let mut parts = text.splitn(4, '-');
        let mut next = || parts.next().unwrap_or_default();
        let (version, trace_id, span_id, rest) = (next(), next(), next(), next());
        let flags = rest.get(..2).unwrap_or_default();
        let more = rest.get(2..).unwrap_or_default();
        let whole = more.is_empty() || (version != "00" && more.starts_with('-'));
        let version = hex(version, 2).filter(|version| *version != 0xff && whole);
        let flags = hex(flags, 2);
        version
            .zip(hex(trace_id, 32))
            .zip(hex(span_id, 16))
            .zip(flags)
            .and_then(|(((_, trace_id), span_id), flags)| {
                Self::new(trace_id, u64::try_from(span_id).ok()?, flags & 1 == 1)
            })
            .ok_or(EXPECTED)
    }

    /// The id of the trace.
    #[must_use]
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The id of the span within the trace.
    #[must_use]
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Whether its spans are kept.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id,
            self.span_id,
            u8::from(self.sampled)
        )
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traceparent({self})")
    }
}

impl From<Traceparent> for String {
    fn from(traceparent: Traceparent) -> Self {
        traceparent.to_string()
    }
}

impl TryFrom<String> for Traceparent {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

/// The span to which a whole sign-in belongs.
///
/// A kernel that has no exporter of its own still gives `connect()` a span, and leaves it to the broker to tell of it:
/// the member `hubkey` of `tracestate` says so, and names the span above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInSpan {
    /// The span.
    pub at: Traceparent,
    /// Whether the broker has to tell of the span, and below which one; zero stands for none.
    pub export_under: Option<u64>,
}

impl SignInSpan {
    /// Reads our member of a `tracestate`: the span above.
    #[must_use]
    pub fn export_under(tracestate: &str) -> Option<u64> {
        let member = tracestate
            .split(',')
            .find_map(|member| member.trim().strip_prefix(MEMBER))?;
        u64::try_from(hex(member, 16)?).ok()
    }

    /// The `tracestate` that goes along, if any.
    #[must_use]
    pub fn tracestate(&self) -> Option<String> {
        self.export_under
            .map(|above| format!("{MEMBER}{above:016x}"))
    }
}

/// Exactly so many hexadecimal digits, in lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_the_standard_says() {
        let read = Traceparent::parse(EXAMPLE).unwrap();
        assert_eq!(read.to_string(), EXAMPLE);
        assert!(read.is_sampled());
        let later = EXAMPLE.replacen("00", "01", 1) + "-what-comes-later";
        assert_eq!(Traceparent::parse(&later).unwrap(), read);
        let unsampled = EXAMPLE.replace("-01", "-00");
        assert!(!Traceparent::parse(&unsampled).unwrap().is_sampled());
        let json = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Traceparent>(&json).unwrap(), read);
    }

    #[test]
    fn other_texts_are_none() {
        let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
            &zero_trace,
            &zero_span,
        ] {
            assert!(Traceparent::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn of_a_tracestate_only_our_member_is_read() {
        let at = Traceparent::parse(EXAMPLE).unwrap();
        let span = SignInSpan {
            at,
            export_under: Some(0xb7),
        };
        let state = span.tracestate().unwrap();
        assert_eq!(state, "hubkey=00000000000000b7");
        assert_eq!(
            SignInSpan::export_under(&format!("rojo=1, {state}")),
            Some(0xb7)
        );
        for other in [
            "",
            "rojo=1",
            "hubkey=",
            "hubkey=b7",
            "xhubkey=00000000000000b7",
        ] {
            assert_eq!(SignInSpan::export_under(other), None, "{other}");
        }
    }
}
