//! The program itself: what it sends in clear only when told so, its TLS, and what its listeners stand.

#![cfg(test)]

mod crowd;
mod plaintext;
mod program;
mod store;
mod tls;
