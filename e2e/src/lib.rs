//! The real stack for the demo and for tests from outside: Keycloak, a browser, the two servers, as processes of this
//! machine, as containers or on a cluster.
//!
//! Where tests need a part that misbehaves on purpose, it is played by a fake at the edge of the network.

pub mod evidence;
pub mod real;
pub mod stack;
