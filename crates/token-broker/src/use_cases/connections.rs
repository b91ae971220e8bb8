//! Connections after their sign-in: listed, shared, ended.

pub mod backchannel_logout;
pub mod extend;
pub mod list;
pub mod revocation;
pub mod server_stopped;
pub mod sharing;
pub mod sign_out;
