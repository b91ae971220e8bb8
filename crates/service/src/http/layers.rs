//! What wraps every handler of a router.

use std::any::Any;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hubkey_protocol::ErrorCode;
use tower_http::catch_panic::CatchPanicLayer;

use super::failure::Failure;

/// Wraps a finished router: a panic becomes a problem document, and the template of the route goes with the response
/// to the log line and the measurement.
pub fn layers(router: Router) -> Router {
    router
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(middleware::from_fn(remember_route))
}

/// Answers what no route matches with problem documents. For routers whose callers are programs.
pub fn problem_fallbacks(router: Router) -> Router {
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
}

/// The template of the route that answered, such as `/v1/sign-ins/{nonce}`.
#[derive(Debug, Clone)]
pub(super) struct Route(pub(super) MatchedPath);

async fn remember_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(Route(route));
    }
    response
}

/// The payload is dropped unread: it may hold anything that the panicking code had in hand.
fn answer_panic(_: Box<dyn Any + Send>) -> Response {
    Failure::of(ErrorCode::Internal).into_response()
}

async fn no_such_path() -> Failure {
    Failure::not_found()
}

async fn no_such_method() -> Failure {
    Failure::new(
        ErrorCode::MethodNotAllowed,
        "This address does not take that method.",
        "Use one of the methods in the header `Allow`.",
    )
}
