//! A kernel confirms that its connection arrived; from then on the result is not repeated.

use hubkey_protocol::{Nonce, secret::PollSecret};

use super::{Asker, Flows, failure::KernelFailure};
use crate::{
    domain::sign_in::{SignIn, SignInState},
    store::{Change, Key, Outcome},
};

/// How often an acknowledgement is tried against another one of the same sign-in.
const TRIES: usize = 3;

impl Flows {
    /// Closes a delivered sign-in. Twice is as good as once (SECURITY R18).
    pub async fn acknowledge(
        &self,
        asker: &Asker,
        nonce: &Nonce,
        secret: &PollSecret,
    ) -> Result<(), KernelFailure> {
        for _ in 0..TRIES {
            let loaded = self.own_sign_in(asker, nonce, secret).await?;
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
                super::AFTERLIFE,
            )?;
            if self.store.commit(vec![put.waking()]).await? == Outcome::Done {
                return Ok(());
            }
        }
        Err(KernelFailure::Contended)
    }
}
