//! Leaves the endpoints of a provider alone that do not answer, each by itself: a key set that cannot be had keeps
//! nobody from a token endpoint that works.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hubkey_domain::{clock::Clock, random::RandomSource};
use hubkey_protocol::ProviderId;

use super::{
    circuit::{Change, Circuit, Epoch, Verdict},
    endpoint::Endpoint,
};

/// The circuits of one provider.
#[derive(Debug)]
pub(super) struct Breaker {
    provider: ProviderId,
    circuits: Mutex<HashMap<Endpoint, Circuit>>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
}

/// A call that is permitted. Dropped unrecorded, it says nothing about the endpoint.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    endpoint: Endpoint,
    epoch: Epoch,
    verdict: Verdict,
}

impl Breaker {
    pub(super) fn new(
        provider: ProviderId,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn RandomSource>,
    ) -> Self {
        Self {
            provider,
            circuits: Mutex::default(),
            clock,
            chance,
        }
    }

    /// Whether the endpoint is asked as usual.
    pub(super) fn is_closed(&self, endpoint: Endpoint) -> bool {
        self.with(endpoint, |circuit| circuit.is_closed())
    }

    /// For how long the endpoint is not asked, if so.
    pub(super) fn retry_after(&self, endpoint: Endpoint) -> Option<Duration> {
        let now = self.clock.now();
        self.with(endpoint, |circuit| circuit.retry_after(now))
    }

    /// Leave to ask; absent while the endpoint is left alone.
    pub(super) fn admit(&self, endpoint: Endpoint) -> Option<Permit<'_>> {
        let now = self.clock.now();
        let epoch = self.with(endpoint, |circuit| circuit.admit(now))?;
        Some(Permit {
            breaker: self,
            endpoint,
            epoch,
            verdict: Verdict::Unknown,
        })
    }

    fn with<T>(&self, endpoint: Endpoint, act: impl FnOnce(&mut Circuit) -> T) -> T {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let circuit = circuits.entry(endpoint).or_insert_with(|| {
            self.show(endpoint, 0.0);
            Circuit::default()
        });
        act(circuit)
    }

    fn record(&self, permit: &Permit<'_>) {
        let (now, chance) = (self.clock.now(), self.chance.fraction());
        let turned = self.with(permit.endpoint, |circuit| {
            circuit.record(permit.epoch, now, permit.verdict, chance)
        });
        match turned {
            Some(Change::Opened(rest)) => self.tell_opened(permit.endpoint, rest),
            Some(Change::Closed) => self.tell_closed(permit.endpoint),
            None => {}
        }
    }

    fn tell_opened(&self, endpoint: Endpoint, rest: Duration) {
        tracing::warn!(
            provider = self.provider.as_str(),
            endpoint = endpoint.label(),
            rest_seconds = rest.as_secs(),
            "A provider's endpoint fails again and again, and is not asked for a while. Tokens that are still valid are \
             served; nobody has to sign in again."
        );
        metrics::counter!(
            "hubkey_provider_circuit_opened_total",
            "provider" => self.provider.as_str().to_owned(),
            "endpoint" => endpoint.label(),
        )
        .increment(1);
        self.show(endpoint, 1.0);
    }

    fn tell_closed(&self, endpoint: Endpoint) {
        tracing::info!(
            provider = self.provider.as_str(),
            endpoint = endpoint.label(),
            "A provider's endpoint answers again."
        );
        self.show(endpoint, 0.0);
    }

    fn show(&self, endpoint: Endpoint, open: f64) {
        metrics::gauge!(
            "hubkey_provider_circuit_open",
            "provider" => self.provider.as_str().to_owned(),
            "endpoint" => endpoint.label(),
        )
        .set(open);
    }
}

impl Permit<'_> {
    /// What the call said about the endpoint.
    pub(super) fn record(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.breaker.record(self);
    }
}
