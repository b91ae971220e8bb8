//! Providers of other kinds than the one that all tests have.

mod federation;
mod odd_answers;
mod offered;
mod older_exchange;
mod second_provider;
