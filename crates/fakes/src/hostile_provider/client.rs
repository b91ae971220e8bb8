//! Clients of the provider, and how strictly they must prove who they are.

use percent_encoding::percent_decode_str;

use super::assertion::RegisteredKey;
use super::keys::SigningKey;
use crate::fake_http::Captured;

/// How a client authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// A public client.
    None,
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
    /// `private_key_jwt`
    PrivateKey,
}

/// A registered client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret; not looked at where the method is `None`.
    pub secret: String,
    /// The one method that it may use.
    pub auth: ClientAuth,
    /// Its redirect URI, compared for equality; without one, any is right.
    pub redirect_uri: Option<String>,
    /// The key of `private_key_jwt`.
    pub key: Option<RegisteredKey>,
}

impl Client {
    /// A public client.
    #[must_use]
    pub fn public(id: &str) -> Self {
        Self {
            id: id.into(),
            secret: String::new(),
            auth: ClientAuth::None,
            redirect_uri: None,
            key: None,
        }
    }

    /// A client with `client_secret_basic`.
    #[must_use]
    pub fn basic(id: &str, secret: &str) -> Self {
        Self {
            secret: secret.into(),
            auth: ClientAuth::Basic,
            ..Self::public(id)
        }
    }

    /// A client with `client_secret_post`.
    #[must_use]
    pub fn post(id: &str, secret: &str) -> Self {
        Self {
            secret: secret.into(),
            auth: ClientAuth::Post,
            ..Self::public(id)
        }
    }

    /// A client with `private_key_jwt`: statements to this issuer, signed with this key and its algorithm.
    #[must_use]
    pub fn private_key(id: &str, key: &SigningKey, issuer: &str) -> Self {
        Self {
            auth: ClientAuth::PrivateKey,
            key: Some(RegisteredKey::new(key, issuer)),
            ..Self::public(id)
        }
    }

    /// With this redirect URI and no other.
    #[must_use]
    pub fn redirect_uri(mut self, uri: &str) -> Self {
        self.redirect_uri = Some(uri.to_owned());
        self
    }

    /// Whether the request authenticates this client by its method, and tries no second one.
    pub(super) fn authenticates(&self, request: &Captured) -> bool {
        let in_form = request.form_value("client_id").as_deref() == Some(self.id.as_str());
        let secret = request.form_value("client_secret");
        let header = request.authorization().is_some();
        match self.auth {
            ClientAuth::None => in_form && !header && secret.is_none(),
            ClientAuth::Post => in_form && !header && secret.as_ref() == Some(&self.secret),
            ClientAuth::PrivateKey => {
                let proven = self
                    .key
                    .as_ref()
                    .is_some_and(|key| key.takes(&self.id, request));
                !header && secret.is_none() && proven
            }
            ClientAuth::Basic => {
                let expected = (self.id.clone(), self.secret.clone());
                secret.is_none() && basic(request) == Some(expected)
            }
        }
    }
}

/// The id that a request claims, by header or form.
pub(super) fn claimed_id(request: &Captured) -> Option<String> {
    basic(request)
        .map(|(id, _)| id)
        .or_else(|| request.form_value("client_id"))
}

/// RFC 6749, 2.3.1: id and secret are form-encoded before base64. What came without that is refused, and so is `+` for
/// a space, which real providers do not understand.
fn basic(request: &Captured) -> Option<(String, String)> {
    let (id, secret) = request.basic_credentials()?;
    Some((form_decoded(&id)?, form_decoded(&secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~*%".contains(&byte);
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    let escapes = text.matches('%').count();
    // A percent sign that begins no escape stays, and then fewer bytes disappear than escapes were counted.
    let whole = text.len() - decoded.len() == 2 * escapes;
    (text.bytes().all(plain) && whole).then(|| decoded.into_owned())
}
