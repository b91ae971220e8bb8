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

/// Says what does not fit together, and what would: once for each thing that is wrong.
fn complain(section: &Section<'_>, method: Method, has_secret: bool, has_key: bool) {
    match (method, has_secret, has_key) {
        (Method::None, true, true) => section.fail(
            "token_endpoint_auth_method",
            "choose one way, and set only what it needs: `client_secret_file` or `private_key_file`.",
        ),
        (Method::None | Method::PrivateKey, true, false) => section.fail(
            "token_endpoint_auth_method",
            "choose `client_secret_basic` or `client_secret_post`, since `client_secret_file` is set.",
        ),
        (Method::None | Method::Basic | Method::Post, false, true) => section.fail(
            "token_endpoint_auth_method",
            "set it to `private_key_jwt`, since `private_key_file` is set.",
        ),
        (Method::Basic | Method::Post, true, true) => section.fail(
            "private_key_file",
            "remove it, or set `token_endpoint_auth_method = \"private_key_jwt\"` and remove `client_secret_file`.",
        ),
        (Method::PrivateKey, true, true) => section.fail(
            "client_secret_file",
            "remove it: `private_key_jwt` proves hubkey by its key.",
        ),
        (Method::Basic | Method::Post, false, false) => section.fail(
            "client_secret_file",
            "name a file that holds the secret, or set `token_endpoint_auth_method = \"none\"`.",
        ),
        (Method::PrivateKey, false, false) => section.fail(
            "private_key_file",
            "name a file that holds the private key as PEM.",
        ),
        // These fit together.
        (Method::None, false, false)
        | (Method::Basic | Method::Post, true, false)
        | (Method::PrivateKey, false, true) => {}
    }
}
