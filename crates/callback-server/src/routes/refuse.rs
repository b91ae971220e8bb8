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
    answer,
    app::App,
    gate,
    pages::{NOT_A_CLICK, NOT_FOUND, Notice, WRONG_METHOD},
    reference::new_reference,
};

/// Lets only a person's own navigation pass.
pub(super) async fn gate(State(app): State<App>, request: Request, next: Next) -> Response {
    match gate::judge(request.method(), request.headers(), app.origin()) {
        Ok(()) => next.run(request).await,
        Err(denial) => {
            let reference = new_reference();
            tracing::info!(
                reference = reference.as_str(),
                denial = denial.word(),
                "the gate refused a request"
            );
            let look = app.look();
            answer::page(
                &look,
                StatusCode::FORBIDDEN,
                &Notice::new(&look, NOT_A_CLICK, Some(&reference)),
            )
        }
    }
}

/// Lets heads that are too large pass to where a provider sends people back to, where a sign-in waits that has to end. All
/// others get the page.
pub(super) async fn too_long(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(what) = request.extensions().get::<OversizedHead>().copied() else {
        return next.run(request).await;
    };
    let back = format!("{}{}", app.prefix(), path::PAGE_CALLBACK);
    let route = request.extensions().get::<MatchedPath>();
    if route.is_some_and(|route| route.as_str() == back) {
        return next.run(request).await;
    }
    answer::too_long(&app, what)
}

/// A path that leads nowhere.
pub(super) async fn not_found(State(app): State<App>) -> Response {
    let look = app.look();
    answer::page(
        &look,
        StatusCode::NOT_FOUND,
        &Notice::new(&look, NOT_FOUND, None),
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
    let look = app.look();
    let mut response = answer::page(
        &look,
        StatusCode::METHOD_NOT_ALLOWED,
        &Notice::new(&look, WRONG_METHOD, None),
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
