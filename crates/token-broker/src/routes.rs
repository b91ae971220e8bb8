//! The route tables: one for kernels, one for callback-server. Nothing is decided here.

mod acknowledge;
mod asker;
mod cancel;
mod channel;
mod connections;
mod create_sign_in;
mod exchange;
mod failure;
mod internal;
mod of_connection;
mod openapi;
mod poll;
mod providers;
mod server_ended;
mod sign_in_status;
mod sign_out;
mod token;
mod userinfo;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{delete, get, post},
};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
};
use hubkey_protocol::{path, secret::ChannelSecret};
use hubkey_service::http::problem_fallbacks;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::flows::Flows;

pub use openapi::document;

/// What kernels reach.
pub fn kernel(flows: Arc<Flows>) -> Router {
    let routes = Router::new()
        .route(path::SIGN_INS, post(create_sign_in::handler))
        .route(
            path::SIGN_IN,
            get(sign_in_status::handler).delete(cancel::handler),
        )
        .route(path::SIGN_IN_ACK, post(acknowledge::handler))
        .route(path::PROVIDERS, get(providers::handler))
        .route(path::CONNECTIONS, get(connections::handler))
        .route(path::CONNECTION, delete(sign_out::handler))
        .route(path::CONNECTION_TOKEN, post(token::handler))
        .route(path::CONNECTION_EXCHANGE, post(exchange::handler))
        .route(path::CONNECTION_USERINFO, get(userinfo::handler))
        .route(path::SERVERS_ENDED, post(server_ended::handler))
        .route(path::OPENAPI, get(openapi::handler))
        .with_state(flows);
    private(problem_fallbacks(routes))
}

/// What callback-server reaches; each request proves that it is callback-server.
pub fn internal(flows: Arc<Flows>, channel_secrets: Vec<ChannelSecret>) -> Router {
    let routes = Router::new()
        .route(path::INTERNAL_SITE, get(internal::site))
        .route(path::INTERNAL_START, post(internal::start))
        .route(path::INTERNAL_HUB_CALLBACK, post(internal::hub_callback))
        .route(path::INTERNAL_VIEW, post(internal::view))
        .route(path::INTERNAL_CONTINUE, post(internal::r#continue))
        .route(path::INTERNAL_CALLBACK, post(internal::callback))
        .route(path::INTERNAL_CONFIRM, post(internal::confirm))
        .route(path::INTERNAL_CONNECTIONS, post(internal::my_connections))
        .route(
            path::INTERNAL_END_CONNECTIONS,
            post(internal::end_connections),
        )
        .route(
            path::INTERNAL_BACKCHANNEL_LOGOUT,
            post(internal::backchannel_logout),
        )
        .with_state(flows);
    let gate = middleware::from_fn_with_state(Arc::new(channel_secrets), channel::gate);
    private(problem_fallbacks(routes).layer(gate))
}

/// No answer is kept by anything between, nor taken for another kind of document.
fn private(router: Router) -> Router {
    router
        .layer(SetResponseHeaderLayer::overriding(
            CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .layer(SetResponseHeaderLayer::overriding(
            X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
}
