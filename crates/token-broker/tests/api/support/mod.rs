//! The broker, its Hub, its providers, its kernels and browsers, as the tests have them.

pub(crate) mod attempt;
pub(crate) mod audit;
pub(crate) mod browser;
pub(crate) mod contract;
pub(crate) mod failover_stage;
pub(crate) mod kernel;
pub(crate) mod key_stage;
pub(crate) mod outcome;
pub(crate) mod probe;
pub(crate) mod refresh_stage;
pub(crate) mod registration;
pub(crate) mod world;
