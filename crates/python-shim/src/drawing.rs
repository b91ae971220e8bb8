//! A token that is fetched while its user goes on: without an event loop, and without a thread of Python's.

use std::sync::{Arc, Mutex, PoisonError};

use hubkey_broker_client::ClientError;
use hubkey_protocol::{Connection, ConnectionId, TokenAnswer};
use pyo3::prelude::*;

use crate::{error::to_python, messages::Grant, runtime};

type Answer = Result<TokenAnswer, ClientError>;

/// See the module.
#[pyclass(frozen, module = "hubkey._hubkey")]
#[derive(Debug)]
pub(crate) struct Drawing {
    connection: Connection,
    answer: Arc<Mutex<Option<Answer>>>,
    /// Of the runtime that fetches it: after a fork nobody does.
    generation: u64,
}

impl Drawing {
    /// Begins to fetch.
    pub(crate) fn begin<F>(
        connection: &Connection,
        fetch: impl FnOnce(ConnectionId) -> F,
    ) -> PyResult<Self>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let answer = Arc::new(Mutex::new(None));
        let (slot, work) = (Arc::clone(&answer), fetch(connection.id.clone()));
        runtime::spawn_unawaited(async move {
            let fetched = work.await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        })?;
        Ok(Self {
            connection: connection.clone(),
            answer,
            generation: runtime::generation(),
        })
    }
}

#[pymethods]
impl Drawing {
    /// Whether it goes on.
    #[getter]
    fn is_under_way(&self) -> bool {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.is_none() && self.generation == runtime::generation()
    }

    /// What was fetched, once.
    fn take(&self) -> PyResult<Option<Grant>> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = self.connection.clone();
        match answer.take() {
            None => Ok(None),
            Some(Ok(token)) => Ok(Some(Grant { connection, token })),
            Some(Err(error)) => Err(to_python(error)),
        }
    }
}
