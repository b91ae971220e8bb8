//! `hubkey._hubkey`: the broker's client for the Python package `hubkey`.
//!
//! Functions here take, call and convert; they decide nothing. What a call means is in `hubkey_broker_client`, what a
//! person sees is in Python. Two things live here because they can live nowhere else: the tokio runtime of the
//! interpreter (`runtime`), and the secrets, which stay inside these objects so that no `repr`, `vars`, pickle or
//! traceback of Python can reach them.

mod broker;
mod call;
mod command;
mod connection_summary;
mod error;
mod messages;
mod pending_token;
mod runtime;

/// The broker's client, and what it gives.
#[pyo3::pymodule(gil_used = false)]
mod _hubkey {
    #[pymodule_export]
    use crate::broker::Broker;
    #[pymodule_export]
    use crate::command::run_command;
    #[pymodule_export]
    use crate::connection_summary::ConnectionSummary;
    #[pymodule_export]
    use crate::error::{ClientError, InvalidField};
    #[pymodule_export]
    use crate::messages::{Exchange, Grant, Request, SignIn, SignInResult};
    #[pymodule_export]
    use crate::pending_token::PendingToken;

    /// Ends the runtime before the interpreter ends, and begins a new one in a forked child.
    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        pyo3::types::PyModuleMethods::add(module, "CANCELLED", crate::messages::cancelled())?;
        crate::runtime::register(module.py())
    }
}
