//! What Python hears when a call fails. The package `hubkey` turns these into its public exceptions.

use hubkey_broker_client::{ClientError as Failure, Distrust};
use hubkey_protocol::ErrorCode;
use pyo3::{create_exception, exceptions::PyException, prelude::*};

create_exception!(
    hubkey._hubkey,
    ClientError,
    PyException,
    "A call to the broker failed; `args` is (kind, code, title, detail, retry_after)."
);
create_exception!(
    hubkey._hubkey,
    InvalidField,
    PyException,
    "A value is not of the form that its field takes; `args` is (field, expected)."
);

/// Says a failure without its cause, which can hold an address.
pub(crate) fn to_python(failure: Failure) -> PyErr {
    let said = failure.to_string();
    match failure {
        Failure::Unreachable(_) | Failure::NoAnswer(_) => client_error("unreachable", said),
        Failure::Unexpected { .. } => client_error("malformed", said),
        Failure::Setup(_) => client_error("setup", said),
        Failure::Untrusted(distrust) => {
            let word = distrust_name(distrust).to_owned();
            ClientError::new_err(("untrusted", Some(word), said, "", None::<u64>))
        }
        Failure::Problem(problem) => {
            let code = code_name(problem.code);
            ClientError::new_err((
                "refused",
                code,
                problem.title,
                problem.detail,
                problem.retry_after,
            ))
        }
    }
}

/// Says that a value is not of the form that `field` takes.
pub(crate) fn invalid(field: &'static str, expected: &impl ToString) -> PyErr {
    InvalidField::new_err((field, expected.to_string()))
}

fn client_error(kind: &'static str, title: String) -> PyErr {
    ClientError::new_err((kind, None::<String>, title, "", None::<u64>))
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
