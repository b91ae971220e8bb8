//! One broker's way to a provider that is told how each request goes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hubkey_protocol::secret::Secret;
use hubkey_token_broker::{
    domain::clock::Clock,
    idp::{RefreshError, Refreshable, Refreshed},
};
use tokio::time::{Instant, timeout};

use crate::{
    board::{Board, Step, Turn},
    losing_store::RuntimeClock,
    rotation_provider::{BUSY, Deed, Op, Way, answer},
};

/// One broker's way to the provider.
#[derive(Debug)]
pub(crate) struct SteppedWay {
    pub(crate) op: Arc<Op>,
    pub(crate) clock: Arc<RuntimeClock>,
    pub(crate) board: Arc<Board>,
    pub(crate) broker: usize,
}

impl SteppedWay {
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
impl Way for SteppedWay {
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
}
