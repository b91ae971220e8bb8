//! When a call is made again: only where that can do no harm, later each time, and never beyond a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::ClientError;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// However long the broker asks to wait, it is asked again after this, or at the deadline.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(1);

/// What may be done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Only what certainly was not done: no connection, or refused for now (429, 503).
    IfNotDone,
    /// Also what may have been done, because doing it twice is doing it once.
    Always,
}

/// Calls until there is an answer, a failure that repeating does not mend, or `until` has come.
pub(crate) async fn patiently<A, F>(
    until: Instant,
    repeat: Repeat,
    call: impl Fn() -> F,
) -> Result<A, ClientError>
where
    F: Future<Output = Result<A, ClientError>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(least) = pause_asked_for(&error, repeat) else {
            return Err(error);
        };
        let wait = least.max(jittered(pause));
        if Instant::now() + wait >= until {
            return Err(error);
        }
        sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How long to wait at least before doing it again; `None` where it must not be done again.
fn pause_asked_for(error: &ClientError, repeat: Repeat) -> Option<Duration> {
    match error {
        ClientError::Unreachable(_) => Some(Duration::ZERO),
        ClientError::NoAnswer(_) => (repeat == Repeat::Always).then_some(Duration::ZERO),
        ClientError::Problem { problem, .. } => (matches!(problem.status, 429 | 503)
            && problem.code.is_transient())
        .then(|| Duration::from_secs(problem.retry_after.unwrap_or(0)).min(LONGEST_RETRY_AFTER)),
        ClientError::Unexpected { status } => matches!(status, 429 | 503).then_some(Duration::ZERO),
        ClientError::Setup(_) | ClientError::Untrusted(_) => None,
    }
}

/// Between half and the whole, so that kernels that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}
