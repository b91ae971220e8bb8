//! OAuth clients of the Hub, and the codes that wait for them.

/// An OAuth client of the Hub: one service.
#[derive(Clone, Debug)]
pub struct HubClient {
    /// `service-hubkey`
    pub id: String,
    /// The service's API token.
    pub secret: String,
    /// Compared for equality.
    pub redirect_uri: String,
    /// The name in `access:services!service=…`.
    pub service: String,
    /// Whether a request without PKCE is refused, as a Hub 6 can be told to.
    pub require_pkce: bool,
}

impl HubClient {
    /// The service `hubkey`.
    #[must_use]
    pub fn hubkey(secret: &str, redirect_uri: &str) -> Self {
        Self {
            id: "service-hubkey".into(),
            secret: secret.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            service: "hubkey".into(),
            require_pkce: true,
        }
    }
}

/// An authorization code that waits to be redeemed.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) user: String,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
}
