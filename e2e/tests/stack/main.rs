//! From outside, on the real stack: a kernel of a real hub, a real browser, a real provider, real servers.
//!
//! All tests of this program share one stack and take a person of their own each.

mod attacks;
mod features;
mod health;
mod leaks;
mod support;
