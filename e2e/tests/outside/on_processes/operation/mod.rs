//! What an operator and a client of the HTTP API meet.

mod bare;
mod generated_client;
mod health;
mod leaks;
mod numbers;
mod retired_keys;
mod transport;
