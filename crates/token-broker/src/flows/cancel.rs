//! A kernel gives its sign-in up.

use hubkey_protocol::{Nonce, secret::PollSecret};

use super::{Asker, Flows, ending::End, failure::KernelFailure};
use crate::audit::{Event, What};

/// How often a cancellation is tried against the steps of a browser.
const TRIES: usize = 3;

impl Flows {
    /// Ends an open sign-in; its link is dead from then on. One that has ended stays as it is.
    pub async fn cancel(
        &self,
        asker: &Asker,
        nonce: &Nonce,
        secret: &PollSecret,
    ) -> Result<(), KernelFailure> {
        for _ in 0..TRIES {
            let loaded = self.own_sign_in(asker, nonce, secret).await?;
            if !loaded.value.is_open() {
                return Ok(());
            }
            let kernel = loaded.value.kernel.clone();
            let provider = loaded.value.provider.clone();
            let (span, asked_at) = (loaded.value.span, loaded.value.asked_at);
            if self.end_sign_in(loaded, End::Denied, Vec::new()).await? {
                if let Some(span) = span {
                    self.tell_span(&span, asked_at, &provider, "cancelled");
                }
                let event = Event::new().kernel(&kernel).provider(&provider);
                event.sign_in(nonce).tell(What::SessionCancelled);
                return Ok(());
            }
        }
        Err(KernelFailure::Contended)
    }
}
