//! What both hubkey servers do alike: command line, settings, telemetry, HTTP layers, health, accept loop, shutdown.
//!
//! # The order of life
//!
//! 1. [`lifecycle::install_crypto_provider`], before anything can open a TLS connection.
//! 2. [`settings::load`]: one file, the environment, files for secrets; every mistake reported at once, then exit.
//! 3. [`telemetry::start`]: log, audit stream, panic hook. [`telemetry::Metrics`] is made and handed to every part.
//! 4. [`ops::serve`] on the ops port, with an [`ops::Readiness`] that a latch holds back: the process is alive, not ready.
//! 5. The server builds its parts, binds its listeners, and gives each to an [`http::Server`]; the latch is dropped.
//! 6. [`lifecycle::Lifecycle::run`] waits for SIGTERM or SIGINT. Then readiness fails, a short delay lets load
//!    balancers notice, listeners stop accepting, long polls answer, requests finish within the grace period.
//! 7. The ops listener is the last to close; `main` returns its exit code.
//!
//! # What breaks without it
//!
//! - Without own time limits in the accept loop, an unfinished request head holds its connection for ever
//!   (`security_q1_slowloris_is_cut_off`).
//! - Without the pre-read body, a handler waits for a client (`security_q2_slow_body_is_cut_off`).
//! - Without the removal of forwarded headers, a caller chooses the address that rate limits see
//!   (`security_q11_forged_headers_change_nothing`).
//! - Without reading heads along, a request hides in another (`security_q13_no_second_request_hides_in_the_first`).
//! - Without the oldest idle connection making room, idle ones keep everybody out
//!   (`security_q4_what_is_idle_longest_makes_room_and_what_is_busy_stays`).

pub mod command_line;
pub mod http;
pub mod lifecycle;
pub mod ops;
pub mod reload;
pub mod settings;
pub mod telemetry;
pub mod tls;

#[doc(no_inline)]
pub use tokio_util::sync::CancellationToken;
