//! Serving HTTP/1.1: an accept loop with limits, what every request passes through, and how failures are answered.
//!
//! A request passes, in this order: the connection caps ([`Server`]), the time and size limits ([`Limits`]), the
//! pipeline (who is asking: [`ClientAddr`]; [`RequestId`]; forwarded headers removed; secrets marked as sensitive), the handler with
//! its own time limit, and at the end one log line, one measurement and one span. A limit that is broken is answered with a
//! problem document where HTTP still permits, and the connection is closed; where the callers are people, with a page
//! ([`ErrorPages`], [`OversizedHead`]).

mod accept;
mod body;
mod client_addr;
mod connection;
mod connection_state;
mod encryption;
mod error_pages;
mod extract;
mod failure;
mod head;
mod head_scanner;
mod layers;
mod limits;
mod listen;
mod oversized_head;
mod request_id;
mod request_pipeline;
mod span;
mod strict_json;
#[cfg(test)]
mod tests;

pub use accept::Server;
pub use client_addr::ClientAddr;
pub use error_pages::ErrorPages;
pub use extract::{Json, Path, Query};
pub use failure::Failure;
pub use layers::{layers, problem_fallbacks};
pub use limits::{Limits, read_limits};
pub use listen::listen;
pub use oversized_head::OversizedHead;
pub use request_id::RequestId;
