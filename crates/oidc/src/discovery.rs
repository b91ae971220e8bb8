//! A provider's metadata (OpenID Connect Discovery 1.0 section 4, RFC 8414).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hubkey_domain::{
    clock::Clock,
    provider::{Endpoints, ProviderConfig},
    random::RandomSource,
};
use hubkey_protocol::{ProviderId, ProviderStatus, provider_rules::ProviderRule};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::{
    IdpError,
    algorithm::Algorithm,
    cached_document::CachedDocument,
    http_client::{Answer, EgressPolicy, Endpoint, HttpClient},
    json, parameters,
};

#[cfg(test)]
mod tests;

const HOUR: Duration = Duration::from_hours(1);

/// What hubkey goes by, judged.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(crate) authorization: Url,
    pub(crate) token: Url,
    pub(crate) jwks: Url,
    pub(crate) userinfo: Option<Url>,
    pub(crate) revocation: Option<Url>,
    /// What ID tokens may be signed with.
    pub(crate) algorithms: Vec<Algorithm>,
    /// Whether every authorization response names its issuer (RFC 9207 section 3).
    pub(crate) names_issuer: bool,
    /// Where authorization requests may be pushed to (RFC 9126 section 5).
    pub(crate) pushed: Option<Url>,
    /// Whether they must be.
    pub(crate) must_push: bool,
}

/// The members that hubkey reads, as they are sent; each says where secrets go, or which key or answer is believed, so
/// none may be of another type. One that is `null` is absent.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    userinfo_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
    pushed_authorization_request_endpoint: Option<Url>,
    require_pushed_authorization_requests: Option<bool>,
}

/// Knows one provider's metadata.
#[derive(Debug)]
pub(crate) struct Directory {
    source: Source,
    cached: CachedDocument<Metadata>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
}

#[derive(Debug)]
enum Source {
    Explicit(Arc<Metadata>),
    Discovered(Box<Discovery>),
}

#[derive(Debug)]
struct Discovery {
    issuer: String,
    url: Url,
    rules: Rules,
    /// Where codes and secrets went first. Elsewhere they never go.
    token_host: OnceLock<String>,
}

/// What the settings say about any metadata.
#[derive(Debug)]
struct Rules {
    provider: ProviderId,
    policy: Arc<EgressPolicy>,
    hosts: Vec<String>,
    algorithms: Vec<Algorithm>,
    parameters: Vec<String>,
    /// Endpoints that stand in place of those of the metadata.
    userinfo: Option<Url>,
    revocation: Option<Url>,
}

impl Directory {
    pub(crate) fn new(
        config: &ProviderConfig,
        policy: Arc<EgressPolicy>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn RandomSource>,
    ) -> Result<Self, IdpError> {
        let issuer = issuer_url(config.endpoints.issuer())?;
        let rules = Rules::new(config, policy, &issuer)?;
        let source = match &config.endpoints {
            Endpoints::Explicit { .. } => Source::Explicit(Arc::new(rules.given(config)?)),
            // It has no metadata.
            Endpoints::OAuth2(_) => return Err(IdpError::Misconfigured("endpoints")),
            Endpoints::Discovered { issuer, .. } => Source::Discovered(Box::new(Discovery {
                issuer: issuer.clone(),
                url: well_known(issuer)?,
                rules,
                token_host: OnceLock::new(),
            })),
        };
        Ok(Self {
            source,
            // A day-old document is better than none; one that breaks a rule is not.
            cached: CachedDocument::new(|failure| {
                failure == IdpError::Unavailable || failure == NOT_FOUND
            }),
            clock,
            chance,
        })
    }

    /// The metadata, asked for at most once an hour.
    pub(crate) async fn metadata(&self, http: &HttpClient) -> Result<Arc<Metadata>, IdpError> {
        let discovery = match &self.source {
            Source::Explicit(metadata) => return Ok(Arc::clone(metadata)),
            Source::Discovered(discovery) => discovery,
        };
        let lifetime = self.lifetime();
        let fetch = async { Ok((discovery.fetch(http).await?, lifetime)) };
        self.cached.fresh(self.clock.now(), fetch).await
    }

    pub(crate) fn status(&self) -> ProviderStatus {
        match (&self.source, self.cached.outcome()) {
            (Source::Explicit(_), _) | (_, Some(Ok(()))) => ProviderStatus::Ready,
            (_, Some(Err(_))) => ProviderStatus::Unavailable,
            (_, None) => ProviderStatus::Unknown,
        }
    }

    /// An hour, give or take a tenth: replicas that started together do not ask together for ever.
    fn lifetime(&self) -> Duration {
        let mut byte = [0];
        self.chance.fill(&mut byte);
        HOUR * (230 + u32::from(byte[0]) / 5) / 256
    }
}

impl Discovery {
    async fn fetch(&self, http: &HttpClient) -> Result<Metadata, IdpError> {
        let answer = http.get(Endpoint::Discovery, &self.url, None).await?;
        let metadata = self.judge(&answer)?;
        let host = metadata.token.host_str().unwrap_or_default();
        if self.token_host.get_or_init(|| host.to_owned()) != host {
            tracing::error!(
                provider = self.rules.provider.as_str(),
                "The provider's metadata names another host as token endpoint than before; nothing is sent there. \
                 Restart the broker if the move is genuine."
            );
            return Err(IdpError::RuleBroken(ProviderRule::TokenEndpointHostChanged));
        }
        Ok(metadata)
    }

    fn judge(&self, answer: &Answer) -> Result<Metadata, IdpError> {
        match answer.status {
            StatusCode::OK => {}
            status if status.is_redirection() => {
                return Err(IdpError::RuleBroken(ProviderRule::MetadataRedirected));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                return Err(IdpError::Unavailable);
            }
            status if status.is_client_error() => return Err(self.not_found(status)),
            _ => return Err(IdpError::Unavailable),
        }
        if !answer.is_json() {
            return Err(IdpError::RuleBroken(ProviderRule::MetadataContentType));
        }
        let document = json::object(&answer.body)
            .map_err(|_| IdpError::RuleBroken(ProviderRule::MetadataJson))?;
        let document = serde_json::from_value(Value::Object(document))
            .map_err(|_| IdpError::RuleBroken(ProviderRule::MetadataMembers))?;
        self.rules.accept(document, &self.issuer)
    }
}

impl Discovery {
    /// Most often the issuer in the settings is not the provider's.
    fn not_found(&self, status: StatusCode) -> IdpError {
        tracing::warn!(
            provider = self.rules.provider.as_str(),
            issuer = self.issuer,
            url = self.url.as_str(),
            status = status.as_u16(),
            "The provider has no metadata where its issuer says. Set `issuer` to what the provider calls its issuer, to the \
             letter."
        );
        NOT_FOUND
    }
}

/// The provider answers, and has no metadata where they have to be.
const NOT_FOUND: IdpError = IdpError::RuleBroken(ProviderRule::MetadataNotFound);

impl Rules {
    fn new(
        config: &ProviderConfig,
        policy: Arc<EgressPolicy>,
        issuer: &Url,
    ) -> Result<Self, IdpError> {
        policy
            .check_form(issuer)
            .map_err(|_| IdpError::Misconfigured("issuer"))?;
        let mut hosts: Vec<String> = config
            .outbound
            .allowed_endpoint_hosts
            .iter()
            .map(|host| host.to_ascii_lowercase())
            .collect();
        hosts.extend(issuer.host_str().map(str::to_owned));
        let (userinfo, revocation) = match &config.endpoints {
            Endpoints::Discovered {
                userinfo,
                revocation,
                ..
            } => (userinfo.clone(), revocation.clone()),
            Endpoints::Explicit { .. } | Endpoints::OAuth2(_) => (None, None),
        };
        Ok(Self {
            userinfo,
            revocation,
            provider: config.id.clone(),
            policy,
            hosts,
            algorithms: configured_algorithms(&config.id_token.algorithms)?,
            parameters: config
                .extra_authorization_parameters
                .keys()
                .cloned()
                .collect(),
        })
    }

    fn accept(&self, document: Document, issuer: &str) -> Result<Metadata, IdpError> {
        if document.issuer.contains('{') {
            tracing::warn!(
                provider = self.provider.as_str(),
                configured = issuer,
                published = shown(&document.issuer),
                "The provider's metadata are for several tenants: their issuer has a variable, and an ID token names one \
                 tenant. Write an entry for each tenant, with that tenant's own issuer."
            );
            return Err(IdpError::RuleBroken(ProviderRule::MetadataIssuer));
        }
        // Byte by byte: no folding of case or slashes (Discovery 1.0 section 4.3).
        if document.issuer != issuer {
            tracing::warn!(
                provider = self.provider.as_str(),
                configured = issuer,
                published = shown(&document.issuer),
                "The provider's metadata are of another issuer than the settings name; they have to be equal to the letter, \
                 slashes too. Set `issuer` to the published one if that is the provider meant."
            );
            return Err(IdpError::RuleBroken(ProviderRule::MetadataIssuer));
        }
        let methods = document.code_challenge_methods_supported;
        if methods.is_some_and(|methods| {
            !methods.is_empty() && !methods.iter().any(|method| method == "S256")
        }) {
            return Err(IdpError::RuleBroken(ProviderRule::PkceS256));
        }
        let metadata = Metadata {
            issuer: document.issuer,
            authorization: document.authorization_endpoint,
            token: document.token_endpoint,
            jwks: document.jwks_uri,
            userinfo: self.userinfo.clone().or(document.userinfo_endpoint),
            revocation: self.revocation.clone().or(document.revocation_endpoint),
            algorithms: self.algorithms(document.id_token_signing_alg_values_supported)?,
            names_issuer: document
                .authorization_response_iss_parameter_supported
                .unwrap_or_default(),
            pushed: document.pushed_authorization_request_endpoint,
            must_push: document
                .require_pushed_authorization_requests
                .unwrap_or_default(),
        };
        self.check_endpoints(&metadata)?;
        Ok(metadata)
    }

    fn check_endpoints(&self, metadata: &Metadata) -> Result<(), IdpError> {
        let optional = [&metadata.userinfo, &metadata.revocation, &metadata.pushed];
        let called = [&metadata.token, &metadata.jwks]
            .into_iter()
            .chain(optional.into_iter().flatten());
        for url in called.clone().chain([&metadata.authorization]) {
            let host = url.host_str().unwrap_or_default();
            if !self.hosts.iter().any(|known| known == host) {
                tracing::warn!(
                    provider = self.provider.as_str(),
                    host = host.get(..64).unwrap_or(host),
                    "An endpoint of the provider lies on another host than its issuer. If that is right, add the \
                     host to allowed_endpoint_hosts."
                );
                return Err(IdpError::RuleBroken(ProviderRule::EndpointHost));
            }
        }
        for url in called {
            self.policy
                .check(url)
                .map_err(|_| IdpError::RuleBroken(ProviderRule::EndpointUrl))?;
        }
        self.policy
            .check_form(&metadata.authorization)
            .map_err(|_| IdpError::RuleBroken(ProviderRule::EndpointUrl))?;
        parameters::check_endpoint(&metadata.authorization, &self.parameters)
    }

    /// The settings' algorithms, else the asymmetric ones that are advertised, else RS256 (Core 1.0 section 2).
    fn algorithms(&self, advertised: Option<Vec<String>>) -> Result<Vec<Algorithm>, IdpError> {
        if !self.algorithms.is_empty() {
            return Ok(self.algorithms.clone());
        }
        let Some(advertised) = advertised else {
            return Ok(vec![Algorithm::Rs256]);
        };
        let known: Vec<_> = advertised
            .iter()
            .filter_map(|name| Algorithm::parse(name))
            .collect();
        if known.is_empty() {
            return Err(IdpError::RuleBroken(ProviderRule::IdTokenAlgorithms));
        }
        Ok(known)
    }

    fn given(&self, config: &ProviderConfig) -> Result<Metadata, IdpError> {
        let Endpoints::Explicit {
            issuer,
            authorization,
            token,
            jwks,
            userinfo,
            revocation,
        } = &config.endpoints
        else {
            return Err(IdpError::Misconfigured("endpoints"));
        };
        let metadata = Metadata {
            issuer: issuer.clone(),
            authorization: authorization.clone(),
            token: token.clone(),
            jwks: jwks.clone(),
            userinfo: userinfo.clone(),
            revocation: revocation.clone(),
            algorithms: self.algorithms(None)?,
            names_issuer: false,
            pushed: None,
            must_push: false,
        };
        self.check_endpoints(&metadata)?;
        Ok(metadata)
    }
}

/// The start of what a provider says of itself; enough to compare it by eye.
fn shown(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(200)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}

fn configured_algorithms(names: &[String]) -> Result<Vec<Algorithm>, IdpError> {
    names
        .iter()
        .map(|name| Algorithm::parse(name).ok_or(IdpError::Misconfigured("id_token_algorithms")))
        .collect()
}

/// An issuer has neither query nor fragment (Discovery 1.0 section 3).
pub(crate) fn issuer_url(issuer: &str) -> Result<Url, IdpError> {
    Url::parse(issuer)
        .ok()
        .filter(|url| url.has_host() && url.query().is_none() && url.fragment().is_none())
        .ok_or(IdpError::Misconfigured("issuer"))
}

fn well_known(issuer: &str) -> Result<Url, IdpError> {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    Url::parse(&format!("{issuer}/.well-known/openid-configuration"))
        .map_err(|_| IdpError::Misconfigured("issuer"))
}
