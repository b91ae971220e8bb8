//! Connections: listed, shared, and ended by a person, a server that stops or a provider.

mod backchannel_logout;
mod list;
mod provider_session;
mod server_stopped;
mod sharing;
mod sign_out;
