//! A kernel gives its sign-in up.

use hubkey_protocol::{Nonce, secret::PollSecret};

use super::{Asker, Flows, failure::KernelFailure};
use crate::audit::{Event, What};

impl Flows {
    /// Ends an open sign-in; its link is dead from then on. One that has ended stays as it is.
    pub async fn cancel(
        &self,
        asker: &Asker,
        nonce: &Nonce,
        secret: &PollSecret,
    ) -> Result<(), KernelFailure> {
        let loaded = self.own_sign_in(asker, nonce, secret).await?;
        if !loaded.value.is_open() {
            return Ok(());
        }
        Event::about(&loaded.value).tell(What::SessionCancelled);
        if self
            .end_sign_in(loaded, super::ending::End::Denied, Vec::new())
            .await?
        {
            Ok(())
        } else {
            Err(KernelFailure::Contended)
        }
    }
}
