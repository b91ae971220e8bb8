//! The program itself: what it sends in clear only when told so, its TLS, and what its listeners stand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod crowd;
mod plaintext;
mod program;
mod store;
mod tls;
