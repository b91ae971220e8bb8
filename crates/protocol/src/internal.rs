//! What callback-server and the broker say to each other. No message here carries a token of a provider or of the Hub.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ErrorReference, ProviderId, ShortId, SignInFailure,
    secret::{
        self, AuthorizationCode, CsrfToken, FlowCookie, LogoutToken, SecretUrl, State, Ticket,
    },
};

/// What callback-server shows by itself: the answer to `GET /internal/v1/site`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteInfo {
    /// The hub's name in the header of each page.
    pub hub_name: String,
    /// The hub's front page, where a person signs in to the hub.
    pub hub_url: String,
    /// `#rrggbb`; the sheet's own accent where absent.
    pub accent_color: Option<String>,
    /// Where people find help.
    pub support_url: Option<String>,
    /// The URL of callback-server as browsers see it, without a trailing slash; both servers must agree on it.
    pub public_url: String,
    /// Whether that is a path on the hub's own origin.
    pub shared_origin: bool,
    /// The public keys by which hubkey proves itself to these providers, as JWK Sets (RFC 7517 section 5).
    #[serde(default)]
    pub key_sets: BTreeMap<ProviderId, Value>,
}

/// A browser opened a sign-in link.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenLink {
    /// From the path.
    #[serde(serialize_with = "secret::exposed")]
    pub ticket: Ticket,
    /// The browser's address, for the audit stream only.
    pub source: Option<String>,
}

/// A browser came back from the Hub.
#[derive(Debug, Serialize, Deserialize)]
pub struct HubCallback {
    /// The cookie that the state names.
    #[serde(serialize_with = "secret::exposed_option")]
    pub flow_cookie: Option<FlowCookie>,
    /// The Hub's code; absent where the Hub sent an error.
    #[serde(serialize_with = "secret::exposed_option")]
    pub code: Option<AuthorizationCode>,
    /// What the redirect carried.
    #[serde(serialize_with = "secret::exposed")]
    pub state: State,
    /// The browser's address, for the audit stream only.
    pub source: Option<String>,
    /// What the browser is counted by, where its address says anything.
    #[serde(default)]
    pub peer: Option<IpAddr>,
}

/// A provider says that a person's session there has ended (OpenID Connect Back-Channel Logout 1.0).
#[derive(Debug, Serialize, Deserialize)]
pub struct BackchannelLogout {
    /// What it proves that with.
    #[serde(serialize_with = "secret::exposed")]
    pub logout_token: LogoutToken,
    /// The caller's address, for the audit stream and for limits.
    pub source: Option<String>,
}

/// What came of a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogoutOutcome {
    /// The token is good, and what it names has ended.
    Done,
    /// The token is not good, or something stands in the way.
    Refused,
    /// Too many were not good; the token was not looked at.
    TooMany,
}

/// The answer to [`BackchannelLogout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutReply {
    /// What came of it.
    pub outcome: LogoutOutcome,
}

/// A browser wants to see where its sign-in stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct GetPage {
    /// From the path.
    pub flow: ShortId,
    /// The cookie of that flow.
    #[serde(serialize_with = "secret::exposed_option")]
    pub flow_cookie: Option<FlowCookie>,
    /// The browser's address, for the audit stream only.
    pub source: Option<String>,
}

/// A browser came back from a provider.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProviderCallback {
    /// The cookie that the state names.
    #[serde(serialize_with = "secret::exposed_option")]
    pub flow_cookie: Option<FlowCookie>,
    /// What the redirect carried.
    #[serde(serialize_with = "secret::exposed")]
    pub state: State,
    /// The code; absent where the provider sent an error. An error beside a code counts as the error.
    #[serde(serialize_with = "secret::exposed_option")]
    pub code: Option<AuthorizationCode>,
    /// The issuer in the redirect (RFC 9207).
    pub iss: Option<String>,
    /// The error code in the redirect.
    pub error: Option<String>,
    /// What of it was longer than hubkey takes, and was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_long: Option<TooLong>,
    /// The browser's address, for the audit stream only.
    pub source: Option<String>,
}

/// What a browser brought back that was longer than hubkey takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooLong {
    /// The code.
    Code,
    /// The issuer.
    Issuer,
    /// The whole address.
    Address,
    /// The header of the request: the cookies of this site.
    Header,
}

/// A person pressed a button on the start page or on the confirmation page.
#[derive(Debug, Serialize, Deserialize)]
pub struct SubmitDecision {
    /// From the path.
    pub flow: ShortId,
    /// The cookie of that flow.
    #[serde(serialize_with = "secret::exposed_option")]
    pub flow_cookie: Option<FlowCookie>,
    /// From the form.
    #[serde(serialize_with = "secret::exposed")]
    pub csrf: CsrfToken,
    /// Which button.
    pub decision: Decision,
    /// The browser's address, for the audit stream only.
    pub source: Option<String>,
}

pub use crate::connections_page::{
    ConnectionRow, ConnectionsPage, EndConnections, EndedConnections, OpenConnectionsPage,
};
pub use crate::label::{ProviderLabel, ScopeLabel};

/// Which button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Go on.
    Accept,
    /// End the sign-in.
    Cancel,
}

/// What to tell a browser.
#[derive(Debug, Serialize, Deserialize)]
pub struct BrowserReply {
    /// The answer itself.
    pub answer: BrowserAnswer,
    /// A flow cookie to set.
    pub set_cookie: Option<SetFlowCookie>,
    /// A flow cookie to clear.
    pub clear_cookie: Option<ShortId>,
}

/// A flow cookie for the browser.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetFlowCookie {
    /// Names the cookie.
    pub flow: ShortId,
    /// Its value.
    #[serde(serialize_with = "secret::exposed")]
    pub value: FlowCookie,
    /// Its life in seconds.
    pub max_age: u64,
}

/// The answer itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BrowserAnswer {
    /// 303 to the Hub or to a provider.
    Redirect {
        /// The whole URL. It holds a state, so it is never logged.
        #[serde(serialize_with = "secret::exposed")]
        location: SecretUrl,
    },
    /// 200 with `Refresh: 0;url=…` and a plain link: leaves for a provider after a POST (DESIGN.md section 8).
    RedirectPage {
        /// The whole URL. It holds a state, so it is never logged.
        #[serde(serialize_with = "secret::exposed")]
        location: SecretUrl,
        /// The provider's name for people.
        provider: String,
    },
    /// 303 to the page of this flow, so that no code or state stays in the address bar.
    View {
        /// Which flow.
        flow: ShortId,
    },
    /// 303 to the page "My connections" of this flow.
    Connections {
        /// Which flow.
        flow: ShortId,
    },
    /// 200 with this page.
    Page {
        /// What it says.
        page: Page,
    },
    /// Refused.
    Refused {
        /// Of which kind; decides status and page.
        refusal: Refusal,
        /// What the operator finds in the audit stream.
        reference: ErrorReference,
    },
}

/// Kinds of refusals. A page says no more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// 410: an old, foreign, used or invented link.
    InvalidLink,
    /// 403: a wrong cookie, state or CSRF token, or the hub user changed.
    Forbidden,
    /// 400: parameters missing or given twice.
    Malformed,
    /// 400, 414 or 431: a parameter, an address or cookies that are longer than hubkey takes.
    TooLong,
    /// 429: too many tries.
    RateLimited,
    /// 503: the Hub, the store or the provider did not answer.
    Unavailable,
}

/// A page, by what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "page", rename_all = "snake_case")]
pub enum Page {
    /// Asks before going to the provider.
    Start(StartPage),
    /// Asks whether two accounts belong together.
    Confirm(ConfirmPage),
    /// Says that the notebook goes on.
    Done(DonePage),
    /// Says that the sign-in ended without a connection.
    Ended(EndedPage),
    /// Shows what a person's notebooks can reach.
    Connections(ConnectionsPage),
}

/// Asks before going to the provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartPage {
    /// Where the form goes.
    pub flow: ShortId,
    /// In the form.
    #[serde(serialize_with = "secret::exposed")]
    pub csrf: CsrfToken,
    /// Where to.
    pub provider: ProviderLabel,
    /// For whom.
    pub user: String,
    /// Which of the user's servers; empty for the default one.
    pub server: String,
    /// What will be asked for.
    pub scopes: Vec<ScopeLabel>,
}

impl PartialEq for StartPage {
    fn eq(&self, other: &Self) -> bool {
        self.flow == other.flow
            && self.csrf.matches(&other.csrf)
            && self.provider == other.provider
            && self.user == other.user
            && self.server == other.server
            && self.scopes == other.scopes
    }
}

impl Eq for StartPage {}

/// Asks whether two accounts belong together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfirmPage {
    /// Where the form goes.
    pub flow: ShortId,
    /// In the form.
    #[serde(serialize_with = "secret::exposed")]
    pub csrf: CsrfToken,
    /// Where the person signed in.
    pub provider: ProviderLabel,
    /// The provider's host, to recognise it by.
    pub provider_host: String,
    /// The account there.
    pub account: String,
    /// The hub user.
    pub user: String,
    /// Which of the user's servers; empty for the default one.
    pub server: String,
    /// What the notebooks may then do.
    pub scopes: Vec<ScopeLabel>,
    /// Whether this hub user was connected to another account there before.
    pub replaces_account: bool,
    /// Whether other people can run code in this server.
    pub shared_server: bool,
    /// When the kernel asked, in Unix seconds.
    pub asked_at: u64,
}

impl PartialEq for ConfirmPage {
    fn eq(&self, other: &Self) -> bool {
        self.flow == other.flow
            && self.csrf.matches(&other.csrf)
            && self.provider == other.provider
            && self.provider_host == other.provider_host
            && self.account == other.account
            && self.user == other.user
            && self.server == other.server
            && self.scopes == other.scopes
            && self.replaces_account == other.replaces_account
            && self.shared_server == other.shared_server
            && self.asked_at == other.asked_at
    }
}

impl Eq for ConfirmPage {}

/// Says that the notebook goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DonePage {
    /// Where.
    pub provider: ProviderLabel,
    /// As whom.
    pub account: String,
}

/// Says that the sign-in ended without a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedPage {
    /// Where.
    pub provider: ProviderLabel,
    /// Why.
    pub reason: SignInFailure,
    /// What the operator finds in the audit stream.
    pub reference: ErrorReference,
}
