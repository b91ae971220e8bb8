//! What is known of why a request failed.

use super::{Exit, PythonException};

/// A row of the table: why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRow {
    /// The member `code` of the problem document (RFC 9457).
    pub name: &'static str,
    /// The HTTP status (RFC 9110 section 15, RFC 6585).
    pub status: u16,
    /// Whether the same request may succeed a little later.
    pub transient: bool,
    /// What happened: the member `title`, where the case has no closer word.
    pub title: &'static str,
    /// What to do: the member `detail`, where the case has no closer word.
    pub remedy: &'static str,
    /// What a cell says in place of both; they speak to programs where this is given.
    pub cell: Option<&'static str>,
    /// How the command ends.
    pub exit: Exit,
    /// What Python raises.
    pub python: PythonException,
}
