//! `POST /backchannel-logout/{provider}`: a provider says that a session there has ended. No browser comes here, so
//! Fetch Metadata is not checked; the broker validates the token.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{
    StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use hubkey_protocol::{
    ProviderId,
    bounds::Bound,
    internal::{BackchannelLogout, LogoutOutcome},
    secret::LogoutToken,
};

use super::{
    browser::{BrowserRequest, InPath, RouteError},
    form::Form,
};

pub(super) async fn backchannel_logout(
    caller: BrowserRequest,
    provider: InPath,
    form: Form,
) -> Response {
    match relay(&caller, provider, form).await {
        Ok(LogoutOutcome::Done) => StatusCode::OK.into_response(),
        Ok(LogoutOutcome::TooMany) => {
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")]).into_response()
        }
        Ok(LogoutOutcome::Refused) => refused(),
        Err(error) => {
            if let RouteError::Broker(problem) = error {
                tracing::warn!(%problem, "the broker could not be asked about a logout");
            }
            refused()
        }
    }
}

/// One answer to whatever is wrong (Back-Channel Logout 1.0 section 2.8).
fn refused() -> Response {
    let body = r#"{"error":"invalid_request"}"#;
    (
        StatusCode::BAD_REQUEST,
        [(CONTENT_TYPE, "application/json")],
        body,
    )
        .into_response()
}

async fn relay(
    caller: &BrowserRequest,
    provider: InPath,
    form: Form,
) -> Result<LogoutOutcome, RouteError> {
    let Path(provider) = provider.map_err(|_| RouteError::InvalidLink)?;
    let provider = ProviderId::parse(provider)?;
    let token = form
        .read()?
        .required("logout_token", Bound::LogoutToken.limit())?;
    let message = BackchannelLogout {
        logout_token: LogoutToken::new(token),
        source: caller.source.clone(),
    };
    let broker = caller.broker();
    let reply = broker.backchannel_logout(&provider, &message).await?;
    Ok(reply.outcome)
}
