//! What never reaches a handler.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderValue, StatusCode, header::ALLOW};
use hubkey_protocol::path;
use hubkey_service::http::OversizedHead;

use crate::{
    app::App,
    fetch_metadata,
    pages::{NOT_A_NAVIGATION, NOT_FOUND, Notice, WRONG_METHOD},
    reference::new_reference,
    response,
};

/// Lets only a person's own navigation pass.
pub(super) async fn fetch_metadata_guard(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Response {
    match fetch_metadata::check(request.method(), request.headers(), app.origin()) {
        Ok(()) => next.run(request).await,
        Err(denial) => {
            let reference = new_reference();
            tracing::info!(
                reference = reference.as_str(),
                denial = denial.word(),
                "the Fetch Metadata check refused a request"
            );
            let theme = app.theme();
            response::page(
                &theme,
                StatusCode::FORBIDDEN,
                &Notice::new(&theme, NOT_A_NAVIGATION, Some(&reference)),
            )
        }
    }
}

/// Lets heads that are too large pass to where a provider sends people back to, where a sign-in waits that has to end. All
/// others get the page.
pub(super) async fn oversized_head(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Response {
    let Some(what) = request.extensions().get::<OversizedHead>().copied() else {
        return next.run(request).await;
    };
    let back = format!("{}{}", app.prefix(), path::PAGE_CALLBACK);
    let route = request.extensions().get::<MatchedPath>();
    if route.is_some_and(|route| route.as_str() == back) {
        return next.run(request).await;
    }
    response::oversized_head(&app, what)
}

/// A path that leads nowhere.
pub(super) async fn not_found(State(app): State<App>) -> Response {
    let theme = app.theme();
    response::page(
        &theme,
        StatusCode::NOT_FOUND,
        &Notice::new(&theme, NOT_FOUND, None),
    )
}

/// A page that is only shown.
pub(super) async fn only_get(State(app): State<App>) -> Response {
    wrong_method(&app, "GET")
}

/// A form that is only sent.
pub(super) async fn only_post(State(app): State<App>) -> Response {
    wrong_method(&app, "POST")
}

fn wrong_method(app: &App, allowed: &'static str) -> Response {
    let theme = app.theme();
    let mut response = response::page(
        &theme,
        StatusCode::METHOD_NOT_ALLOWED,
        &Notice::new(&theme, WRONG_METHOD, None),
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
