//! A connection in a list: without a token.

use hubkey_protocol::{Connection, Scope};
use pyo3::prelude::*;

/// What `connections()` lists.
#[pyclass(frozen, module = "hubkey._hubkey")]
#[derive(Debug)]
pub(crate) struct ConnectionSummary(pub(crate) Connection);

#[pymethods]
impl ConnectionSummary {
    #[getter]
    fn provider(&self) -> &str {
        self.0.provider.as_str()
    }

    #[getter]
    fn display_name(&self) -> &str {
        &self.0.display_name
    }

    #[getter]
    fn account_label(&self) -> &str {
        self.0.account.label()
    }

    #[getter]
    fn scopes(&self) -> Vec<&str> {
        self.0.scopes.iter().map(Scope::as_str).collect()
    }

    #[getter]
    fn audience(&self) -> Option<&str> {
        self.0.audience.as_deref()
    }

    #[getter]
    fn expires_at(&self) -> Option<u64> {
        self.0.expires_at
    }
}
