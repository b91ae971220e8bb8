//! One broker's way to a provider that is told how each request goes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hubkey_domain::clock::Clock;
use hubkey_oidc::{RefreshError, Refreshable, Refreshed};
use hubkey_protocol::secret::Secret;
use tokio::time::{Instant, timeout};

use crate::{
    lossy_store::RuntimeClock,
    rotation_provider::{BUSY, Delivery, Op, Transport, answer},
    scheduler::{Scheduler, Step, Turn},
};

/// One broker's way to the provider.
#[derive(Debug)]
pub(crate) struct SteppedTransport {
    pub(crate) op: Arc<Op>,
    pub(crate) clock: Arc<RuntimeClock>,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) broker: usize,
}

impl SteppedTransport {
    /// Sends, and waits for the answer as long as a client does.
    async fn send(&self, token: &str, delivery: Delivery) -> (Delivery, Option<(String, String)>) {
        let patience = Duration::from_millis(BUSY);
        let busy = if delivery == Delivery::Answer {
            patience
        } else {
            Duration::ZERO
        };
        let issued = self.op.receive(token, delivery, busy).await;
        if delivery != Delivery::Answer {
            return (delivery, None);
        }
        let heard = timeout(patience, self.scheduler.step(self.broker, Step::Hear)).await;
        self.op.heard(token);
        if heard.is_err() {
            return (Delivery::LoseAnswer, None);
        }
        (delivery, issued)
    }
}

#[async_trait]
impl Transport for SteppedTransport {
    async fn refresh(&self, refreshable: Refreshable<'_>) -> Result<Refreshed, RefreshError> {
        let turn = self.scheduler.step(self.broker, Step::Send).await;
        if Instant::now() >= refreshable.send_before {
            return Err(RefreshError::NotSent);
        }
        let obtained_at = self.clock.now();
        let delivery = match turn {
            Turn::Go => Delivery::Answer,
            Turn::LoseAnswer => Delivery::LoseAnswer,
            Turn::LoseRequest => Delivery::LoseRequest,
            Turn::Refuse => Delivery::Refuse,
            Turn::Fail | Turn::Die => Delivery::NotReached,
        };
        let token = refreshable.refresh_token.expose();
        let (delivery, issued) = self.send(token, delivery).await;
        answer(delivery, issued, obtained_at)
    }
}
