//! The routes, all below the path of the public URL. Each hands what the browser sent to the broker and shows what the
//! broker says; nothing is decided here.

mod backchannel_logout;
mod browser;
mod callback;
mod connections;
mod decision;
mod fallbacks;
mod form;
mod home;
mod hub_callback;
mod key_set;
mod start;
mod view;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    middleware,
    routing::{MethodRouter, get, post},
};
use hubkey_protocol::{bounds::Bound, path};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{app::App, headers, response};

/// All routes, with the Fetch Metadata check before those for browsers and the headers of the module `headers` on every answer.
pub fn router(app: &App) -> Router {
    let for_panics = app.clone();
    table(app.prefix())
        .layer(middleware::from_fn_with_state(
            app.clone(),
            fallbacks::fetch_metadata_guard,
        ))
        // No browser comes there, so Fetch Metadata says nothing.
        .merge(from_providers(app.prefix()))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            fallbacks::oversized_head,
        ))
        .layer(CatchPanicLayer::custom(move |_| {
            response::internal_error(&for_panics)
        }))
        .layer(middleware::map_response(headers::complete))
        .with_state(app.clone())
}

/// The table. `prefix` is the path of the public URL.
fn table(prefix: &str) -> Router<App> {
    let at = |path: &str| format!("{prefix}{path}");
    let table = Router::new()
        // Where people come from their notebook, from the Hub and from a provider.
        .route(&at(path::PAGE_START), page(start::start))
        .route(
            &at(path::PAGE_HUB_CALLBACK),
            page(hub_callback::hub_callback),
        )
        .route(&at(path::PAGE_CALLBACK), page(callback::callback))
        // What they see and decide.
        .route(&at(path::PAGE_VIEW), page(view::view))
        .route(&at(path::PAGE_CONTINUE), form(decision::continue_))
        .route(&at(path::PAGE_CONFIRM), form(decision::confirm))
        .route(&at(path::PAGE_CONNECTIONS), page(connections::connections))
        .route(&at(path::PAGE_MY_CONNECTIONS), page(connections::view))
        .route(&at(path::PAGE_END_CONNECTIONS), form(connections::end))
        .route(&at("/"), page(home::home));
    let table = if prefix.is_empty() {
        table
    } else {
        table.route(prefix, page(home::home))
    };
    table
        .fallback(fallbacks::not_found)
        .layer(DefaultBodyLimit::max(Bound::Body.limit()))
}

/// What providers send and read by themselves, without a browser. `prefix` as above.
fn from_providers(prefix: &str) -> Router<App> {
    let at = |path: &str| format!("{prefix}{path}");
    Router::new()
        .route(
            &at(path::BACKCHANNEL_LOGOUT),
            form(backchannel_logout::backchannel_logout),
        )
        .route(&at(path::KEY_SET), page(key_set::key_set))
        .layer(DefaultBodyLimit::max(Bound::Body.limit()))
}

/// Shown on GET. HEAD is refused: axum would run the handler for it, and a handler may spend a one-time value.
fn page<H: Handler<T, App>, T: 'static>(handler: H) -> MethodRouter<App> {
    get(handler)
        .head(fallbacks::only_get)
        .fallback(fallbacks::only_get)
}

/// Sent by POST.
fn form<H: Handler<T, App>, T: 'static>(handler: H) -> MethodRouter<App> {
    post(handler).fallback(fallbacks::only_post)
}
