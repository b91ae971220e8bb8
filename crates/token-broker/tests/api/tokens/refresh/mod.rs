//! The refresh of an access token.

mod answers;
mod faults;
mod outage;
mod single_flight;
mod suspended;
mod unverified;
