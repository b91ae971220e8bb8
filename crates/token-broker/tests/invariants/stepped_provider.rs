//! One broker's way to a provider that is told how each request goes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hubkey_protocol::{
    ProviderState,
    secret::{AccessToken, RefreshToken, Secret},
};
use hubkey_token_broker::{
    domain::{clock::Clock, provider::ProviderConfig},
    idp::{
        Authorization, AuthorizationRequest, Exchange, ExchangeError, Exchanged, Granted,
        IdentityProvider, IdpError, Redemption, RefreshError, Refreshable, Refreshed,
    },
};
use tokio::time::{Instant, timeout};

use crate::{
    board::{Board, Step, Turn},
    losing_store::RuntimeClock,
    rotation_provider::{BUSY, Deed, Op, answer},
};

/// One broker's way to the provider.
#[derive(Debug)]
pub(crate) struct SteppedProvider {
    pub(crate) op: Arc<Op>,
    pub(crate) clock: Arc<RuntimeClock>,
    pub(crate) board: Arc<Board>,
    pub(crate) broker: usize,
    /// For its settings.
    pub(crate) real: Arc<dyn IdentityProvider>,
}

impl SteppedProvider {
    /// Sends, and waits for the answer as long as a client does.
    async fn send(&self, token: &str, deed: Deed) -> (Deed, Option<(String, String)>) {
        let patience = Duration::from_millis(BUSY);
        let busy = if deed == Deed::Answer {
            patience
        } else {
            Duration::ZERO
        };
        let issued = self.op.receive(token, deed, busy).await;
        if deed != Deed::Answer {
            return (deed, None);
        }
        let heard = timeout(patience, self.board.step(self.broker, Step::Hear)).await;
        self.op.heard(token);
        if heard.is_err() {
            return (Deed::LoseAnswer, None);
        }
        (deed, issued)
    }
}

#[async_trait]
impl IdentityProvider for SteppedProvider {
    fn config(&self) -> &ProviderConfig {
        self.real.config()
    }

    fn state(&self) -> ProviderState {
        self.real.state()
    }

    fn rest(&self) -> Option<Duration> {
        None
    }

    async fn authorize(&self, _: &AuthorizationRequest<'_>) -> Result<Authorization, IdpError> {
        Err(IdpError::Unavailable)
    }

    async fn check_response_issuer(&self, _: &str, _: Option<&str>) -> Result<(), IdpError> {
        Err(IdpError::Unavailable)
    }

    async fn redeem(&self, _: Redemption) -> Result<Granted, IdpError> {
        Err(IdpError::Unavailable)
    }

    async fn ready(&self) -> Result<(), IdpError> {
        Ok(())
    }

    async fn answers(&self) -> Result<(), IdpError> {
        Ok(())
    }

    async fn refresh(&self, refreshable: Refreshable<'_>) -> Result<Refreshed, RefreshError> {
        let turn = self.board.step(self.broker, Step::Send).await;
        if Instant::now() >= refreshable.send_before {
            return Err(RefreshError::NotSent);
        }
        let obtained_at = self.clock.now();
        let deed = match turn {
            Turn::Go => Deed::Answer,
            Turn::LoseAnswer => Deed::LoseAnswer,
            Turn::LoseRequest => Deed::LoseRequest,
            Turn::Refuse => Deed::Refuse,
            Turn::Fail | Turn::Die => Deed::NotReached,
        };
        let token = refreshable.refresh_token.expose();
        let (deed, issued) = self.send(token, deed).await;
        answer(deed, issued, obtained_at)
    }

    async fn exchange(&self, _: Exchange<'_>) -> Result<Exchanged, ExchangeError> {
        Err(ExchangeError::Refused)
    }

    async fn revoke(&self, _: &AccessToken, _: Option<&RefreshToken>) {}
}
