//! A kernel gives its sign-in up.

use std::sync::Arc;

use hubkey_protocol::{Nonce, secret::PollSecret};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        common::Common,
        connect_span::ConnectSpans,
        failure::KernelFailure,
        server_authentication::KernelCredentials,
        sign_in::{
            ending::{KernelOutcome, SignInEndings},
            own::OwnSignIns,
        },
    },
};

/// How often a cancellation is tried against the steps of a browser.
const MAX_ATTEMPTS: usize = 3;

/// Ends a sign-in that its kernel gives up.
#[derive(Debug)]
pub struct CancelSignIn {
    connect_spans: Arc<ConnectSpans>,
    endings: Arc<SignInEndings>,
    own_sign_ins: Arc<OwnSignIns>,
}

impl CancelSignIn {
    pub(crate) fn new(common: &Common) -> Self {
        Self {
            connect_spans: Arc::clone(&common.connect_spans),
            endings: Arc::clone(&common.endings),
            own_sign_ins: Arc::clone(&common.own_sign_ins),
        }
    }

    /// Ends an open sign-in; its link is dead from then on. One that has ended stays as it is.
    pub async fn cancel(
        &self,
        credentials: &KernelCredentials,
        nonce: &Nonce,
        secret: &PollSecret,
    ) -> Result<(), KernelFailure> {
        for _ in 0..MAX_ATTEMPTS {
            let loaded = self.own_sign_ins.load(credentials, nonce, secret).await?;
            if !loaded.value.is_open() {
                return Ok(());
            }
            let kernel = loaded.value.kernel.clone();
            let provider = loaded.value.provider.clone();
            let (span, asked_at) = (loaded.value.span, loaded.value.asked_at);
            if self
                .endings
                .end_sign_in(loaded, KernelOutcome::Denied, Vec::new())
                .await?
            {
                if let Some(span) = span {
                    self.connect_spans
                        .export_span(&span, asked_at, &provider, "cancelled");
                }
                let event = Event::new().kernel(&kernel).provider(&provider);
                event.sign_in(nonce).emit(EventKind::SignInCancelled);
                return Ok(());
            }
        }
        Err(KernelFailure::Contended)
    }
}
