//! The endpoints of the Hub, what may be wrong with them, and how it says no.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::fake_http::{Captured, Reply};

/// What the Hub can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HubEndpoint {
    /// `GET /hub/api/user`
    User,
    /// `GET /hub/api/oauth2/authorize`
    Authorize,
    /// `POST /hub/api/oauth2/token`
    Token,
    /// `GET /hub/api/shares/<user>/<server>`
    Shares,
    /// `GET|POST /hub/login`
    Login,
    /// `GET /hub/logout`
    Logout,
    /// Anything else: 404.
    Other,
}

impl HubEndpoint {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/hub/api/user" => Self::User,
            "/hub/api/oauth2/authorize" => Self::Authorize,
            "/hub/api/oauth2/token" => Self::Token,
            "/hub/login" => Self::Login,
            "/hub/logout" => Self::Logout,
            _ if path.starts_with("/hub/api/shares/") => Self::Shares,
            _ => Self::Other,
        }
    }
}

/// What is wrong with the whole Hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Connections break and new ones are closed at once.
    Down,
    /// Every answer is this status with the Hub's error JSON.
    Status(u16),
    /// Every answer is right, but comes late.
    Slow(Duration),
    /// No answer ever.
    Hang,
    /// Every answer is 200 with an HTML page, as from a proxy in front.
    Html,
}

/// The token that the Hub reads from a request.
pub(super) fn hub_token(request: &Captured) -> Option<&str> {
    request
        .token_of_scheme("token")
        .or_else(|| request.token_of_scheme("Bearer"))
}

/// The Hub's error JSON.
pub(super) fn refusal(status: StatusCode, message: &str) -> Reply {
    Reply::json(&json!({ "status": status.as_u16(), "message": message })).with_status(status)
}
