//! The program itself: what it sends in clear only when told so, and its TLS.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod plaintext;
mod program;
mod tls;
