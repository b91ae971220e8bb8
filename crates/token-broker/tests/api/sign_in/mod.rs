//! A sign-in as its kernel sees it: opened, polled for, delivered, cancelled; and what whole sign-ins promise.

mod accounts;
mod acknowledge;
mod audience;
mod cancel;
mod idempotency;
mod limits;
mod oauth2;
mod odd_claims;
mod open;
mod policies;
mod poll;
mod success;
mod undone;
mod wakeup;
