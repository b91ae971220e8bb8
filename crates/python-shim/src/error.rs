//! What Python hears when a call fails. The package `hubkey` turns these into its public exceptions.

use hubkey_broker_client::ClientError as Failure;
use hubkey_protocol::{Problem, failures::PythonException};
use pyo3::{create_exception, exceptions::PyException, prelude::*};

create_exception!(
    hubkey._hubkey,
    ClientError,
    PyException,
    "A call to the broker failed."
);
create_exception!(
    hubkey._hubkey,
    InvalidField,
    PyException,
    "A value is not of the form that its field takes."
);

/// The attributes of a `ClientError`; the stub lists them.
struct Attributes {
    kind: &'static str,
    code: Option<&'static str>,
    reference: Option<String>,
    title: String,
    detail: String,
    retry_after: Option<u64>,
    python: PythonException,
    needs_operator: bool,
}

/// Says a failure without its cause, which can hold an address.
pub(crate) fn to_python(failure: Failure) -> PyErr {
    let attributes = Attributes::of(failure);
    Python::attach(|py| attributes.raise(py).unwrap_or_else(|error| error))
}

/// Says that a value is not of the form that `field` takes.
pub(crate) fn invalid(field: &'static str, expected: &impl ToString) -> PyErr {
    let expected = expected.to_string();
    Python::attach(|py| invalid_field(py, field, expected).unwrap_or_else(|error| error))
}

fn invalid_field(py: Python<'_>, field: &'static str, expected: String) -> PyResult<PyErr> {
    let error = InvalidField::new_err(format!("{field}: {expected}"));
    let value = error.value(py);
    value.setattr("field", field)?;
    value.setattr("expected", expected)?;
    Ok(error)
}

impl Attributes {
    fn of(failure: Failure) -> Self {
        let (kind, python) = match &failure {
            Failure::Unreachable(_) | Failure::NoAnswer(_) => {
                ("unreachable", PythonException::BrokerUnavailable)
            }
            Failure::Unexpected { .. } => ("malformed", PythonException::BrokerUnavailable),
            Failure::Setup(_) => ("setup", PythonException::ConfigurationError),
            Failure::Untrusted(_) => ("untrusted", PythonException::ConfigurationError),
            Failure::Problem { problem, .. } => ("refused", problem.code.row().python),
        };
        let said = Self {
            kind,
            code: None,
            reference: None,
            title: failure.title(),
            detail: failure.remedy(),
            retry_after: None,
            python,
            needs_operator: failure.operator_reference().is_some(),
        };
        match failure {
            Failure::Unreachable(_)
            | Failure::NoAnswer(_)
            | Failure::Unexpected { .. }
            | Failure::Setup(_) => said,
            Failure::Untrusted(distrust) => Self {
                code: Some(distrust.name()),
                ..said
            },
            Failure::Problem {
                problem,
                request_id,
            } => said.refused(&problem, request_id),
        }
    }

    fn refused(self, problem: &Problem, request_id: Option<String>) -> Self {
        let row = problem.code.row();
        let (title, detail) = match row.cell {
            Some(cell) => (cell.to_owned(), String::new()),
            None => (self.title, self.detail),
        };
        Self {
            code: Some(row.name),
            reference: request_id,
            title,
            detail,
            retry_after: problem.retry_after,
            ..self
        }
    }

    fn raise(self, py: Python<'_>) -> PyResult<PyErr> {
        let error = ClientError::new_err(self.title.clone());
        let value = error.value(py);
        value.setattr("kind", self.kind)?;
        value.setattr("code", self.code)?;
        value.setattr("reference", self.reference)?;
        value.setattr("title", self.title)?;
        value.setattr("detail", self.detail)?;
        value.setattr("retry_after", self.retry_after)?;
        value.setattr("exception", self.python.name())?;
        value.setattr("argument", self.python.argument())?;
        value.setattr("needs_operator", self.needs_operator)?;
        Ok(error)
    }
}
