//! Typed client of token-broker.
//!
//! One [`BrokerClient`] speaks for one caller, and its type says which: `BrokerClient<SharedSecret>` is
//! callback-server's and has the internal half ([`internal`]), `BrokerClient<ServerToken>` is a kernel's ([`kernel`]).
//! Neither can call the other's endpoints. Every method is named after its endpoint and takes and gives the messages of
//! [`hubkey_protocol`]; what goes wrong is a [`ClientError`].
//!
//! The client follows no redirect, uses no proxy, keeps no cookie, reads no answer beyond a cap, and never names the
//! URL in an error: a path can hold a one-time value.

mod context;
mod error;
mod http;
pub mod internal;
pub mod kernel;
mod retry;

pub use context::CallContext;
pub use error::{ClientError, Distrust};
pub use http::{BrokerClient, Destination};
pub use kernel::Reached;
