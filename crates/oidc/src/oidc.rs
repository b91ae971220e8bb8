//! An OpenID provider: the pieces put together.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hubkey_domain::{
    clock::{Clock, Timestamp},
    connection::{Grant, Unverified},
    provider::ProviderConfig,
    random::RandomSource,
    refusal::Refusal,
    token_set::TokenSet,
};
use hubkey_protocol::{
    ProviderStatus, Scopes,
    provider_rules::{ProviderRule, RuleGroup},
    secret::{AccessToken, LogoutToken, RefreshToken, Secret},
};
use serde_json::Value;
use tokio::{sync::Semaphore, time::timeout};
use url::Url;

use crate::{
    Authorization, AuthorizationRequest, Exchange, ExchangeError, Granted, IdentityProvider,
    IdpError, Known, Logout, Redemption, RefreshError, Refreshable, Refreshed, RevocationOutcome,
    VerifyError, account,
    algorithm::Algorithm,
    authorize,
    client_auth::ClientAuth,
    discovery::{Directory, Metadata, issuer_url},
    exchange,
    http_client::{EgressPolicy, Endpoint, HttpClient, is_loopback},
    id_token::{self, Expected, Transaction},
    jwt::{Claims, UnverifiedJwt},
    keyring::{Keyring, Origin},
    logout_token, par, parameters, refresh, revocation,
    token::{self, ResponseDialect, TokenEndpoint, TokenResponse},
    userinfo,
};

/// A provider that speaks OpenID Connect.
#[derive(Debug)]
pub struct OidcProvider {
    config: ProviderConfig,
    /// `max_age` among the authorize parameters.
    max_age: Option<u64>,
    /// `acr_values` among the authorize parameters.
    contexts: Vec<String>,
    client_auth: ClientAuth,
    http: HttpClient,
    directory: Directory,
    keyring: Keyring,
    clock: Arc<dyn Clock>,
    /// For kernels that ask for userinfo: they take no more of the provider's slots than these, and sign-ins and
    /// refreshes have the others.
    kernels_userinfo: Semaphore,
}

/// Takes a provider as configured. Asks nothing of it: one that is down does not keep the broker from starting.
pub fn provider(
    config: ProviderConfig,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
) -> Result<OidcProvider, IdpError> {
    if config.id_token.clock_skew > LARGEST_SKEW {
        return Err(IdpError::Misconfigured("clock_skew"));
    }
    parameters::check_parameters(&config)?;
    let issuer = issuer_url(config.endpoints.issuer())?;
    let policy = Arc::new(EgressPolicy::of(&config, &issuer));
    let is_plain = |(_, url): &(_, Url)| url.scheme() == "http" && !is_loopback(url);
    if config.outbound.allow_plaintext && config.endpoints.urls().iter().any(is_plain) {
        tracing::warn!(
            setting = "providers.<id>.allow_plaintext",
            provider = config.id.as_str(),
            "codes, client secrets and tokens travel to this provider in clear: whoever can read that network has them"
        );
    }
    Ok(OidcProvider {
        max_age: max_age(&config)?,
        contexts: contexts(&config),
        client_auth: ClientAuth::new(&config, Arc::clone(&clock), Arc::clone(&chance))?,
        http: HttpClient::new(
            &config,
            Arc::clone(&policy),
            Arc::clone(&clock),
            Arc::clone(&chance),
        )?,
        directory: Directory::new(&config, policy, Arc::clone(&clock), chance)?,
        keyring: Keyring::new(config.id.clone(), Arc::clone(&clock)),
        clock,
        kernels_userinfo: Semaphore::new(KERNELS_USERINFO),
        config,
    })
}

const KERNELS_USERINFO: usize = 4;
/// Until it is one's turn for that.
const PATIENCE: Duration = Duration::from_secs(3);
const LARGEST_SKEW: Duration = Duration::from_mins(5);

fn max_age(config: &ProviderConfig) -> Result<Option<u64>, IdpError> {
    let value = config.extra_authorization_parameters.get("max_age");
    value
        .map(|seconds| seconds.parse::<u32>().map(u64::from))
        .transpose()
        .map_err(|_| IdpError::Misconfigured("extra_authorization_parameters"))
}

fn contexts(config: &ProviderConfig) -> Vec<String> {
    let values = config.extra_authorization_parameters.get("acr_values");
    let values = values.map_or("", String::as_str);
    values.split_ascii_whitespace().map(str::to_owned).collect()
}

#[async_trait]
impl IdentityProvider for OidcProvider {
    fn config(&self) -> &ProviderConfig {
        &self.config
    }

    fn key_set(&self) -> Option<&Value> {
        self.client_auth.key_set()
    }

    fn status(&self) -> ProviderStatus {
        if self.retry_after().is_some() {
            return ProviderStatus::Unavailable;
        }
        self.directory.status()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.http.retry_after(Endpoint::Token)
    }

    async fn authorize(
        &self,
        request: &AuthorizationRequest<'_>,
    ) -> Result<Authorization, IdpError> {
        let metadata = self.directory.metadata(&self.http).await?;
        let whole = authorize::url(&self.config, &metadata, request)?;
        let url = match par::endpoint(&self.config, &metadata)? {
            Some(endpoint) => {
                let ends = (&self.client_auth, &self.http);
                par::push(&self.config, (&metadata, endpoint), ends, &whole).await?
            }
            None => whole,
        };
        Ok(Authorization {
            url,
            issuer: metadata.issuer.clone(),
        })
    }

    async fn check_response_issuer(
        &self,
        expected: &str,
        given: Option<&str>,
    ) -> Result<(), IdpError> {
        let metadata = self.directory.metadata(&self.http).await?;
        match given {
            _ if expected != metadata.issuer => {
                Err(IdpError::RuleBroken(ProviderRule::IssuerChanged))
            }
            Some(given) if given != expected => {
                Err(IdpError::RuleBroken(ProviderRule::ResponseIssuer))
            }
            None if metadata.names_issuer => {
                Err(IdpError::RuleBroken(ProviderRule::ResponseIssuerMissing))
            }
            _ => Ok(()),
        }
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Granted, IdpError> {
        let metadata = self.directory.metadata(&self.http).await?;
        if redemption.issuer != metadata.issuer {
            return Err(IdpError::RuleBroken(ProviderRule::IssuerChanged));
        }
        // Before the code is spent: without keys its ID token could not be judged.
        self.keyring.keys(&self.http, &metadata.jwks).await?;
        let at = self.token_endpoint(&metadata);
        refresh::recover(at).await?;
        let sent = self.clock.now();
        let handed = token::exchange(at, &redemption).await?;
        let judged = self.claims(&metadata, &handed, &redemption).await;
        let (claims, algorithm) = match judged {
            Ok(judged) => judged,
            Err(error) => return Err(handed.given_back(self, error).await),
        };
        let proof = id_token::proof(&claims, algorithm, redemption.oidc_nonce.clone());
        Ok(handed.granted(&claims, redemption, proof, sent))
    }

    async fn ready(&self) -> Result<(), IdpError> {
        let metadata = self.directory.metadata(&self.http).await?;
        self.keyring.keys(&self.http, &metadata.jwks).await?;
        refresh::recover(self.token_endpoint(&metadata)).await
    }

    async fn probe(&self) -> Result<Option<Refusal>, IdpError> {
        let metadata = self.directory.metadata(&self.http).await?;
        refresh::probe(self.token_endpoint(&metadata)).await
    }

    async fn refresh(&self, refreshable: Refreshable<'_>) -> Result<Refreshed, RefreshError> {
        let metadata = self.directory.metadata(&self.http).await;
        let metadata = metadata.map_err(|_| RefreshError::NotSent)?;
        if refreshable.issuer != metadata.issuer {
            return Err(RefreshError::Misconfigured);
        }
        let sent = self.clock.now();
        let handed = refresh::send(self.token_endpoint(&metadata), &refreshable).await?;
        let (known, came) = (refreshable.known(), self.clock.now());
        let Some(id_token) = &handed.unverified_id_token else {
            return Ok(handed.refreshed(None, sent));
        };
        let token = (id_token.as_str(), &handed.access_token);
        match self.refreshed_claims(&metadata, token, (known, came)).await {
            Ok(issued_at) => Ok(handed.refreshed(issued_at, sent)),
            Err(VerifyError::Foreign(rule)) => Err(RefreshError::Foreign {
                rule,
                access_token: handed.access_token,
                refresh_token: handed.refresh_token,
            }),
            Err(VerifyError::NotYet) => Err(handed.unverified(sent, came)),
        }
    }

    async fn verify(
        &self,
        known: Known<'_>,
        unverified: &Unverified,
    ) -> Result<Option<u64>, VerifyError> {
        let metadata = self.directory.metadata(&self.http).await;
        let metadata = metadata.map_err(|_| VerifyError::NotYet)?;
        if known.issuer != metadata.issuer {
            return Err(VerifyError::NotYet);
        }
        let token = (
            unverified.id_token.expose(),
            &unverified.tokens.access_token,
        );
        self.refreshed_claims(&metadata, token, (known, unverified.came_at))
            .await
    }

    async fn exchange(
        &self,
        exchange: Exchange<'_>,
    ) -> Result<TokenSet<Option<Scopes>>, ExchangeError> {
        let metadata = self.directory.metadata(&self.http).await;
        let metadata = metadata.map_err(|error| match error {
            IdpError::Unavailable => ExchangeError::Unavailable { retry_after: None },
            _ => ExchangeError::Misconfigured,
        })?;
        if exchange.issuer != metadata.issuer {
            return Err(ExchangeError::Misconfigured);
        }
        let now = self.clock.now();
        let form = self.config.token_exchange.requested_issuer_method;
        exchange::send(self.token_endpoint(&metadata), form, &exchange, now).await
    }

    async fn logout(&self, token: &LogoutToken) -> Result<Logout, IdpError> {
        let metadata = self.directory.metadata(&self.http).await?;
        let kind = logout_token::TYPE;
        let token = UnverifiedJwt::parse_as(kind, token.expose(), &metadata.algorithms)
            .map_err(logout_token::of_logout_tokens)?;
        let posted = (&token, Origin::Anybody);
        let verified = self.keyring.verified(&self.http, &metadata.jwks, posted);
        let claims = verified.await.map_err(|reason| match reason.error {
            IdpError::RuleBroken(rule) if rule.row().group == RuleGroup::IdToken => {
                IdpError::RuleBroken(ProviderRule::LogoutTokenSignature)
            }
            other => other,
        })?;
        let mut logout = logout_token::judge(&claims, &self.expected(&metadata))?;
        // Where the operator lists algorithms, the list has decided.
        if self.config.id_token.algorithms.is_empty() {
            logout.algorithm = Some(token.algorithm().name());
        }
        Ok(logout)
    }

    async fn userinfo(&self, grant: &Grant) -> Result<Claims, IdpError> {
        let slot = timeout(PATIENCE, self.kernels_userinfo.acquire()).await;
        let _slot = slot
            .map_err(|_| IdpError::Unavailable)?
            .map_err(|_| IdpError::Unavailable)?;
        let metadata = self.directory.metadata(&self.http).await?;
        if grant.issuer != metadata.issuer {
            return Err(IdpError::RuleBroken(ProviderRule::IssuerChanged));
        }
        let ends = (&self.http, &self.keyring);
        let expected = self.expected(&metadata);
        userinfo::claims(
            &metadata,
            ends,
            &grant.tokens.access_token,
            &grant.account.sub,
            &expected,
        )
        .await
    }

    async fn revoke(
        &self,
        access_token: &AccessToken,
        refresh_token: Option<&RefreshToken>,
    ) -> RevocationOutcome {
        let Ok(metadata) = self.directory.metadata(&self.http).await else {
            return RevocationOutcome::Unreachable;
        };
        let Some(url) = &metadata.revocation else {
            return RevocationOutcome::NotOffered;
        };
        let us = (url, &self.client_auth);
        revocation::revoke(us, &self.http, access_token, refresh_token).await
    }
}

impl OidcProvider {
    fn token_endpoint<'a>(&'a self, metadata: &'a Metadata) -> TokenEndpoint<'a> {
        TokenEndpoint {
            url: &metadata.token,
            dialect: ResponseDialect::OpenId,
            client_auth: &self.client_auth,
            http: &self.http,
        }
    }

    /// The claims of the judged ID token, with those of userinfo where the settings ask for them, and what signed it.
    async fn claims(
        &self,
        metadata: &Metadata,
        handed: &TokenResponse,
        redemption: &Redemption,
    ) -> Result<(Claims, Algorithm), IdpError> {
        let token = handed.unverified_id_token.as_ref();
        let token = token.ok_or(IdpError::RuleBroken(ProviderRule::IdTokenMissing))?;
        let token = UnverifiedJwt::parse(token, &metadata.algorithms)?;
        let mut claims = self
            .keyring
            .verified(&self.http, &metadata.jwks, (&token, Origin::Provider))
            .await?;
        let expected = self.expected(metadata);
        let transaction = Transaction {
            oidc_nonce: &redemption.oidc_nonce,
            access_token: &handed.access_token,
            code: &redemption.code,
            max_age: self.max_age,
            contexts: &self.contexts,
        };
        id_token::judge(&claims, token.algorithm(), &expected, &transaction)?;
        if self.config.id_token.fetch_userinfo {
            let subject = account::subject(&claims);
            let ends = (&self.http, &self.keyring);
            let access_token = &handed.access_token;
            let more = userinfo::claims(metadata, ends, access_token, &subject, &expected).await?;
            account::complete(&mut claims, more);
        }
        Ok((claims, token.algorithm()))
    }

    /// `iat` of the ID token of a refresh, judged as of when it came.
    async fn refreshed_claims(
        &self,
        metadata: &Metadata,
        (id_token, access_token): (&str, &AccessToken),
        (known, came): (Known<'_>, Timestamp),
    ) -> Result<Option<u64>, VerifyError> {
        let token =
            UnverifiedJwt::parse(id_token, &metadata.algorithms).map_err(VerifyError::Foreign)?;
        let signed = (&token, Origin::Provider);
        let verified = self.keyring.verified(&self.http, &metadata.jwks, signed);
        let claims = verified.await.map_err(|reason| match reason.error {
            IdpError::RuleBroken(rule) if reason.for_good => VerifyError::Foreign(rule),
            _ => VerifyError::NotYet,
        })?;
        let expected = Expected {
            now: came,
            ..self.expected(metadata)
        };
        let same = (known.subject, known.proof);
        id_token::judge_refreshed(&claims, token.algorithm(), &expected, same, access_token)
            .map_err(VerifyError::Foreign)?;
        let nonce = known.proof.oidc_nonce.clone();
        let proof = id_token::proof(&claims, token.algorithm(), nonce);
        Ok(Some(proof.issued_at))
    }

    fn expected<'a>(&'a self, metadata: &'a Metadata) -> Expected<'a> {
        Expected {
            issuer: &metadata.issuer,
            client_id: &self.config.client_id,
            additional_audiences: &self.config.id_token.additional_audiences,
            now: self.clock.now(),
            skew: self.config.id_token.clock_skew,
        }
    }
}
