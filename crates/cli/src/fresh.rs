//! Keeping a token in a file fresh.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hubkey_protocol::TokenAnswer;
use tokio::time::sleep;

use crate::{
    failure::{Exit, Failure},
    output::print_note,
    session::{Grant, Session},
    token_file::TokenFile,
};

/// A new token is fetched when less than this is left, or a tenth of its life if that is more, but not before the half
/// of it. A little later than the broker does it, so that one request is enough.
const EARLY: Duration = Duration::from_mins(1);
const LATER: f64 = 0.8;
/// How often a token is looked after whose end the provider did not say.
const WITHOUT_END: Duration = Duration::from_mins(5);
/// How long after a failure that may pass.
const AGAIN: Duration = Duration::from_secs(5);
const SHORTEST: Duration = Duration::from_millis(500);

/// Writes a new token whenever the old one nears its end. Comes back only when there is none any more.
pub(crate) async fn keep(session: &Session, grant: &Grant, file: &mut TokenFile) -> Failure {
    let mut pause = pause_before_the_next(&grant.token);
    let mut told = false;
    loop {
        sleep(pause).await;
        let renewed = session.access_token(grant, 1).await;
        let renewed = renewed.and_then(|token| file.write(&token.access_token).map(|()| token));
        pause = match renewed {
            Ok(token) => {
                told = false;
                pause_before_the_next(&token)
            }
            Err(failure) if failure.exit() == Exit::Transient => {
                if !told {
                    print_note(&format!(
                        "The token is not renewed now, and will be tried again: {}",
                        failure.said()
                    ));
                }
                told = true;
                AGAIN
            }
            Err(failure) => return failure,
        };
    }
}

/// What the clock says, since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this command looks at the clock; what is done with it takes it as an argument"
)]
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Of a token that came just now. What the clock says has no part in it.
fn pause_before_the_next(token: &TokenAnswer) -> Duration {
    let Some(left) = token.expires_in.map(Duration::from_secs) else {
        return WITHOUT_END;
    };
    let early = EARLY.max(left / 10).min(left / 2).mul_f64(LATER);
    left.saturating_sub(early).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use hubkey_protocol::secret::AccessToken;

    use super::*;

    fn pause(left: Option<u64>) -> u64 {
        let token = TokenAnswer {
            access_token: AccessToken::new("t"),
            token_type: "Bearer".to_owned(),
            // Of a clock that is far ahead.
            expires_at: left.map(|_| 1000),
            expires_in: left,
            scopes: [].into_iter().collect(),
            api_origins: Vec::new(),
        };
        pause_before_the_next(&token).as_secs()
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        assert_eq!(pause(Some(10)), 6);
        assert_eq!(pause(Some(300)), 252);
        assert_eq!(pause(Some(3600)), 3312);
        assert_eq!(pause(None), 300);
        assert_eq!(pause(Some(0)), 0);
    }
}
