//! How hubkey proves itself to a provider, and how it sends its authorization requests.

use hubkey_domain::provider::{ClientAuthentication, ParMode};
use hubkey_protocol::secret::ClientSecret;
use hubkey_service::settings::{Section, value_type};

use super::provider_key;

/// How hubkey proves itself, by its registered word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    None,
    Basic,
    Post,
    PrivateKey,
}

const METHOD: value_type::Enum<Method> = value_type::Enum(&[
    ("none", Method::None),
    ("client_secret_basic", Method::Basic),
    ("client_secret_post", Method::Post),
    ("private_key_jwt", Method::PrivateKey),
]);

const PUSHING: value_type::Enum<ParMode> = value_type::Enum(&[
    ("auto", ParMode::Auto),
    ("always", ParMode::Always),
    ("never", ParMode::Never),
]);

pub(super) fn read_par_mode(section: &Section<'_>) -> ParMode {
    section.or(
        "pushed_authorization",
        &PUSHING,
        ParMode::Auto,
        "Whether authorization requests are sent to the provider ahead of the browser (RFC 9126); `auto`: where its metadata offers that.",
    )
}

pub(super) fn read_authentication(section: &Section<'_>) -> Option<ClientAuthentication> {
    let method = section.or(
        "token_endpoint_auth_method",
        &METHOD,
        Method::Basic,
        "How hubkey proves itself at the token endpoint.",
    );
    let secret = section.optional_secret(
        "client_secret",
        ClientSecret::new,
        "The secret of hubkey's registration.",
    );
    let key = provider_key::read(section, method == Method::PrivateKey);
    match (method, secret, key) {
        (Method::None, None, None) => Some(ClientAuthentication::None),
        (Method::Basic, Some(secret), None) => Some(ClientAuthentication::Basic(secret)),
        (Method::Post, Some(secret), None) => Some(ClientAuthentication::Post(secret)),
        (Method::PrivateKey, None, Some(key)) => {
            provider_key::checked(section, key).map(ClientAuthentication::PrivateKey)
        }
        (method, secret, key) => {
            complain(section, method, secret.is_some(), key.is_some());
            None
        }
    }
}

fn complain(section: &Section<'_>, method: Method, has_secret: bool, has_key: bool) {
    let wants_secret = matches!(method, Method::Basic | Method::Post);
    let wants_key = method == Method::PrivateKey;
    match (wants_secret, has_secret) {
        (false, true) => section.fail(
            "client_secret_file",
            "remove it, or choose `client_secret_basic` or `client_secret_post` as `token_endpoint_auth_method`.",
        ),
        (true, false) => section.fail(
            "client_secret_file",
            "name a file that holds the secret, or set `token_endpoint_auth_method = \"none\"`.",
        ),
        _ => {}
    }
    match (wants_key, has_key) {
        (false, true) => section.fail(
            "private_key_file",
            "remove it, or set `token_endpoint_auth_method = \"private_key_jwt\"`.",
        ),
        (true, false) => section.fail(
            "private_key_file",
            "name a file that holds the private key as PEM.",
        ),
        _ => {}
    }
}
