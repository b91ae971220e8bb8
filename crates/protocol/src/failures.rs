//! The table of failures: each has one row, and from it are made the answer over HTTP, the page, what a cell and the
//! command say, the class of Python's exception, the command's exit code and the manual's lists.
//!
//! [`ErrorCode`] has the failures of a request, [`SignInFailure`] those of a sign-in.

mod consequence;
mod error_row;
mod request;
mod sign_in;

pub use consequence::{Exit, PythonException, Remedy};
pub use error_row::ErrorRow;
pub use request::ErrorCode;
pub use sign_in::{CANCELLED, DECLINED, SignInFailure, SignInFailureRow};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{ErrorReference, SignInCause};

    fn on_the_wire(failure: impl serde::Serialize) -> String {
        let word = serde_json::to_value(failure).expect("a word");
        word.as_str().expect("a string").to_owned()
    }

    fn assert_sentences(text: &str) {
        assert!(text.ends_with('.'), "{text}");
        let odd = ["..", "  ", " .", "\n"];
        assert!(!odd.iter().any(|odd| text.contains(odd)), "{text}");
    }

    #[test]
    fn a_row_has_the_word_of_the_wire() {
        for code in ErrorCode::ALL {
            assert_eq!(on_the_wire(code), code.name());
        }
        for failure in SignInFailure::ALL {
            assert_eq!(on_the_wire(failure), failure.name());
        }
    }

    #[test]
    fn every_text_of_the_table_is_made_of_whole_sentences() {
        for row in ErrorCode::ALL.iter().map(|code| code.row()) {
            assert_sentences(row.title);
            assert_sentences(row.remedy);
            row.cell.into_iter().for_each(assert_sentences);
        }
        let reference = ErrorReference::from_random([7; 8]);
        for failure in SignInFailure::ALL {
            let row = failure.row();
            assert_sentences(row.happened);
            assert_sentences(row.advice);
            assert_sentences(&failure.in_cell(&reference));
            assert_sentences(&failure.in_command(&reference));
            assert!(failure.in_cell(&reference).contains(reference.as_str()));
        }
        assert_sentences(CANCELLED);
        assert_sentences(DECLINED);
    }

    /// One text for things that are not alike helps nobody.
    #[test]
    fn found_h_no_two_rows_say_the_same() {
        let pages: HashSet<_> = SignInFailure::ALL
            .iter()
            .map(|failure| failure.row().title)
            .collect();
        assert_eq!(pages.len(), SignInFailure::ALL.len());
        let cells: HashSet<_> = SignInFailure::ALL
            .iter()
            .map(|failure| failure.row().sentence)
            .collect();
        assert_eq!(cells.len(), SignInFailure::ALL.len());
        let answers: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.row().title).collect();
        assert_eq!(answers.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn an_http_status_belongs_to_its_row() {
        for code in ErrorCode::ALL {
            assert!((400..600).contains(&code.status()), "{code:?}");
            assert!(
                !code.is_transient() || [429, 503].contains(&code.status()),
                "{code:?}"
            );
        }
    }

    #[test]
    fn a_cause_is_said_with_the_providers_name() {
        let causes = [
            SignInCause::AccessEnded,
            SignInCause::NotRenewed,
            SignInCause::RegistrationRefused,
        ];
        for cause in causes {
            let (before, after) = cause.on_the_card();
            assert_sentences(&format!("{before}Lab API{after}"));
            assert_sentences(cause.title());
        }
    }
}
