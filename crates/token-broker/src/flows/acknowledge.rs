//! A kernel confirms that its connection arrived; from then on the result is not repeated.

use hubkey_protocol::{Nonce, secret::PollSecret};

use super::{Asker, Flows, failure::KernelFailure};
use crate::{
    domain::sign_in::SignInState,
    store::{Change, Key, Outcome},
};

impl Flows {
    /// Closes a delivered sign-in. Twice is as good as once (SECURITY R18).
    pub async fn acknowledge(
        &self,
        asker: &Asker,
        nonce: &Nonce,
        secret: &PollSecret,
    ) -> Result<(), KernelFailure> {
        let loaded = self.own_sign_in(asker, nonce, secret).await?;
        if matches!(loaded.value.state, SignInState::Closed) {
            return Ok(());
        }
        let expect = loaded.expect();
        let closed = loaded.value.close().map_err(|_| KernelFailure::NotFound)?;
        let put = Change::put(Key::sign_in(nonce), expect, &closed, super::AFTERLIFE)?;
        match self.store.commit(vec![put.waking()]).await? {
            Outcome::Done => Ok(()),
            Outcome::Conflict => Err(KernelFailure::Contended),
        }
    }
}
