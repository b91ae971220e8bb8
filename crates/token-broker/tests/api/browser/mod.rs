//! The pages of a sign-in and "My connections", one request of a browser after the other.

mod confirm;
mod consent;
mod failures;
mod hub_callback;
mod my_connections;
mod provider_answers;
mod provider_callback;
mod start;
mod view;
