//! A token that is fetched while its user goes on: without an event loop, and without a thread of Python's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use hubkey_broker_client::ClientError;
use hubkey_protocol::{Connection, ExchangeRequest, TokenAnswer};
use pyo3::prelude::*;

use crate::{error::to_python, messages::Grant, runtime};

type Answer = Result<TokenAnswer, ClientError>;
/// What came, and when.
type Arrived = (Answer, Instant);

/// See the module.
#[pyclass(frozen, module = "hubkey._hubkey")]
#[derive(Debug)]
pub(crate) struct PendingToken {
    connection: Connection,
    exchange: Option<ExchangeRequest>,
    answer: Arc<Mutex<Option<Arrived>>>,
    /// Of the runtime that fetches it: after a fork nobody does.
    generation: u64,
}

impl PendingToken {
    /// Begins to fetch.
    pub(crate) fn fetch(
        grant: &Grant,
        work: impl Future<Output = Answer> + Send + 'static,
    ) -> PyResult<Self> {
        let answer = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        runtime::spawn_unawaited(async move {
            let fetched = (work.await, Instant::now());
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        })?;
        Ok(Self {
            connection: grant.connection.clone(),
            exchange: grant.exchange.clone(),
            answer,
            generation: runtime::generation(),
        })
    }
}

impl PendingToken {
    /// Else the lock may be held by a thread that there is no more.
    fn is_fetched_here(&self) -> bool {
        self.generation == runtime::generation()
    }

    fn answer(&self) -> MutexGuard<'_, Option<Arrived>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PendingToken {
    /// Whether it goes on.
    #[getter]
    fn is_pending(&self) -> bool {
        self.is_fetched_here() && self.answer().is_none()
    }

    /// What was fetched, once; nothing where that was before a fork.
    fn take(&self) -> PyResult<Option<Grant>> {
        if !self.is_fetched_here() {
            return Ok(None);
        }
        let mut answer = self.answer();
        let (connection, exchange) = (self.connection.clone(), self.exchange.clone());
        match answer.take() {
            None => Ok(None),
            Some((Ok(token), arrived)) => Ok(Some(Grant {
                connection,
                token,
                exchange,
                arrived,
            })),
            Some((Err(error), _)) => Err(to_python(error)),
        }
    }
}
