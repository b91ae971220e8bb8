//! The page of error codes, from the table of failures.

use std::fmt::Write as _;

use hubkey_protocol::{
    ErrorCode, SignInFailure,
    failures::{ErrorRow, PythonException, SignInFailureRow},
};

const REQUESTS: &str = "\
## A request fails

Every answer of the kernel API that is no success is a problem document (RFC 9457) with one of these codes; `title` says what
happened and `detail` what to do, often closer to the case than here. *Exit* is the exit code of the command `hubkey`, *Python*
the exception, whose attribute `code` has the code.

| status | `code` | means | do | exit | Python |
|---|---|---|---|---|---|
";

const SIGN_INS: &str = "\
## A sign-in ends without a connection

The person's page has a title and two sentences; the cell and the command say the last but one column. The kernel reads
`failed` with `reason` and `reference`, or `denied` without any where the reason could speak of another person. `event` is the
[audit event](audit-events.md); its `reason` has a closer word.

| `reason` | kernel | page | means | do | cell and command | exit | Python | `event` |
|---|---|---|---|---|---|---|---|---|
";

/// Both lists.
pub(super) fn reference() -> String {
    let mut text = REQUESTS.to_owned();
    for code in ErrorCode::ALL
        .iter()
        .filter(|code| **code != ErrorCode::Unknown)
    {
        text.push_str(&request(code.row()));
    }
    text.push('\n');
    text.push_str(SIGN_INS);
    for failure in SignInFailure::ALL {
        text.push_str(&sign_in(failure.row()));
    }
    text
}

fn request(row: &ErrorRow) -> String {
    let mut line = format!("| {} | `{}` | ", row.status, row.name);
    let exit = row.exit.code();
    let _ = writeln!(
        line,
        "{} | {} | {exit} | {} |",
        row.title,
        row.remedy,
        python(row.python)
    );
    line
}

fn sign_in(row: &SignInFailureRow) -> String {
    let kernel = if row.reported_to_kernel {
        "`failed`"
    } else {
        "`denied`"
    };
    let (before, after) = row.title;
    let mut line = format!("| `{}` | {kernel} | {before}…{after} | ", row.name);
    let _ = writeln!(
        line,
        "{} | {} | {} | {} | {} | `{}` |",
        row.happened,
        row.advice,
        row.sentence,
        row.exit.code(),
        python(row.python),
        row.audit_event
    );
    line
}

fn python(exception: PythonException) -> String {
    match exception.argument() {
        Some(argument) => format!("`{}` ({argument})", exception.name()),
        None => format!("`{}`", exception.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_in_the_reference() {
        let text = reference();
        for code in ErrorCode::ALL {
            let there = text.contains(&format!("| `{}` |", code.name()));
            assert_eq!(there, *code != ErrorCode::Unknown, "{code:?}");
        }
        for failure in SignInFailure::ALL {
            assert!(text.contains(&format!("| `{}` |", failure.name())));
        }
        let rows = text.lines().filter(|line| line.starts_with('|'));
        let cells = |line: &str| line.matches('|').count();
        assert!(
            rows.map(cells).all(|count| [7, 10].contains(&count)),
            "a cell has a bar"
        );
    }
}
