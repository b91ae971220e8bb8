//! What the operator set.

use std::time::Duration;

use hubkey_domain::{refresh_state::RefreshTimes, user_index::OpenLimits};

/// What the operator set.
#[derive(Debug, Clone)]
pub struct Rules {
    /// callback-server as browsers see it, without a trailing slash.
    pub public_url: String,
    /// Whether that is a path on the hub's own origin.
    pub shared_origin: bool,
    /// What to do with servers that other people may enter.
    pub shared_servers: SharedServers,
    /// How long a sign-in, its ticket, flow and states live.
    pub sign_in_lifetime: Duration,
    /// How long a connection lives without a kernel that uses it.
    pub connection_lifetime: Duration,
    /// The times of refreshes.
    pub renewal: RefreshTimes,
    /// How long an account link lives without a sign-in.
    pub account_link_lifetime: Duration,
    /// How long one poll waits.
    pub poll_timeout: Duration,
    /// How often a waiting poll reads again without being woken.
    pub poll_recheck_interval: Duration,
    /// How often who waits for another's refresh reads again without being woken.
    pub refresh_recheck_interval: Duration,
    /// How long a result is repeated to a kernel that does not acknowledge.
    pub redelivery: Duration,
    /// How many sign-ins one hub user may open.
    pub open: OpenLimits,
    /// Names and look of the pages.
    pub site: hubkey_protocol::internal::SiteInfo,
}

/// What to do with servers that people other than their owner may enter (SECURITY D9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedServers {
    /// Treat them as any other; the Hub is not asked.
    Allow,
    /// Say so on the confirmation page and in the audit stream.
    Warn,
    /// Open no sign-in there.
    Deny,
}
