//! A provider as the operator configured it.

use std::{collections::BTreeMap, time::Duration};

use hubkey_protocol::{
    ProviderId, Scope, Scopes,
    secret::{ClientKey, ClientSecret, ProxyPassword},
};
use url::Url;

use crate::derived_token::DerivedTokenKey;

/// One configured provider.
#[derive(Debug)]
pub struct ProviderConfig {
    /// Its short name.
    pub id: ProviderId,
    /// Its name for people.
    pub display_name: String,
    /// Where its endpoints are.
    pub endpoints: Endpoints,
    /// hubkey's registration.
    pub client_id: String,
    /// How hubkey proves itself there.
    pub token_endpoint_auth_method: ClientAuthentication,
    /// Whether authorization requests are pushed.
    pub par_mode: ParMode,
    /// What may be asked for.
    pub scope_policy: ScopePolicy,
    /// What its tokens may be exchanged for.
    pub token_exchange: ExchangeOffer,
    /// Fixed extra parameters of the authorization request, such as `prompt` or `kc_idp_hint`. Never one that hubkey
    /// sets itself.
    pub extra_authorization_parameters: BTreeMap<String, String>,
    /// The origins that its tokens are sent to.
    pub api_origins: Vec<String>,
    /// Which account fits which hub user.
    pub account_policy: IdentityPolicy,
    /// The domains that the account's verified e-mail address may be of; any account where empty.
    pub allowed_email_domains: Vec<String>,
    /// What a connection belongs to.
    pub connection_scope: ConnectionScope,
    /// The rules for its ID tokens.
    pub id_token: IdTokenRules,
    /// The rules for reaching it.
    pub outbound: OutboundRules,
}

/// What a kernel may have a provider's tokens exchanged for (RFC 8693): nothing, unless the operator says so.
#[derive(Debug, Clone, Default)]
pub struct ExchangeOffer {
    /// The audiences.
    pub allowed_audiences: Vec<String>,
    /// The resources.
    pub allowed_resources: Vec<String>,
    /// The scopes.
    pub allowed_scopes: Scopes,
    /// Those of an audience, resource or issuer that are asked for when a kernel names none.
    pub default_scopes: Vec<(String, Scope)>,
    /// The origins that a token for an audience, resource or issuer may be sent to.
    pub api_origins: Vec<(String, String)>,
    /// The providers behind this one.
    pub requested_issuers: Vec<String>,
    /// How their tokens are come by.
    pub requested_issuer_method: RequestedIssuerMethod,
}

impl ExchangeOffer {
    /// Whether nothing can be asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allowed_audiences.is_empty()
            && self.allowed_resources.is_empty()
            && self.requested_issuers.is_empty()
    }

    /// Where a token for this target is sent.
    #[must_use]
    pub fn origins_of(&self, target: &DerivedTokenKey) -> Vec<String> {
        of(target, &self.api_origins).cloned().collect()
    }

    /// What is asked for where a kernel names no scopes; absent where the operator did not say.
    #[must_use]
    pub fn default_scopes_of(&self, target: &DerivedTokenKey) -> Option<Scopes> {
        let scopes: Scopes = of(target, &self.default_scopes).cloned().collect();
        (!scopes.is_empty()).then_some(scopes)
    }
}

/// What stands beside the names of a target.
fn of<'a, T>(target: &'a DerivedTokenKey, pairs: &'a [(String, T)]) -> impl Iterator<Item = &'a T> {
    let names = [&target.audience, &target.resource, &target.requested_issuer];
    let of_it = move |name: &String| names.iter().any(|own| own.as_ref() == Some(name));
    let pairs = pairs.iter().filter(move |(name, _)| of_it(name));
    pairs.map(|(_, value)| value)
}

/// How the token of a provider behind a provider is come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestedIssuerMethod {
    /// By a token exchange with the parameter `requested_issuer`, as Keycloak's legacy exchange takes it.
    #[default]
    Exchange,
    /// At Keycloak's endpoint for stored tokens, `<issuer>/broker/<alias>/token`.
    BrokerToken,
}

/// What a kernel may ask for at a provider.
#[derive(Debug, Clone, Default)]
pub struct ScopePolicy {
    /// Asked for when a kernel names no scopes.
    pub default_scopes: Scopes,
    /// What a kernel may ask for; holds the default ones.
    pub allowed_scopes: Scopes,
    /// What each scope permits, in words for people.
    pub scope_descriptions: BTreeMap<Scope, String>,
    /// Sent when a kernel names none.
    pub default_audience: Option<String>,
    /// What a kernel may name.
    pub allowed_audiences: Vec<String>,
    /// Sent when a kernel names none (RFC 8707).
    pub default_resource: Option<String>,
    /// What a kernel may name.
    pub allowed_resources: Vec<String>,
}

/// Where a provider's endpoints are.
#[derive(Debug, Clone)]
pub enum Endpoints {
    /// To be read from the issuer's metadata (OpenID Connect Discovery 1.0 section 4).
    Discovered {
        /// Compared byte by byte, so kept as written.
        issuer: String,
        /// The userinfo endpoint, in place of that of the metadata.
        userinfo: Option<Url>,
        /// The revocation endpoint (RFC 7009), in place of that of the metadata.
        revocation: Option<Url>,
    },
    /// Given.
    Explicit {
        /// What ID tokens and redirects must name.
        issuer: String,
        /// The authorization endpoint; may have a query.
        authorization: Url,
        /// The token endpoint.
        token: Url,
        /// The key set.
        jwks: Url,
        /// The userinfo endpoint.
        userinfo: Option<Url>,
        /// The revocation endpoint (RFC 7009).
        revocation: Option<Url>,
    },
    /// Given, of a provider without OpenID Connect.
    OAuth2(OAuth2Endpoints),
}

/// Where a provider without OpenID Connect is asked, and for whom.
#[derive(Debug, Clone)]
pub struct OAuth2Endpoints {
    /// The name under which its accounts are known here.
    pub issuer: String,
    /// The authorization endpoint; may have a query.
    pub authorization: Url,
    /// The token endpoint.
    pub token: Url,
    /// The API that says whose an access token is.
    pub userinfo: Url,
    /// The revocation endpoint (RFC 7009).
    pub revocation: Option<Url>,
    /// Which member of its answer is the account; dots lead into objects.
    pub subject_field: String,
}

impl Endpoints {
    /// The issuer, as the operator wrote it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        match self {
            Self::Discovered { issuer, .. } | Self::Explicit { issuer, .. } => issuer,
            Self::OAuth2(oauth2) => &oauth2.issuer,
        }
    }

    /// The configured URLs that something is sent to, each under the name of its key.
    #[must_use]
    pub fn urls(&self) -> Vec<(&'static str, Url)> {
        let named = match self {
            Self::Discovered {
                issuer,
                userinfo,
                revocation,
            } => vec![
                ("issuer", Url::parse(issuer).ok()),
                ("userinfo_endpoint", userinfo.clone()),
                ("revocation_endpoint", revocation.clone()),
            ],
            Self::Explicit {
                authorization,
                token,
                jwks,
                userinfo,
                revocation,
                ..
            } => vec![
                ("authorization_endpoint", Some(authorization.clone())),
                ("token_endpoint", Some(token.clone())),
                ("jwks_uri", Some(jwks.clone())),
                ("userinfo_endpoint", userinfo.clone()),
                ("revocation_endpoint", revocation.clone()),
            ],
            Self::OAuth2(oauth2) => vec![
                ("authorization_endpoint", Some(oauth2.authorization.clone())),
                ("token_endpoint", Some(oauth2.token.clone())),
                ("userinfo_endpoint", Some(oauth2.userinfo.clone())),
                ("revocation_endpoint", oauth2.revocation.clone()),
            ],
        };
        let given = |(key, url): (_, Option<Url>)| Some((key, url?));
        named.into_iter().filter_map(given).collect()
    }
}

/// How hubkey proves itself at a token endpoint (RFC 6749 section 2.3).
#[derive(Debug, Clone)]
pub enum ClientAuthentication {
    /// A public client: PKCE alone.
    None,
    /// `client_secret_basic`
    Basic(ClientSecret),
    /// `client_secret_post`
    Post(ClientSecret),
    /// `private_key_jwt`
    PrivateKey(AssertionKey),
}

/// The key of `private_key_jwt` (RFC 7523).
#[derive(Debug, Clone)]
pub struct AssertionKey {
    /// As PEM, PKCS#8 (RSA keys also PKCS#1).
    pub pem: ClientKey,
    /// What the provider calls it.
    pub id: Option<String>,
    /// What it signs with; by the kind of the key where absent.
    pub algorithm: Option<String>,
    /// Where its public half is published: the keys that are published beside it, but do not sign (yet, or any more).
    pub published_with: Option<Vec<ClientKey>>,
}

/// Whether authorization requests are pushed (RFC 9126).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParMode {
    /// Where the provider's metadata offers or asks for it.
    #[default]
    Auto,
    /// Always; a provider that does not offer it is not used.
    Always,
    /// Never; a provider that asks for it is not used.
    Never,
}

/// Which account at a provider fits which hub user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityPolicy {
    /// The first one that the person confirms; one account belongs to one hub user.
    Confirm,
    /// The one whose claim of this name equals the hub user's name.
    Claim(String),
    /// Any. Spelled `i-accept-account-mixups` in the settings.
    Unchecked,
}

/// What a connection belongs to, and so who shares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionScope {
    /// One server: its kernels share it.
    Server,
    /// A hub user: all servers of theirs share it.
    User,
    /// The sign-in that made it: each `connect()` of a kernel asks anew.
    SignIn,
}

/// The rules for a provider's ID tokens, where OpenID Connect Core 1.0 section 3.1.3.7 leaves a choice.
#[derive(Debug, Clone)]
pub struct IdTokenRules {
    /// Signature algorithms to accept; what the metadata advertises where empty.
    pub algorithms: Vec<String>,
    /// Further audiences that may stand beside the client id.
    pub additional_audiences: Vec<String>,
    /// How far clocks may differ, at most 300 s.
    pub clock_skew: Duration,
    /// Whether to read userinfo after the code exchange.
    pub fetch_userinfo: bool,
}

/// The rules for reaching a provider: TLS, private addresses, hosts beside the issuer's, a proxy.
#[derive(Debug, Clone, Default)]
pub struct OutboundRules {
    /// Whether http URLs are permitted beyond loopback.
    pub allow_plaintext: bool,
    /// Hosts that may resolve to private addresses.
    pub allow_private_hosts: Vec<String>,
    /// Hosts, beside the issuer's, that endpoints may lie on.
    pub allowed_endpoint_hosts: Vec<String>,
    /// PEM certificates of authorities that are trusted beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// The proxy that leads there; directly where absent.
    pub proxy: Option<OutboundProxy>,
}

/// A proxy that is asked for tunnels (`CONNECT`, RFC 9110 section 9.3.6).
#[derive(Debug, Clone)]
pub struct OutboundProxy {
    /// http or https, with a host and a port, and without credentials.
    pub url: Url,
    /// Where it asks for some.
    pub credentials: Option<ProxyCredentials>,
}

/// The user and the password of `Basic` (RFC 7617).
#[derive(Debug, Clone)]
pub struct ProxyCredentials {
    /// Without a colon.
    pub user: String,
    /// Goes to the proxy only.
    pub password: ProxyPassword,
}
