//! Where words go: answers to standard output, everything for people to standard error.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsRawFd as _, IntoRawFd as _, RawFd},
};

use hubkey_protocol::{
    Connection,
    secret::{AccessToken, Secret as _},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::failure::{Exit, Failure};

/// Keeps the places of closed standard streams, so that nothing that is opened later takes them: an answer would go there.
/// A program of Rust has done so before; in Python's process nobody has.
pub(crate) fn hold_standard_streams() {
    const LAST: RawFd = 2;
    // Each takes the first place that is free.
    while let Ok(nothing) = File::options().read(true).write(true).open("/dev/null") {
        if nothing.as_raw_fd() > LAST {
            return;
        }
        let _ = nothing.into_raw_fd();
    }
}

/// Tells a person something.
pub(crate) fn print_note(text: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "hubkey: {text}");
}

/// Answers on standard output.
pub(crate) fn answer(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|_| Failure::new(Exit::Failed, "Standard output cannot be written to."))
}

/// A token as text, for the one place that it is asked for. What would break out of a line is refused.
pub(crate) fn line_of(token: &AccessToken) -> Result<&str, Failure> {
    let text = token.expose();
    if !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(text);
    }
    Err(Failure::new(
        Exit::Denied,
        "The provider's token holds a character that no token may have (RFC 6749). Tell the operator of this \
         JupyterHub.",
    ))
}

/// A text from elsewhere, without what could steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(|c| !steers(*c)).collect()
}

/// Whose connection it is, for people: `Example Lab as alice@lab.example`.
pub(crate) fn label(connection: &Connection) -> String {
    let account = plain(connection.account.label());
    format!("{} as {account}", plain(&connection.display_name))
}

/// A moment in Unix seconds, as RFC 3339.
pub(crate) fn moment(unix: u64) -> Option<String> {
    let moment = OffsetDateTime::from_unix_timestamp(i64::try_from(unix).ok()?).ok()?;
    moment.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_left_out() {
        assert_eq!(plain("a\u{1b}[31mlice\n\u{202e}x"), "a[31mlicex");
    }

    #[test]
    fn a_token_that_breaks_out_of_its_line_is_refused() {
        assert!(line_of(&AccessToken::new("abc.def-ghi_~+/=")).is_ok());
        for token in ["", "a\nhost=evil", "a\0b", "ü"] {
            assert!(line_of(&AccessToken::new(token)).is_err(), "{token:?}");
        }
    }

    #[test]
    fn moments_are_rfc_3339() {
        assert_eq!(
            moment(1_764_021_600).as_deref(),
            Some("2025-11-24T22:00:00Z")
        );
    }
}
