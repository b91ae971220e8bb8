//! The messages of the kernel API as Python objects. Their secrets have one door each; nothing else shows them.

use std::time::{Duration, Instant};

use hubkey_protocol::{
    AccessTokenHash, Connection, CreateSignIn, ErrorReference, ExchangeRequest, ProviderId, Scope,
    Scopes, SignInCause, SignInFailure, SignInOpened, SignInStatus, TokenAnswer, TokenRequest,
    failures::{CANCELLED, DECLINED, PythonException, Remedy},
    secret::Secret,
};
use pyo3::prelude::*;

use crate::error::invalid;

/// What `connect()` asks for.
#[pyclass(frozen, module = "hubkey._hubkey")]
#[derive(Debug)]
pub(crate) struct Request(pub(crate) CreateSignIn);

#[pymethods]
impl Request {
    #[new]
    #[pyo3(signature = (provider, scopes, audience, resource, interactive))]
    fn new(
        provider: Option<String>,
        scopes: Option<Vec<String>>,
        audience: Option<String>,
        resource: Option<String>,
        interactive: bool,
    ) -> PyResult<Self> {
        let provider = provider.map(ProviderId::parse).transpose();
        let scopes = scopes.map(Scopes::requested).transpose();
        Ok(Self(CreateSignIn {
            provider: provider.map_err(|error| invalid("provider", &error))?,
            scopes: scopes.map_err(|error| invalid("scopes", &error))?,
            audience,
            resource,
            account: None,
            interactive,
        }))
    }

    /// The same for one of several accounts.
    fn of_account(&self, account: String) -> Self {
        Self(CreateSignIn {
            account: Some(account),
            ..self.0.clone()
        })
    }
}

/// A sign-in that waits for its person.
#[pyclass(frozen, module = "hubkey._hubkey")]
#[derive(Debug)]
pub(crate) struct SignIn(pub(crate) SignInOpened);

#[pymethods]
impl SignIn {
    #[getter]
    fn url(&self) -> &str {
        self.0.sign_in_url.expose()
    }

    /// What is asked for beyond what a connection has; empty where there is none.
    #[getter]
    fn more_scopes(&self) -> Vec<&str> {
        let more = self.0.more_scopes.iter();
        more.flat_map(|scopes| scopes.iter().map(Scope::as_str))
            .collect()
    }

    /// Why a person is asked although there is a connection, in the word of the wire.
    #[getter]
    fn cause(&self) -> Option<&'static str> {
        self.0.cause.map(SignInCause::name)
    }

    /// The sentence that the card says of it.
    #[getter]
    fn cause_sentence(&self) -> Option<String> {
        let (before, after) = self.0.cause?.on_the_card();
        Some(format!("{before}{}{after}", self.0.display_name))
    }

    #[getter]
    fn expires_in(&self) -> u64 {
        self.0.expires_in
    }

    #[getter]
    fn provider(&self) -> &str {
        self.0.provider.as_str()
    }

    #[getter]
    fn display_name(&self) -> &str {
        &self.0.display_name
    }

    #[getter]
    fn user(&self) -> &str {
        &self.0.user
    }
}

/// What `Connection.exchange()` asks for.
#[pyclass(frozen, module = "hubkey._hubkey")]
#[derive(Debug)]
pub(crate) struct Exchange(pub(crate) ExchangeRequest);

#[pymethods]
impl Exchange {
    #[new]
    #[pyo3(signature = (audience, scopes, resource, requested_issuer))]
    fn new(
        audience: Option<String>,
        scopes: Option<Vec<String>>,
        resource: Option<String>,
        requested_issuer: Option<String>,
    ) -> PyResult<Self> {
        let scopes = scopes.map(Scopes::requested).transpose();
        Ok(Self(ExchangeRequest {
            audience,
            resource,
            scopes: scopes.map_err(|error| invalid("scopes", &error))?,
            requested_issuer,
            ..ExchangeRequest::default()
        }))
    }
}

/// A connection with one access token of it.
#[pyclass(frozen, module = "hubkey._hubkey")]
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) connection: Connection,
    pub(crate) token: TokenAnswer,
    /// What the token was exchanged for; absent where it is the connection's own.
    pub(crate) exchange: Option<ExchangeRequest>,
    /// When the token came: how long it is good counts from then, by a clock that nobody sets.
    pub(crate) arrived: Instant,
}

impl Grant {
    /// With the connection's own token.
    pub(crate) fn own(connection: Connection, token: TokenAnswer) -> Self {
        Self {
            connection,
            token,
            exchange: None,
            arrived: Instant::now(),
        }
    }

    /// What is asked of the broker once an API has rejected this token.
    pub(crate) fn replacing(&self) -> TokenRequest {
        TokenRequest::in_place_of(AccessTokenHash::of(&self.token.access_token))
    }
}

#[pymethods]
impl Grant {
    /// This token, to be fetched from now on by another connection of the same person.
    fn moved_to(&self, other: &Self) -> Self {
        Self {
            connection: other.connection.clone(),
            token: self.token.clone(),
            exchange: self.exchange.clone(),
            arrived: self.arrived,
        }
    }

    #[getter]
    fn provider(&self) -> &str {
        self.connection.provider.as_str()
    }

    #[getter]
    fn display_name(&self) -> &str {
        &self.connection.display_name
    }

    #[getter]
    fn account_sub(&self) -> &str {
        &self.connection.account.sub
    }

    #[getter]
    fn account_name(&self) -> Option<&str> {
        self.connection.account.name.as_deref()
    }

    #[getter]
    fn account_email(&self) -> Option<&str> {
        self.connection.account.email.as_deref()
    }

    #[getter]
    fn account_label(&self) -> &str {
        self.connection.account.label()
    }

    #[getter]
    fn scopes(&self) -> Vec<&str> {
        self.token.scopes.iter().map(Scope::as_str).collect()
    }

    #[getter]
    fn audience(&self) -> Option<&str> {
        self.connection.audience.as_deref()
    }

    #[getter]
    fn resource(&self) -> Option<&str> {
        self.connection.resource.as_deref()
    }

    /// By this machine's clock.
    #[getter]
    fn expires_at(&self) -> Option<u64> {
        self.token.expires_at
    }

    /// What is left now; absent where the provider did not say.
    #[getter]
    fn seconds_left(&self) -> Option<f64> {
        let life = Duration::from_secs(self.token.expires_in?);
        Some(life.saturating_sub(self.arrived.elapsed()).as_secs_f64())
    }

    #[getter]
    fn refreshable(&self) -> bool {
        self.connection.refreshable
    }

    #[getter]
    fn api_origins(&self) -> Vec<String> {
        match self.exchange {
            Some(_) => self.token.api_origins.clone(),
            None => self.connection.api_origins.clone(),
        }
    }

    fn expose_token(&self) -> &str {
        self.token.access_token.expose()
    }
}

/// A sign-in that ended without a connection.
#[pyclass(frozen, get_all, module = "hubkey._hubkey")]
#[derive(Debug)]
pub(crate) struct SignInResult {
    /// `pending`, `denied`, `expired` or `failed`.
    state: &'static str,
    /// The broker's word for a fault.
    reason: Option<&'static str>,
    /// By which the operator finds it.
    reference: Option<String>,
    /// What happened and what to do; absent where it is only over.
    sentence: Option<String>,
    /// The class of the exception that says so.
    exception: Option<&'static str>,
}

impl SignInResult {
    fn over(state: &'static str) -> Self {
        Self {
            state,
            reason: None,
            reference: None,
            sentence: None,
            exception: None,
        }
    }

    fn denied() -> Self {
        Self {
            sentence: Some(format!("{DECLINED} {}", Remedy::TryAgain.in_cell())),
            exception: Some(PythonException::SignInDenied.name()),
            ..Self::over("denied")
        }
    }

    fn failed(reason: SignInFailure, reference: &ErrorReference) -> Self {
        Self {
            state: "failed",
            reason: Some(reason.name()),
            reference: Some(reference.as_str().to_owned()),
            sentence: Some(reason.in_cell(reference)),
            exception: Some(reason.row().python.name()),
        }
    }
}

/// What a cell says of a sign-in that its own side cancelled.
pub(crate) fn cancelled() -> String {
    format!("{CANCELLED} {}", Remedy::TryAgain.in_cell())
}

/// Gives the object that stands for the end of a sign-in.
pub(crate) fn sign_in_result(py: Python<'_>, status: SignInStatus) -> PyResult<Py<PyAny>> {
    let result = match status {
        SignInStatus::Connected { connection, token } => {
            return Ok(Py::new(py, Grant::own(connection, token))?.into_any());
        }
        SignInStatus::Pending { .. } => SignInResult::over("pending"),
        SignInStatus::Denied => SignInResult::denied(),
        SignInStatus::Expired => SignInResult::over("expired"),
        SignInStatus::Failed { reason, reference } => SignInResult::failed(reason, &reference),
    };
    Ok(Py::new(py, result)?.into_any())
}
