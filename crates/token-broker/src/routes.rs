//! The route tables: one for kernels, one for callback-server. Nothing is decided here.

mod acknowledge;
mod cancel;
mod channel;
mod connections;
mod create_sign_in;
mod exchange;
mod failure;
mod internal;
mod kernel_credentials;
mod of_connection;
mod openapi;
mod poll;
mod providers;
mod server_stopped;
mod sign_in_status;
mod sign_out;
mod token;
mod userinfo;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{MethodRouter, delete, get, post},
};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
};
use hubkey_protocol::{path, secret::SharedSecret};
use hubkey_service::http::problem_fallbacks;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::use_cases::{Broker, Browsers};

pub use openapi::document;

use internal::Step;

/// What kernels reach; each handler gets the one use case that it serves.
pub fn kernel(broker: Broker) -> Router {
    let Broker {
        catalog,
        sign_ins,
        tokens,
        connections,
        ..
    } = broker;
    let poll = get(sign_in_status::handler).with_state(sign_ins.poll);
    let cancel = delete(cancel::handler).with_state(sign_ins.cancel);
    let list = get(connections::handler).with_state(connections.list);
    let acknowledge = post(acknowledge::handler).with_state(sign_ins.acknowledge);
    let sign_out = delete(sign_out::handler).with_state(connections.sign_out);
    let stopped = post(server_stopped::handler).with_state(connections.server_stopped);
    let routes = Router::new()
        .route(
            path::SIGN_INS,
            post(create_sign_in::handler).with_state(sign_ins.open),
        )
        .route(path::SIGN_IN, poll.merge(cancel))
        .route(path::SIGN_IN_ACK, acknowledge)
        .route(path::PROVIDERS, get(providers::handler).with_state(catalog))
        .route(path::CONNECTIONS, list)
        .route(path::CONNECTION, sign_out)
        .route(
            path::CONNECTION_TOKEN,
            post(token::handler).with_state(tokens.get),
        )
        .route(
            path::CONNECTION_EXCHANGE,
            post(exchange::handler).with_state(tokens.exchange),
        )
        .route(
            path::CONNECTION_USERINFO,
            get(userinfo::handler).with_state(tokens.userinfo),
        )
        .route(path::SERVERS_STOPPED, stopped)
        .route(path::OPENAPI, get(openapi::handler));
    private(problem_fallbacks(routes))
}

/// What callback-server reaches; each request proves that it is callback-server.
pub fn internal(broker: Broker, shared_secrets: Vec<SharedSecret>) -> Router {
    let Broker {
        catalog,
        browsers,
        connections,
        ..
    } = broker;
    let site = get(internal::site).with_state(catalog);
    let logout = post(internal::backchannel_logout).with_state(connections.backchannel_logouts);
    let routes = steps(browsers)
        .into_iter()
        .fold(Router::new(), |routes, (path, step)| {
            routes.route(path, step)
        })
        .route(path::INTERNAL_SITE, site)
        .route(path::INTERNAL_BACKCHANNEL_LOGOUT, logout);
    let gate = middleware::from_fn_with_state(Arc::new(shared_secrets), channel::gate);
    private(problem_fallbacks(routes).layer(gate))
}

/// What browsers do, each step by its path.
fn steps(browsers: Browsers) -> [(&'static str, MethodRouter); 8] {
    let error_pages = browsers.error_pages;
    let start = Step::new(browsers.start, &error_pages);
    let hub_callback = Step::new(browsers.hub_callbacks, &error_pages);
    let view = Step::new(browsers.pages, &error_pages);
    let consent = Step::new(browsers.consent, &error_pages);
    let callback = Step::new(browsers.provider_callbacks, &error_pages);
    let confirm = Step::new(browsers.confirm, &error_pages);
    let mine = Step::new(browsers.my_connections, &error_pages);
    [
        (
            path::INTERNAL_START,
            post(internal::start).with_state(start),
        ),
        (
            path::INTERNAL_HUB_CALLBACK,
            post(internal::hub_callback).with_state(hub_callback),
        ),
        (path::INTERNAL_VIEW, post(internal::view).with_state(view)),
        (
            path::INTERNAL_CONTINUE,
            post(internal::r#continue).with_state(consent),
        ),
        (
            path::INTERNAL_CALLBACK,
            post(internal::callback).with_state(callback),
        ),
        (
            path::INTERNAL_CONFIRM,
            post(internal::confirm).with_state(confirm),
        ),
        (
            path::INTERNAL_CONNECTIONS,
            post(internal::my_connections).with_state(mine.clone()),
        ),
        (
            path::INTERNAL_END_CONNECTIONS,
            post(internal::end_connections).with_state(mine),
        ),
    ]
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
