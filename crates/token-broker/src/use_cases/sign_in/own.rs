//! A sign-in, for the kernel that opened it.

use std::sync::Arc;

use hubkey_domain::{keyed_hash::KeyedHash, sign_in::SignIn};
use hubkey_protocol::{Nonce, secret::PollSecret};
use hubkey_store::keys::LookupMacKey;
use hubkey_store::typed::{Found, Loaded};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        connect_span,
        failure::KernelFailure,
        records::{Records, sign_ins::SignInRecords},
        server_authentication::KernelCredentials,
    },
};

/// Loads a sign-in for the kernel that opened it.
#[derive(Debug)]
pub(crate) struct OwnSignIns {
    lookup_mac_key: LookupMacKey,
    sign_ins: Arc<SignInRecords>,
}

impl OwnSignIns {
    pub(crate) fn new(base: &Base, records: &Records) -> Self {
        Self {
            lookup_mac_key: base.lookup_mac_key.clone(),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    pub(crate) fn poll_secret_hash(&self, secret: &PollSecret) -> KeyedHash {
        self.lookup_mac_key.keyed_hash("poll-secret", secret)
    }

    /// The sign-in, for the kernel that opened it.
    pub(crate) async fn load(
        &self,
        credentials: &KernelCredentials,
        nonce: &Nonce,
        secret: &PollSecret,
    ) -> Result<Loaded<SignIn>, KernelFailure> {
        let found = self.sign_ins.load(nonce).await?;
        self.check_owner(credentials, secret, found)
    }

    pub(crate) fn check_owner(
        &self,
        credentials: &KernelCredentials,
        secret: &PollSecret,
        found: Found<SignIn>,
    ) -> Result<Loaded<SignIn>, KernelFailure> {
        // Both hashes are made in any case, so that an unknown nonce takes as long as a wrong secret.
        let token = self.lookup_mac_key.fingerprint(&credentials.token);
        let poll_secret = self.poll_secret_hash(secret);
        let loaded = found.ok_or(KernelFailure::NotFound)?;
        let by_token = loaded.value.kernel.fingerprint.matches(&token);
        let by_secret = loaded.value.poll_secret.matches(&poll_secret);
        if by_token & by_secret {
            connect_span::join(&loaded.value);
            return Ok(loaded);
        }
        // Whoever has the secret knew already that there is such a sign-in, so the time that this takes tells nothing.
        if by_secret {
            let source = credentials.client.map(|client| client.to_string());
            Event::for_sign_in(&loaded.value)
                .source(source.as_deref())
                .reason("foreign_server_token")
                .emit(EventKind::PolicyDenied);
        }
        Err(KernelFailure::NotFound)
    }
}
