//! `GET /v1/openapi.json`

mod errors;
mod variants;

use std::sync::LazyLock;

use http::header::CONTENT_TYPE;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{
    acknowledge, cancel, connections, create_sign_in, exchange, providers, server_stopped,
    sign_in_status, sign_out, token, userinfo,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "hubkey kernel API",
        description = "How a program in a JupyterHub single-user server gets access tokens of the person in front of it.",
        license(name = "Apache-2.0 OR MIT")
    ),
    paths(
        create_sign_in::handler, sign_in_status::handler, acknowledge::handler, cancel::handler,
        providers::handler, connections::handler, token::handler, exchange::handler, sign_out::handler,
        server_stopped::handler, userinfo::handler,
    ),
    components(schemas(hubkey_protocol::Problem, hubkey_protocol::Scope)),
    modifiers(&ServerToken)
)]
struct KernelApi;

/// Every request of a kernel carries its server's own token; the Hub's, that of the service.
struct ServerToken;

impl Modify for ServerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, description) in [
            ("server_token", "The server's JUPYTERHUB_API_TOKEN."),
            (
                "service_token",
                "The API token of the Hub's service hubkey.",
            ),
        ] {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(description))
                .build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// The OpenAPI document of the kernel API, as it is checked in under `docs/`. Made once.
#[must_use]
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut document = KernelApi::openapi();
        errors::add(&mut document);
        variants::name(&mut document);
        let mut text = document.to_pretty_json().unwrap_or_default();
        text.push('\n');
        text
    });
    &DOCUMENT
}

pub(super) async fn handler() -> ([(http::HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "application/json")], document())
}
