//! A provider that speaks OAuth 2.0 and no OpenID Connect, such as GitHub: nothing is discovered, there is no ID token,
//! and the account is what its API says of the access token.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hubkey_domain::{
    clock::Clock,
    connection::IdTokenAnchor,
    provider::{Endpoints, OAuth2Endpoints, ParMode, ProviderConfig},
    random::RandomSource,
    refusal::Refusal,
    token_set::TokenSet,
};
use hubkey_protocol::{
    ProviderStatus, Scopes,
    provider_rules::ProviderRule,
    secret::{AccessToken, RefreshToken},
};
use serde_json::Value;

use crate::{
    Authorization, AuthorizationRequest, Exchange, ExchangeError, Granted, IdentityProvider,
    IdpError, Redemption, RefreshError, Refreshable, Refreshed, RevocationOutcome, authorize,
    client_auth::ClientAuth,
    discovery::issuer_url,
    http_client::{EgressPolicy, Endpoint, HttpClient},
    id_token::is_subject,
    json,
    jwt::Claims,
    parameters, refresh, revocation,
    token::{self, ResponseDialect, TokenEndpoint},
    userinfo,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct OAuth2Provider {
    config: ProviderConfig,
    at: OAuth2Endpoints,
    client_auth: ClientAuth,
    http: HttpClient,
    clock: Arc<dyn Clock>,
}

impl OAuth2Provider {
    /// Takes a provider as configured. Asks nothing of it.
    pub(crate) fn new(
        config: ProviderConfig,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn RandomSource>,
    ) -> Result<Self, IdpError> {
        let Endpoints::OAuth2(at) = config.endpoints.clone() else {
            return Err(IdpError::Misconfigured("endpoints"));
        };
        if config.par_mode == ParMode::Always {
            return Err(IdpError::RuleBroken(ProviderRule::PushedRequests));
        }
        parameters::check_parameters(&config)?;
        let parameters: Vec<_> = config
            .extra_authorization_parameters
            .keys()
            .cloned()
            .collect();
        parameters::check_endpoint(&at.authorization, &parameters)?;
        let policy = Arc::new(EgressPolicy::of(&config, &issuer_url(&at.issuer)?));
        check_endpoints(&policy, &at)?;
        Ok(Self {
            client_auth: ClientAuth::new(&config, Arc::clone(&clock), Arc::clone(&chance))?,
            http: HttpClient::new(&config, policy, Arc::clone(&clock), chance)?,
            at,
            clock,
            config,
        })
    }

    /// Whose the access token is.
    async fn account(&self, access_token: &AccessToken) -> Result<Claims, IdpError> {
        let endpoint = Endpoint::Userinfo;
        let answer = self
            .http
            .get(endpoint, &self.at.userinfo, Some(access_token))
            .await?;
        userinfo::check_status(&answer)?;
        if !answer.is_json() {
            return Err(userinfo::unreadable(ProviderRule::UserinfoContentType));
        }
        let mut claims = json::object(&answer.body)
            .map_err(|_| userinfo::unreadable(ProviderRule::UserinfoJson))?;
        let subject = subject(&claims, &self.at.subject_field)
            .ok_or(userinfo::unreadable(ProviderRule::UserinfoSubjectField))?;
        claims.insert("sub".to_owned(), Value::String(subject));
        // What GitHub and its like call the name that people know.
        if json::given(&claims, "preferred_username").is_none()
            && let Some(login) = claims.get("login").cloned()
        {
            claims.insert("preferred_username".to_owned(), login);
        }
        Ok(claims)
    }

    fn token_endpoint(&self) -> TokenEndpoint<'_> {
        TokenEndpoint {
            url: &self.at.token,
            dialect: ResponseDialect::OAuth2,
            client_auth: &self.client_auth,
            http: &self.http,
        }
    }
}

fn check_endpoints(policy: &EgressPolicy, at: &OAuth2Endpoints) -> Result<(), IdpError> {
    let wrong = |_| IdpError::RuleBroken(ProviderRule::EndpointUrl);
    for url in [Some(&at.token), Some(&at.userinfo), at.revocation.as_ref()] {
        url.map_or(Ok(()), |url| policy.check(url)).map_err(wrong)?;
    }
    policy.check_form(&at.authorization).map_err(wrong)
}

/// The subject: a text, or a whole number as text. Dots lead into objects.
fn subject(claims: &Claims, field: &str) -> Option<String> {
    let mut path = field.split('.');
    let first = claims.get(path.next()?)?;
    let found = path.try_fold(first, |value, name| value.get(name))?;
    let subject = match found {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_u64() => number.to_string(),
        _ => return None,
    };
    is_subject(&subject).then_some(subject)
}

#[async_trait]
impl IdentityProvider for OAuth2Provider {
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
        ProviderStatus::Ready
    }

    fn retry_after(&self) -> Option<Duration> {
        self.http.retry_after(Endpoint::Token)
    }

    async fn authorize(
        &self,
        request: &AuthorizationRequest<'_>,
    ) -> Result<Authorization, IdpError> {
        Ok(Authorization {
            url: authorize::oauth2_url(&self.config, &self.at.authorization, request)?,
            issuer: self.at.issuer.clone(),
        })
    }

    async fn check_response_issuer(
        &self,
        expected: &str,
        given: Option<&str>,
    ) -> Result<(), IdpError> {
        match given {
            _ if expected != self.at.issuer => {
                Err(IdpError::RuleBroken(ProviderRule::IssuerChanged))
            }
            Some(given) if given != expected => {
                Err(IdpError::RuleBroken(ProviderRule::ResponseIssuer))
            }
            _ => Ok(()),
        }
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Granted, IdpError> {
        if redemption.issuer != self.at.issuer {
            return Err(IdpError::RuleBroken(ProviderRule::IssuerChanged));
        }
        self.ready().await?;
        let sent = self.clock.now();
        let handed = token::exchange(self.token_endpoint(), &redemption).await?;
        let claims = match self.account(&handed.access_token).await {
            Ok(claims) => claims,
            Err(error) => return Err(handed.given_back(self, error).await),
        };
        // There is no ID token to compare with, now or later.
        let proof = IdTokenAnchor {
            issued_at: 0,
            auth_time: None,
            oidc_nonce: redemption.oidc_nonce.clone(),
            session: None,
            algorithm: None,
        };
        Ok(handed.granted(&claims, redemption, proof, sent))
    }

    async fn ready(&self) -> Result<(), IdpError> {
        refresh::recover(self.token_endpoint()).await
    }

    async fn probe(&self) -> Result<Option<Refusal>, IdpError> {
        refresh::probe(self.token_endpoint()).await
    }

    async fn refresh(&self, refreshable: Refreshable<'_>) -> Result<Refreshed, RefreshError> {
        if refreshable.issuer != self.at.issuer {
            return Err(RefreshError::Misconfigured);
        }
        let sent = self.clock.now();
        let handed = refresh::send(self.token_endpoint(), &refreshable).await?;
        Ok(handed.refreshed(None, sent))
    }

    async fn exchange(
        &self,
        _exchange: Exchange<'_>,
    ) -> Result<TokenSet<Option<Scopes>>, ExchangeError> {
        // RFC 8693 is spoken at OpenID providers only.
        Err(ExchangeError::Misconfigured)
    }

    async fn revoke(
        &self,
        access_token: &AccessToken,
        refresh_token: Option<&RefreshToken>,
    ) -> RevocationOutcome {
        let Some(url) = &self.at.revocation else {
            return RevocationOutcome::NotOffered;
        };
        let us = (url, &self.client_auth);
        revocation::revoke(us, &self.http, access_token, refresh_token).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(document: &Value, field: &str) -> Option<String> {
        subject(document.as_object().unwrap(), field)
    }

    #[test]
    fn security_b8_a_subject_is_a_text_or_a_whole_number() {
        let is = |value: Value| read(&json!({ "id": value }), "id");
        assert_eq!(is(json!(583_231)).as_deref(), Some("583231"));
        assert_eq!(is(json!("u-1")).as_deref(), Some("u-1"));
        for wrong in [
            json!(null),
            json!(true),
            json!(1.5),
            json!(-1),
            json!(1e30),
            json!([1]),
            json!({}),
            json!(""),
            json!("ü"),
            json!("x".repeat(256)),
        ] {
            assert_eq!(is(wrong.clone()), None, "{wrong}");
        }
        let nested = json!({ "data": { "id": "7" } });
        assert_eq!(read(&nested, "data.id").as_deref(), Some("7"));
        assert_eq!(read(&nested, "id"), None);
    }
}
