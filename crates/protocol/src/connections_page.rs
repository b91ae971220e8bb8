//! The page "My connections", and what it asks.

use serde::{Deserialize, Serialize};

use crate::{
    ConnectionId, ShortId,
    label::{ProviderLabel, ScopeLabel},
    secret::{self, CsrfToken, FlowCookie},
};

/// A browser wants to see the connections of its person.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenConnectionsPage {
    /// The browser's address, for the audit stream only.
    pub source: Option<String>,
}

/// A person ends a connection, or all of them.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndConnections {
    /// From the path.
    pub flow: ShortId,
    /// The cookie of that flow.
    #[serde(serialize_with = "secret::exposed_option")]
    pub flow_cookie: Option<FlowCookie>,
    /// From the form.
    #[serde(serialize_with = "secret::exposed")]
    pub csrf: CsrfToken,
    /// Which one; all where absent.
    pub connection: Option<ConnectionId>,
    /// The browser's address, for the audit stream only.
    pub source: Option<String>,
}

/// Shows what a person's notebooks can reach.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectionsPage {
    /// Where the forms go.
    pub flow: ShortId,
    /// In the forms.
    #[serde(serialize_with = "secret::exposed")]
    pub csrf: CsrfToken,
    /// The hub user.
    pub user: String,
    /// Newest first.
    pub connections: Vec<ConnectionRow>,
    /// What the person has just ended.
    pub just_ended: Option<EndedConnections>,
}

impl PartialEq for ConnectionsPage {
    fn eq(&self, other: &Self) -> bool {
        self.flow == other.flow
            && self.csrf.matches(&other.csrf)
            && self.user == other.user
            && self.connections == other.connections
            && self.just_ended == other.just_ended
    }
}

impl Eq for ConnectionsPage {}

/// One connection on the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// In its form.
    pub id: ConnectionId,
    /// Where.
    pub provider: ProviderLabel,
    /// As whom.
    pub account: String,
    /// Which servers use it; empty for the default one.
    pub servers: Vec<String>,
    /// What they may do.
    pub scopes: Vec<ScopeLabel>,
    /// When the person signed in, in Unix seconds.
    pub since: u64,
    /// When it was seen in use, in Unix seconds; the truth may be up to an hour and a half later.
    pub last_used: u64,
}

/// What the person has just ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum EndedConnections {
    /// One connection.
    One {
        /// Where.
        provider: ProviderLabel,
        /// Whose account.
        account: String,
    },
    /// So many.
    All {
        /// How many.
        count: usize,
    },
    /// None: it had ended before.
    Nothing,
}
