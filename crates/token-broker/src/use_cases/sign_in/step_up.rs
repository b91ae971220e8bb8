//! A sign-in for more than a connection has: it asks for both, so that its connection can do all.

use std::sync::Arc;

use hubkey_domain::{
    clock::Clock, connection::Connection, identity::ServerIdentity, provider::ConnectionScope,
    user_index::UserIndex,
};
use hubkey_protocol::Scope;
use hubkey_store::{
    Key, Store, StoreError,
    typed::{Loaded, TypedStore},
};

use crate::use_cases::{base::Base, sign_in::request_policy::ProviderRequest};

/// Adds what a connection has to a request for more.
#[derive(Debug)]
pub(crate) struct StepUp {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl StepUp {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            store: Arc::clone(&base.store),
            clock: Arc::clone(&base.clock),
        }
    }

    /// Where this server has a connection that would do but for its scopes: what it has goes along, and its account is
    /// suggested. That connection stays as it is.
    pub(crate) async fn apply(
        &self,
        kernel: &ServerIdentity,
        mut requested: ProviderRequest,
        index: Option<&Loaded<UserIndex>>,
    ) -> Result<ProviderRequest, StoreError> {
        let Some(base) = self.base_connection(kernel, &requested, index).await? else {
            return Ok(requested);
        };
        let has = |scope: &Scope| {
            base.wish.scopes.contains(scope) || base.grant.tokens.scopes.contains(scope)
        };
        let scopes = requested.wish.scopes.iter();
        requested.more_scopes = Some(scopes.filter(|scope| !has(scope)).cloned().collect());
        // What was asked for then, as far as it may be asked for now: it does not grow by what providers add.
        let allowed = &requested.provider.config().scope_policy.allowed_scopes;
        let kept = base.wish.scopes.iter().filter(|had| allowed.contains(had));
        requested.wish.scopes = requested.wish.scopes.iter().chain(kept).cloned().collect();
        let account = base.grant.account.email;
        requested.login_hint = requested.login_hint.or(account);
        Ok(requested)
    }

    /// The newest live connection of this server that lacks nothing but scopes.
    async fn base_connection(
        &self,
        kernel: &ServerIdentity,
        requested: &ProviderRequest,
        index: Option<&Loaded<UserIndex>>,
    ) -> Result<Option<Connection>, StoreError> {
        let config = requested.provider.config();
        let (Some(index), ConnectionScope::Server | ConnectionScope::User) =
            (index, config.connection_scope)
        else {
            return Ok(None);
        };
        let now = self.clock.now();
        for entry in index.value.connections_of(kernel) {
            let found: Option<Loaded<Connection>> =
                self.store.load(&Key::connection(&entry.id)).await?;
            let Some(connection) = found.map(|loaded| loaded.value) else {
                continue;
            };
            let same = connection.is_of(kernel)
                && connection.provider == config.id
                && connection.wish.audience == requested.wish.audience
                && connection.wish.resource == requested.wish.resource
                && connection.is_of_account(requested.wish.account.as_deref());
            let live = !connection.waits_for_a_person(now)
                && (connection.grant.tokens.refresh_token.is_some()
                    || connection.is_valid_for(now, 1));
            if same && live {
                return Ok(Some(connection));
            }
        }
        Ok(None)
    }
}
