//! Serving HTTP/1.1: an accept loop with limits, what every request passes through, and how failures are answered.
//!
//! A request passes, in this order: the connection caps ([`Server`]), the time and size limits ([`Limits`]), the front
//! (who is asking: [`Peer`]; [`RequestId`]; forwarded headers removed; secrets marked as sensitive), the handler with
//! its own time limit, and at the end one log line, one measurement and one span. A limit that is broken is answered with a
//! problem document where HTTP still permits, and the connection is closed; where the callers are people, a head that is
//! too large is answered with a page ([`TooLong`], [`FarTooLong`]).

mod accept;
mod body;
mod connection;
mod encryption;
mod extract;
mod failure;
mod front;
mod head;
mod layers;
mod limits;
mod listen;
mod long_head;
mod peer;
mod phase;
mod request_id;
mod scan;
mod span;
mod strict_json;
#[cfg(test)]
mod tests;

pub use accept::Server;
pub use extract::{Json, Path, Query};
pub use failure::Failure;
pub use layers::{layers, problem_fallbacks};
pub use limits::{Limits, read_limits};
pub use listen::listen;
pub use long_head::{FarTooLong, TooLong};
pub use peer::Peer;
pub use request_id::RequestId;
