//! The refresh of an access token.

mod answers;
mod bad_input;
mod faults;
mod outage;
mod single_flight;
mod suspended;
mod unverified;
