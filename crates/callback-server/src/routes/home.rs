//! `GET /`: for those who come without a link.

use axum::{extract::State, response::Response};
use http::StatusCode;

use crate::{
    answer,
    app::App,
    pages::{HOME, Notice},
};

pub(super) async fn home(State(app): State<App>) -> Response {
    let look = app.look();
    answer::page(
        &look,
        StatusCode::OK,
        &Notice::new(&look, HOME, None).leading_on(app.prefix()),
    )
}
