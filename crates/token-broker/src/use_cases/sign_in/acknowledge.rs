//! A kernel confirms that its connection arrived; from then on the result is not repeated.

use std::sync::Arc;

use hubkey_domain::sign_in::{SignIn, SignInState};
use hubkey_protocol::{Nonce, secret::PollSecret};
use hubkey_store::{Change, Key, Outcome, Store};

use crate::use_cases::{
    base::Base, common::Common, failure::KernelFailure, records::sign_ins::RESULT_RETENTION,
    server_authentication::KernelCredentials, sign_in::own::OwnSignIns,
};

/// How often an acknowledgement is tried against another one of the same sign-in.
const MAX_ATTEMPTS: usize = 3;

/// Closes a delivered sign-in.
#[derive(Debug)]
pub struct AcknowledgeSignIn {
    store: Arc<dyn Store>,
    own_sign_ins: Arc<OwnSignIns>,
}

impl AcknowledgeSignIn {
    pub(crate) fn new(base: &Base, common: &Common) -> Self {
        Self {
            store: Arc::clone(&base.store),
            own_sign_ins: Arc::clone(&common.own_sign_ins),
        }
    }

    /// Closes a delivered sign-in. Twice is as good as once (SECURITY R18).
    pub async fn acknowledge(
        &self,
        credentials: &KernelCredentials,
        nonce: &Nonce,
        secret: &PollSecret,
    ) -> Result<(), KernelFailure> {
        for _ in 0..MAX_ATTEMPTS {
            let loaded = self.own_sign_ins.load(credentials, nonce, secret).await?;
            if matches!(loaded.value.state, SignInState::Closed) {
                return Ok(());
            }
            let closed = loaded
                .try_map(SignIn::close)
                .map_err(|_| KernelFailure::NotFound)?;
            let put = Change::put(
                Key::sign_in(nonce),
                closed.expect(),
                &closed.value,
                RESULT_RETENTION,
            )?;
            if self.store.commit(vec![put.waking()]).await? == Outcome::Done {
                return Ok(());
            }
        }
        Err(KernelFailure::Contended)
    }
}
