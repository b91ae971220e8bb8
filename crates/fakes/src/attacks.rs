//! What attackers send: many connections, streams nobody offered, requests that can be read in two ways.

pub mod crowd;
pub mod rapid_reset;
pub mod smuggling;
