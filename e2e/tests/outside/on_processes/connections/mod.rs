//! What a notebook does with a connection, and what becomes of it.

mod arguments;
mod ended;
mod libraries;
mod name_given_again;
mod notebook;
pub(super) mod refresh;
mod sharing;
