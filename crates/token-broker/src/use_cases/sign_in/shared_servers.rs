//! Servers that people other than their owner may enter.

use std::sync::Arc;

use hubkey_domain::identity::ServerIdentity;
use hubkey_protocol::ErrorCode;

use crate::{
    audit::{Event, EventKind},
    hub::{BrowserAuthenticator, KernelError},
    use_cases::{
        base::Base,
        failure::KernelFailure,
        rules::{Rules, SharedServers},
    },
};

/// Applies what the operator said of servers that others may enter.
#[derive(Debug)]
pub(crate) struct SharedServerPolicy {
    browsers: Arc<dyn BrowserAuthenticator>,
    rules: Arc<Rules>,
}

impl SharedServerPolicy {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            browsers: Arc::clone(&base.browsers),
            rules: Arc::clone(&base.rules),
        }
    }

    /// Whether other people may enter this server, as far as the operator wants to know.
    pub(crate) async fn check(&self, kernel: &ServerIdentity) -> Result<bool, KernelFailure> {
        let policy = self.rules.shared_servers;
        if policy == SharedServers::Allow {
            return Ok(false);
        }
        let shared = self
            .browsers
            .is_shared(&kernel.user, &kernel.server)
            .await
            .map_err(|_| KernelError::HubUnavailable)?;
        let denied = policy == SharedServers::Deny && shared != Some(false);
        if denied || shared == Some(true) {
            Event::new()
                .kernel(kernel)
                .reason("shared_server")
                .emit(EventKind::PolicyDenied);
        }
        if denied {
            return Err(KernelFailure::Policy {
                code: ErrorCode::SharedServer,
                detail: "Stop sharing this server, or use one of yours that is not shared."
                    .to_owned(),
            });
        }
        Ok(shared == Some(true))
    }
}
