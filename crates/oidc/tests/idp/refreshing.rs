//! One refresh, as flows does it.

use std::time::Duration;

use hubkey_oidc::{Granted, IdentityProvider, RefreshError, Refreshable, Refreshed};
use tokio::time::Instant;

use crate::support::Setup;

/// Sends the refresh token of what a sign-in granted.
pub(crate) async fn refresh(setup: &Setup, granted: &Granted) -> Result<Refreshed, RefreshError> {
    let refreshable = Refreshable {
        refresh_token: granted
            .tokens
            .refresh_token
            .as_ref()
            .expect("a refresh token"),
        send_before: Instant::now() + Duration::from_secs(10),
        issuer: &granted.issuer,
        subject: &granted.account.sub,
        proof: &granted.proof,
        audience: setup.audience.as_deref(),
        resource: setup.resource.as_deref(),
        scopes: None,
    };
    setup.client.refresh(refreshable).await
}
