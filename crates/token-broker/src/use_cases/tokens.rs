//! Access tokens for kernels.

pub mod derived;
pub mod downscoped;
pub mod ensure_valid;
pub mod exchange;
pub mod get;
pub mod refresh;
pub mod single_flight;
pub(crate) mod sources;
pub mod userinfo;
