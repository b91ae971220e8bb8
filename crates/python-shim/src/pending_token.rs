//! A token that is fetched while its user goes on: without an event loop, and without a thread of Python's.

use std::sync::{Arc, Mutex, PoisonError};

use hubkey_broker_client::ClientError;
use hubkey_protocol::{Connection, ExchangeRequest, TokenAnswer};
use pyo3::prelude::*;

use crate::{error::to_python, messages::Grant, runtime};

type Answer = Result<TokenAnswer, ClientError>;

/// See the module.
#[pyclass(frozen, module = "hubkey._hubkey")]
#[derive(Debug)]
pub(crate) struct PendingToken {
    connection: Connection,
    exchange: Option<ExchangeRequest>,
    answer: Arc<Mutex<Option<Answer>>>,
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
            let fetched = work.await;
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

#[pymethods]
impl PendingToken {
    /// Whether it goes on.
    #[getter]
    fn is_pending(&self) -> bool {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.is_none() && self.generation == runtime::generation()
    }

    /// What was fetched, once.
    fn take(&self) -> PyResult<Option<Grant>> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let (connection, exchange) = (self.connection.clone(), self.exchange.clone());
        match answer.take() {
            None => Ok(None),
            Some(Ok(token)) => Ok(Some(Grant {
                connection,
                token,
                exchange,
            })),
            Some(Err(error)) => Err(to_python(error)),
        }
    }
}
