//! The broker as Python sees it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hubkey_broker_client::{BrokerClient, CallContext, ClientError, Destination};
use hubkey_protocol::{
    Connection, CreateSignInAnswer, ExchangeRequest, Provider, TokenRequest,
    secret::ServerToken,
    trace::{SignInSpan, Traceparent},
};
use pyo3::prelude::*;
use tokio::time::Instant;
use url::Url;

use crate::{
    call,
    connection_summary::ConnectionSummary,
    error::{invalid, to_python},
    messages::{Exchange, Grant, Request, SignIn, sign_in_result},
    pending_token::PendingToken,
    runtime,
};

type KernelClient = BrokerClient<ServerToken>;

/// A client of one broker for the server whose token it holds. Every `timeout` is in seconds.
#[pyclass(frozen, module = "hubkey._hubkey")]
#[derive(Debug)]
pub(crate) struct Broker {
    destination: Destination,
    token: ServerToken,
    /// The client, and the generation of the runtime that its connections belong to.
    client: Mutex<Option<(u64, KernelClient)>>,
    /// What the calls are part of.
    context: CallContext,
}

#[pymethods]
impl Broker {
    #[new]
    #[pyo3(signature = (url, token, ca_pem))]
    fn new(url: &str, token: String, ca_pem: Option<Vec<u8>>) -> PyResult<Self> {
        let url = Url::parse(url).map_err(|error| invalid("url", &error))?;
        let broker = Self {
            destination: Destination { url, ca_pem },
            token: ServerToken::new(token),
            client: Mutex::new(None),
            context: CallContext::default(),
        };
        broker.client()?;
        Ok(broker)
    }

    /// The same client for the calls of one `connect()`: its span, and the one above it (zero: none).
    fn with_trace(&self, traceparent: &str, above: u64) -> PyResult<Self> {
        let at = Traceparent::parse(traceparent).map_err(|error| invalid("traceparent", &error))?;
        let span = SignInSpan {
            at,
            export_under: Some(above),
        };
        Ok(Self {
            destination: self.destination.clone(),
            token: self.token.clone(),
            client: Mutex::new(self.slot().clone()),
            context: CallContext::of_connect(span),
        })
    }

    fn create_sign_in(
        &self,
        event_loop: &Bound<'_, PyAny>,
        request: &Request,
        idempotency_key: String,
        timeout: f64,
    ) -> PyResult<Py<PyAny>> {
        let (client, message, until) = (self.client()?, request.0.clone(), deadline(timeout)?);
        let work = async move {
            client
                .create_sign_in(&message, &idempotency_key, until)
                .await
        };
        call::spawn(event_loop, work, connection_or_sign_in)
    }

    fn wait_for_sign_in(
        &self,
        event_loop: &Bound<'_, PyAny>,
        sign_in: &SignIn,
        timeout: f64,
    ) -> PyResult<Py<PyAny>> {
        let (client, sign_in, until) = (self.client()?, sign_in.0.clone(), deadline(timeout)?);
        call::spawn(
            event_loop,
            async move { client.finished_sign_in(&sign_in, until).await },
            sign_in_result,
        )
    }

    fn acknowledge(
        &self,
        event_loop: &Bound<'_, PyAny>,
        sign_in: &SignIn,
        timeout: f64,
    ) -> PyResult<Py<PyAny>> {
        let (client, sign_in, until) = (self.client()?, sign_in.0.clone(), deadline(timeout)?);
        call::spawn(
            event_loop,
            async move { client.acknowledge(&sign_in, until).await },
            |py, ()| Ok(py.None()),
        )
    }

    /// Runs by itself: whoever cancels does not wait.
    fn cancel(&self, sign_in: &SignIn, timeout: f64) -> PyResult<()> {
        let (client, sign_in, until) = (self.client()?, sign_in.0.clone(), deadline(timeout)?);
        runtime::spawn_unawaited(async move {
            // Nobody is left to tell; a sign-in that was not cancelled ends by itself.
            client.cancel(&sign_in, until).await.unwrap_or_default();
        })
    }

    fn providers(&self, event_loop: &Bound<'_, PyAny>, timeout: f64) -> PyResult<Py<PyAny>> {
        let (client, until) = (self.client()?, deadline(timeout)?);
        call::spawn(
            event_loop,
            async move { client.providers(until).await },
            |py, providers: Vec<Provider>| {
                let ids: Vec<_> = providers
                    .iter()
                    .map(|provider| provider.id.as_str())
                    .collect();
                Ok(ids.into_pyobject(py)?.into_any().unbind())
            },
        )
    }

    fn connections(&self, event_loop: &Bound<'_, PyAny>, timeout: f64) -> PyResult<Py<PyAny>> {
        let (client, until) = (self.client()?, deadline(timeout)?);
        call::spawn(
            event_loop,
            async move { client.connections(until).await },
            |py, found: Vec<Connection>| {
                let listed = found.into_iter().map(ConnectionSummary).collect::<Vec<_>>();
                Ok(listed.into_pyobject(py)?.into_any().unbind())
            },
        )
    }

    /// Waits in the calling thread.
    fn create_sign_in_blocking(
        &self,
        py: Python<'_>,
        request: &Request,
        idempotency_key: String,
        timeout: f64,
    ) -> PyResult<Py<PyAny>> {
        let (client, message, until) = (self.client()?, request.0.clone(), deadline(timeout)?);
        let answer = call::wait(py, async move {
            client
                .create_sign_in(&message, &idempotency_key, until)
                .await
        })?;
        connection_or_sign_in(py, answer)
    }

    fn get_token_async(
        &self,
        event_loop: &Bound<'_, PyAny>,
        grant: &Grant,
        min_valid: u64,
        timeout: f64,
    ) -> PyResult<Py<PyAny>> {
        self.fetch_token_async(event_loop, grant, TokenRequest::lasting(min_valid), timeout)
    }

    /// Another token of the same connection than this one, which an API rejected.
    fn replace_token_async(
        &self,
        event_loop: &Bound<'_, PyAny>,
        grant: &Grant,
        timeout: f64,
    ) -> PyResult<Py<PyAny>> {
        self.fetch_token_async(event_loop, grant, grant.replacing(), timeout)
    }

    fn sign_out(
        &self,
        event_loop: &Bound<'_, PyAny>,
        grant: &Grant,
        timeout: f64,
    ) -> PyResult<Py<PyAny>> {
        let (client, until) = (self.client()?, deadline(timeout)?);
        let id = grant.connection.id.clone();
        let work = async move { client.sign_out(&id, until).await };
        call::spawn(event_loop, work, |py, ()| Ok(py.None()))
    }

    /// What the provider says of the account, as JSON. Waits in the calling thread.
    fn userinfo(&self, py: Python<'_>, grant: &Grant, timeout: f64) -> PyResult<String> {
        let (client, until) = (self.client()?, deadline(timeout)?);
        let id = grant.connection.id.clone();
        let answer = call::wait(py, async move { client.userinfo(&id, until).await })?;
        Ok(serde_json::Value::from(answer.claims).to_string())
    }

    /// When the newest token of the connection ends, if the broker has the connection. Waits in the calling thread.
    fn connection_expiry(
        &self,
        py: Python<'_>,
        grant: &Grant,
        timeout: f64,
    ) -> PyResult<Option<(Option<u64>,)>> {
        let (client, until) = (self.client()?, deadline(timeout)?);
        let connections = call::wait(py, async move { client.connections(until).await })?;
        let found = connections
            .into_iter()
            .find(|connection| connection.id == grant.connection.id);
        Ok(found.map(|connection| (connection.expires_at,)))
    }

    /// Nobody waits: who asked looks later.
    fn prefetch_token(
        &self,
        grant: &Grant,
        min_valid: u64,
        timeout: f64,
    ) -> PyResult<PendingToken> {
        let (client, until) = (self.client()?, deadline(timeout)?);
        let (connection, exchange) = (grant.connection.clone(), grant.exchange.clone());
        let wanted = TokenRequest::lasting(min_valid);
        let work = async move {
            let of = (&connection.id, exchange.as_ref());
            client.access_token(of, &wanted, until).await
        };
        PendingToken::fetch(grant, work)
    }

    /// A token that the connection's own is exchanged for.
    fn exchange(
        &self,
        event_loop: &Bound<'_, PyAny>,
        grant: &Grant,
        exchange: &Exchange,
        timeout: f64,
    ) -> PyResult<Py<PyAny>> {
        let (client, until) = (self.client()?, deadline(timeout)?);
        let (connection, message) = (grant.connection.clone(), exchange.0.clone());
        let work = async move {
            let token = client.exchange(&connection.id, &message, until).await?;
            Ok(Grant {
                exchange: Some(message),
                ..Grant::own(connection, token)
            })
        };
        call::spawn(event_loop, work, |py, grant| {
            Ok(Py::new(py, grant)?.into_any())
        })
    }

    /// Waits in the calling thread.
    fn get_token(
        &self,
        py: Python<'_>,
        grant: &Grant,
        min_valid: u64,
        timeout: f64,
    ) -> PyResult<Grant> {
        self.fetch_token(py, grant, TokenRequest::lasting(min_valid), timeout)
    }

    /// Another token of the same connection than this one, which an API rejected. Waits in the calling thread.
    fn replace_token(&self, py: Python<'_>, grant: &Grant, timeout: f64) -> PyResult<Grant> {
        self.fetch_token(py, grant, grant.replacing(), timeout)
    }
}

impl Broker {
    fn fetch_token(
        &self,
        py: Python<'_>,
        grant: &Grant,
        wanted: TokenRequest,
        timeout: f64,
    ) -> PyResult<Grant> {
        let (client, until) = (self.client()?, deadline(timeout)?);
        let (connection, exchange) = (grant.connection.clone(), grant.exchange.clone());
        call::wait(
            py,
            fetch_token(client, (connection, exchange), wanted, until),
        )
    }

    fn fetch_token_async(
        &self,
        event_loop: &Bound<'_, PyAny>,
        grant: &Grant,
        wanted: TokenRequest,
        timeout: f64,
    ) -> PyResult<Py<PyAny>> {
        let (client, until) = (self.client()?, deadline(timeout)?);
        let (connection, exchange) = (grant.connection.clone(), grant.exchange.clone());
        let work = fetch_token(client, (connection, exchange), wanted, until);
        call::spawn(event_loop, work, |py, grant| {
            Ok(Py::new(py, grant)?.into_any())
        })
    }

    fn client(&self) -> PyResult<KernelClient> {
        let mut slot = self.slot();
        let now = runtime::generation();
        let client = match slot.as_ref() {
            Some((generation, client)) if *generation == now => client.clone(),
            _ => {
                let client =
                    BrokerClient::new(&self.destination, self.token.clone()).map_err(to_python)?;
                *slot = Some((now, client.clone()));
                client
            }
        };
        Ok(client.within(self.context.clone()))
    }

    fn slot(&self) -> MutexGuard<'_, Option<(u64, KernelClient)>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token of the same kind as the one that is there.
async fn fetch_token(
    client: KernelClient,
    (connection, exchange): (Connection, Option<ExchangeRequest>),
    wanted: TokenRequest,
    until: Instant,
) -> Result<Grant, ClientError> {
    let of = (&connection.id, exchange.as_ref());
    let token = client.access_token(of, &wanted, until).await?;
    Ok(Grant {
        exchange,
        ..Grant::own(connection, token)
    })
}

fn connection_or_sign_in(py: Python<'_>, answer: CreateSignInAnswer) -> PyResult<Py<PyAny>> {
    match answer {
        CreateSignInAnswer::Connected { connection, token } => {
            Ok(Py::new(py, Grant::own(connection, token))?.into_any())
        }
        CreateSignInAnswer::Opened(opened) => Ok(Py::new(py, SignIn(opened))?.into_any()),
    }
}

fn deadline(timeout: f64) -> PyResult<Instant> {
    let timeout =
        Duration::try_from_secs_f64(timeout).map_err(|error| invalid("timeout", &error))?;
    Ok(Instant::now() + timeout)
}
