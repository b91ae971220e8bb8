//! Which server asks: its token, as the Hub knows it.

use std::{net::IpAddr, sync::Arc};

use hubkey_domain::identity::ServerIdentity;
use hubkey_protocol::secret::ServerToken;

use crate::{
    audit::{Event, EventKind},
    hub::{Freshness, KernelAuthenticator, KernelError},
    use_cases::{base::Base, failure::KernelFailure, refusal_log::RefusalLog},
};

/// A kernel request's proof, and where it came from.
#[derive(Debug)]
pub struct KernelCredentials {
    /// The token.
    pub token: ServerToken,
    /// The address.
    pub client: Option<IpAddr>,
}

/// Recognises the server whose kernel asks.
#[derive(Debug)]
pub(crate) struct ServerAuthentication {
    kernels: Arc<dyn KernelAuthenticator>,
    refusal_log: Arc<RefusalLog>,
}

impl ServerAuthentication {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            kernels: Arc::clone(&base.kernels),
            refusal_log: Arc::clone(&base.refusal_log),
        }
    }

    pub(crate) async fn authenticate(
        &self,
        credentials: &KernelCredentials,
        freshness: Freshness,
    ) -> Result<ServerIdentity, KernelFailure> {
        let kernel = self
            .kernels
            .authenticate(&credentials.token, freshness, credentials.client)
            .await;
        Ok(kernel.inspect_err(|error| self.audit_refusal(*error, credentials))?)
    }

    /// A token that the Hub knows and that is no kernel's is somebody's attempt, or the operator's mistake. What the Hub
    /// does not know appears in its measurements only: guesses would flood the audit stream.
    fn audit_refusal(&self, error: KernelError, credentials: &KernelCredentials) {
        let reason = match error {
            KernelError::NotAServerToken => "not_a_server_token",
            KernelError::MissingKernelScope => "missing_server_scope",
            KernelError::Malformed
            | KernelError::Unknown
            | KernelError::TooMany
            | KernelError::HubUnavailable => return,
        };
        let source = credentials.client.map(|client| client.to_string());
        let event = Event::new().source(source.as_deref()).reason(reason);
        self.refusal_log.emit(event, EventKind::PolicyDenied);
    }

    /// Who asks, where only a kernel that the Hub still knows may.
    pub(crate) async fn recognise(
        &self,
        credentials: &KernelCredentials,
    ) -> Result<ServerIdentity, KernelFailure> {
        self.authenticate(credentials, Freshness::Cached).await
    }
}
