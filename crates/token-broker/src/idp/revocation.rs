//! Telling a provider to forget tokens (RFC 7009).

use hubkey_protocol::secret::{AccessToken, RefreshToken, Secret};
use url::Url;

use super::{
    outbound::{Endpoint, Outbound},
    registration::Registration,
};

/// The refresh token first: at many providers its end is the end of all.
pub(super) async fn revoke(
    (url, registration): (&Url, &Registration),
    outbound: &Outbound,
    access_token: &AccessToken,
    refresh_token: Option<&RefreshToken>,
) {
    let refresh_token = refresh_token.map(|token| (token.expose(), "refresh_token"));
    let tokens = refresh_token
        .into_iter()
        .chain([(access_token.expose(), "access_token")]);
    for (token, hint) in tokens {
        let pairs = [("token", token), ("token_type_hint", hint)];
        if let Ok(form) = registration.form(&pairs) {
            // What comes back changes nothing here; the metric has it.
            let _ = outbound.post(Endpoint::Revocation, url, form).await;
        }
    }
}
