//! What a test looks for in all that was sent and written.

pub mod canary;
pub mod traffic;
