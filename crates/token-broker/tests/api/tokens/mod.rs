//! Access tokens of a connection: as it has them, for fewer scopes, for somebody else.

mod downscoped;
mod exchange;
mod get;
mod refresh;
mod rejected;
mod stored_token;
mod userinfo;
