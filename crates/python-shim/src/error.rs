//! What Python hears when a call fails. The package `hubkey` turns these into its public exceptions.

use hubkey_broker_client::{ClientError as Failure, Distrust};
use hubkey_protocol::ErrorCode;
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
    code: Option<String>,
    reference: Option<String>,
    title: String,
    detail: String,
    retry_after: Option<u64>,
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
        let said = failure.to_string();
        match failure {
            Failure::Unreachable(_) | Failure::NoAnswer(_) => Self::plain("unreachable", said),
            Failure::Unexpected { .. } => Self::plain("malformed", said),
            Failure::Setup(_) => Self::plain("setup", said),
            Failure::Untrusted(distrust) => Self {
                code: Some(distrust_name(distrust).to_owned()),
                ..Self::plain("untrusted", said)
            },
            Failure::Problem {
                problem,
                request_id,
            } => Self {
                kind: "refused",
                code: code_name(problem.code),
                reference: request_id,
                title: problem.title,
                detail: problem.detail,
                retry_after: problem.retry_after,
            },
        }
    }

    fn plain(kind: &'static str, title: String) -> Self {
        Self {
            kind,
            code: None,
            reference: None,
            title,
            detail: String::new(),
            retry_after: None,
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
        Ok(error)
    }
}

/// The package has advice for each of these words.
fn distrust_name(distrust: Distrust) -> &'static str {
    match distrust {
        Distrust::UnknownAuthority => "unknown_authority",
        Distrust::OtherName => "other_name",
        Distrust::OutOfTime => "out_of_time",
        Distrust::NoTls => "no_tls",
        Distrust::Other => "other",
    }
}

fn code_name(code: ErrorCode) -> Option<String> {
    serde_json::to_value(code)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned))
}
