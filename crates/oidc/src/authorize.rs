//! The URL that begins an authorization (RFC 6749 section 4.1.1).

use hubkey_domain::provider::ProviderConfig;
use hubkey_protocol::secret::{Secret, SecretUrl};
use openidconnect::{
    AuthUrl, AuthenticationFlow, ClientId, CsrfToken, IssuerUrl, JsonWebKeySet, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    core::{CoreClient, CoreResponseType},
};
use url::Url;

use crate::{AuthorizationRequest, IdpError, discovery::Metadata};

const LOGIN_HINT: &str = "login_hint";

/// Builds the URL. What stands in the endpoint's query stays.
pub(crate) fn url(
    config: &ProviderConfig,
    metadata: &Metadata,
    request: &AuthorizationRequest<'_>,
) -> Result<SecretUrl, IdpError> {
    let issuer =
        IssuerUrl::new(metadata.issuer.clone()).map_err(|_| IdpError::Misconfigured("issuer"))?;
    let redirect_uri = RedirectUrl::new(request.redirect_uri.to_owned())
        .map_err(|_| IdpError::Misconfigured("redirect_uri"))?;
    let client_id = ClientId::new(config.client_id.clone());
    let client = CoreClient::new(client_id, issuer, JsonWebKeySet::default())
        .set_auth_uri(AuthUrl::from_url(metadata.authorization.clone()))
        .set_redirect_uri(redirect_uri);
    let state = CsrfToken::new(request.state.expose().to_owned());
    let oidc_nonce = Nonce::new(request.oidc_nonce.expose().to_owned());
    let mut authorization = client
        .authorize_url(
            AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
            move || state,
            move || oidc_nonce,
        )
        .set_pkce_challenge(challenge(request)?)
        .add_scopes(further_scopes(request));
    let hint = request
        .login_hint
        .filter(|_| !is_set(LOGIN_HINT, config, metadata));
    let targets = [
        ("audience", request.audience),
        ("resource", request.resource),
        (LOGIN_HINT, hint),
    ];
    for (name, value) in targets {
        if let Some(value) = value {
            authorization = authorization.add_extra_param(name, value);
        }
    }
    for (name, value) in &config.extra_authorization_parameters {
        authorization = authorization.add_extra_param(name, value);
    }
    let (url, ..) = authorization.url();
    Ok(SecretUrl::new(url.as_str()))
}

/// Whether the operator or the provider has set a parameter already.
fn is_set(name: &str, config: &ProviderConfig, metadata: &Metadata) -> bool {
    let mut query = metadata.authorization.query_pairs();
    config.extra_authorization_parameters.contains_key(name) || query.any(|(set, _)| set == name)
}

/// As [`url()`], for a provider without OpenID Connect: no nonce, and no scope that nobody asked for.
pub(crate) fn oauth2_url(
    config: &ProviderConfig,
    endpoint: &Url,
    request: &AuthorizationRequest<'_>,
) -> Result<SecretUrl, IdpError> {
    let challenge = challenge(request)?;
    let scopes = request.scopes.to_oauth();
    let targets = [
        ("audience", request.audience),
        ("resource", request.resource),
        (
            "scope",
            Some(scopes.as_str()).filter(|scopes| !scopes.is_empty()),
        ),
    ];
    let targets = targets
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut url = endpoint.clone();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &config.client_id)
        .append_pair("redirect_uri", request.redirect_uri)
        .append_pair("state", request.state.expose())
        .append_pair("code_challenge", challenge.as_str())
        .append_pair("code_challenge_method", challenge.method())
        .extend_pairs(targets)
        .extend_pairs(&config.extra_authorization_parameters);
    Ok(SecretUrl::new(url.as_str()))
}

/// S256 (RFC 7636 section 4.2).
fn challenge(request: &AuthorizationRequest<'_>) -> Result<PkceCodeChallenge, IdpError> {
    let verifier = request.verifier.expose();
    // openidconnect panics on any other length.
    if !(43..=128).contains(&verifier.len()) {
        return Err(IdpError::Misconfigured("pkce_verifier"));
    }
    let verifier = PkceCodeVerifier::new(verifier.to_owned());
    Ok(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
}

/// All but `openid`, which openidconnect puts first.
fn further_scopes(request: &AuthorizationRequest<'_>) -> impl Iterator<Item = Scope> {
    let scopes = request.scopes.iter().map(hubkey_protocol::Scope::as_str);
    scopes
        .filter(|scope| *scope != "openid")
        .map(|scope| Scope::new(scope.to_owned()))
}
