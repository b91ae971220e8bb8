//! The Hub.

use hubkey_protocol::secret::ClientSecret;
use hubkey_service::settings::{Reader, Section, value_type};

use super::authorities::{INSTEAD, read_ca};
use crate::hub::config::{HubConfig, HubConfigError};

pub(super) fn read(reader: &Reader, public_url: Option<&str>) -> Option<HubConfig> {
    let section = reader.section("hub");
    let api_url = section.required(
        "api_url",
        &value_type::WEB_URL,
        "The Hub's API, such as http://hub:8081/hub/api.",
    );
    let hub_url = section.required(
        "public_url",
        &value_type::WEB_URL,
        "The Hub as browsers see it.",
    );
    let api_token = section.secret(
        "api_token",
        ClientSecret::new,
        "The API token of the service hubkey in the Hub's configuration.",
    );
    let service_name = section.or(
        "service_name",
        &value_type::TEXT,
        "hubkey".to_owned(),
        "The name of that service.",
    );
    let server_scope = read_server_scope(&section);
    let allow_plaintext = section.or(
        "allow_plaintext",
        &value_type::BOOL,
        false,
        "Whether the Hub's API may be on another machine without TLS.",
    );
    let ca_pem = read_ca(&section, INSTEAD);
    let hub = HubConfig {
        api_url: api_url?,
        public_url: hub_url?,
        api_token: api_token?,
        client_id: format!("service-{service_name}"),
        service_name,
        redirect_uri: format!("{}/oauth_callback", public_url?),
        server_scope,
        allow_plaintext,
        ca_pem,
    };
    if let Err(error) = hub.check() {
        section.fail(key_of(error), &format!("{error}."));
    }
    Some(hub)
}

/// The scope that kernels must have; empty to do without.
fn read_server_scope(section: &Section<'_>) -> String {
    let scope = section.or(
        "server_scope",
        &value_type::TEXT,
        "custom:hubkey:kernel".to_owned(),
        "The scope that only single-user servers get; `none` to do without, which start-up warns of.",
    );
    if scope == "none" {
        String::new()
    } else {
        scope
    }
}

fn key_of(error: HubConfigError) -> &'static str {
    match error {
        HubConfigError::Url(name) => name,
        HubConfigError::Plaintext | HubConfigError::Tls => "api_url",
        HubConfigError::ApiToken => "api_token_file",
        HubConfigError::Certificates => "ca_file",
    }
}
