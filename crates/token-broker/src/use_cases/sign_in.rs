//! A sign-in as its kernel sees it, and how it ends.

pub mod account_link;
pub mod account_policy;
pub mod acknowledge;
pub mod cancel;
pub mod complete;
pub mod ending;
pub mod open;
pub mod own;
pub mod poll;
pub mod request_policy;
pub mod shared_servers;
pub mod step_up;
pub mod unstored_grant;
