//! `GET /`: for those who come without a link.

use axum::{extract::State, response::Response};
use http::StatusCode;

use crate::{
    app::App,
    pages::{HOME, Notice},
    response,
};

pub(super) async fn home(State(app): State<App>) -> Response {
    let theme = app.theme();
    response::page(
        &theme,
        StatusCode::OK,
        &Notice::new(&theme, HOME, None).leading_on(app.prefix()),
    )
}
