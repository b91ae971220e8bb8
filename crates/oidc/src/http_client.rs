//! The one HTTP client for providers: no redirect, no private address, bounded sizes and times.

mod breaker;
mod challenge;
mod circuit;
mod egress_policy;
mod endpoint;
mod proxy;

use std::{error::Error, fmt, sync::Arc, time::Duration};

use hubkey_protocol::trace::TRACE;
use hubkey_protocol::{
    ProviderId,
    provider_rules::ProviderRule,
    secret::{AccessToken, Secret},
};
use reqwest::{
    Certificate, Method, Request, StatusCode,
    dns::Resolve,
    header::{
        ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderMap, HeaderName,
        HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    },
};
use tokio::{sync::Semaphore, time::Instant};
use tracing::{Instrument as _, field::Empty};
use url::Url;
use zeroize::Zeroizing;

use crate::{client_auth::TokenRequestForm, error::IdpError};
use breaker::Breaker;
use circuit::Verdict;
pub use egress_policy::may_go_through_proxy;
pub(crate) use egress_policy::{EgressDenied, EgressPolicy, is_loopback};
use egress_policy::{Guarded, System};
pub(crate) use endpoint::Endpoint;
use hubkey_domain::{clock::Clock, provider::ProviderConfig, random::RandomSource};
use proxy::Obstacle;

#[cfg(test)]
mod tests;

const CONNECT: Duration = Duration::from_secs(3);
const TOTAL: Duration = Duration::from_secs(10);
const IN_FLIGHT: usize = 32;
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A whole answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// May hold tokens.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The media type without its parameters, in lower case.
    pub(crate) fn media_type(&self) -> Option<String> {
        let value = self.text(&CONTENT_TYPE)?;
        let essence = value.split(';').next().unwrap_or_default();
        Some(essence.trim().to_ascii_lowercase())
    }

    /// Whether it says of itself that it is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.media_type().is_some_and(|media| {
            media == "application/json"
                || (media.starts_with("application/") && media.ends_with("+json"))
        })
    }

    /// `max-age` of `Cache-Control`; zero where caching is forbidden; absent where nothing is said.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        let directives = self.text(&CACHE_CONTROL)?.to_ascii_lowercase();
        let mut directives = directives.split(',').map(str::trim);
        directives.find_map(|directive| match directive {
            "no-store" | "no-cache" => Some(Duration::ZERO),
            other => {
                let seconds = other.strip_prefix("max-age=")?.trim_matches('"');
                seconds.parse().ok().map(Duration::from_secs)
            }
        })
    }

    /// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date, from which the answer's own date is taken: no clock of
    /// ours has to agree with the provider's.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let asked = self.text(&RETRY_AFTER)?.trim();
        if let Ok(seconds) = asked.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = |text| httpdate::parse_http_date(text).ok();
        let (until, now) = (date(asked)?, date(self.text(&DATE)?)?);
        Some(until.duration_since(now).unwrap_or_default())
    }

    /// `error` of the challenge (RFC 6750 section 3), which says why a token was refused where the body does not.
    pub(crate) fn challenge_error(&self) -> Option<&str> {
        let challenges = self.headers.get_all(WWW_AUTHENTICATE).iter();
        let mut challenges = challenges.filter_map(|value| value.to_str().ok());
        challenges.find_map(|challenge| {
            let word = challenge::parameter(challenge, "error");
            word.filter(|word| !word.is_empty())
        })
    }

    /// A header that is there exactly once and is text.
    fn text(&self, name: &HeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Answer({})", self.status)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// Hubkey does not go there. No byte was sent.
    EgressDenied,
    /// There was no connection, or none through the proxy. No byte was sent to the provider.
    ConnectFailed,
    /// It failed so often lately that it is left alone. No byte was sent.
    CircuitOpen,
    /// Something was sent, and no whole answer came back.
    ResponseLost,
    /// The answer was longer than the cap.
    ResponseTooLarge,
}

impl RequestError {
    fn outcome(self) -> &'static str {
        match self {
            Self::EgressDenied => "blocked",
            Self::ConnectFailed => "connect_failed",
            Self::CircuitOpen => "circuit_open",
            Self::ResponseLost => "response_lost",
            Self::ResponseTooLarge => "response_too_large",
        }
    }
}

/// For requests that change nothing: where it does not matter whether they arrived.
impl From<RequestError> for IdpError {
    fn from(reason: RequestError) -> Self {
        match reason {
            RequestError::EgressDenied => Self::RuleBroken(ProviderRule::AddressNotPermitted),
            RequestError::ConnectFailed
            | RequestError::CircuitOpen
            | RequestError::ResponseLost => Self::Unavailable,
            RequestError::ResponseTooLarge => Self::RuleBroken(ProviderRule::AnswerTooLong),
        }
    }
}

/// The client of one provider.
#[derive(Debug)]
pub(crate) struct HttpClient {
    provider: ProviderId,
    client: reqwest::Client,
    policy: Arc<EgressPolicy>,
    breaker: Breaker,
    slots: Semaphore,
    /// The proxy on the way, as the log names it.
    proxy: Option<String>,
}

impl HttpClient {
    pub(crate) fn new(
        config: &ProviderConfig,
        policy: Arc<EgressPolicy>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn RandomSource>,
    ) -> Result<Self, IdpError> {
        let breaker = Breaker::new(config.id.clone(), clock, chance);
        let authorities = authorities(config.outbound.ca_pem.as_deref())
            .ok_or(IdpError::Misconfigured("ca_file"))?;
        let client = if let Some(proxy) = &config.outbound.proxy {
            // The policy judges names; the one name that is looked up here is the proxy's.
            let through = proxy::through(proxy);
            through.and_then(|proxy| builder(System, authorities).proxy(proxy).build())
        } else {
            let resolver = Guarded::new(Arc::clone(&policy), Arc::new(System));
            builder(resolver, authorities).build()
        };
        let mut http = Self::with(config.id.clone(), policy, breaker, client)?;
        http.proxy = config.outbound.proxy.as_ref().map(proxy::name);
        Ok(http)
    }

    fn with(
        provider: ProviderId,
        policy: Arc<EgressPolicy>,
        breaker: Breaker,
        client: reqwest::Result<reqwest::Client>,
    ) -> Result<Self, IdpError> {
        let client = client.map_err(|_| IdpError::Misconfigured("http_client"))?;
        Ok(Self {
            provider,
            client,
            policy,
            breaker,
            slots: Semaphore::new(IN_FLIGHT),
            proxy: None,
        })
    }

    /// Whose endpoints it asks.
    pub(crate) fn provider(&self) -> &ProviderId {
        &self.provider
    }

    /// Whether an endpoint is asked as usual, and not left alone because it failed lately.
    pub(crate) fn is_asked(&self, endpoint: Endpoint) -> bool {
        self.breaker.is_closed(endpoint)
    }

    /// For how long an endpoint is not asked, if so.
    pub(crate) fn retry_after(&self, endpoint: Endpoint) -> Option<Duration> {
        self.breaker.retry_after(endpoint)
    }

    /// Asks; with an access token where one is needed, which goes in the header only (RFC 6750 section 2.1).
    pub(crate) async fn get(
        &self,
        endpoint: Endpoint,
        url: &Url,
        bearer: Option<&AccessToken>,
    ) -> Result<Answer, RequestError> {
        let mut request = Request::new(Method::GET, url.clone());
        if let Some(token) = bearer {
            let value = Zeroizing::new(format!("Bearer {}", token.expose()));
            let mut value =
                HeaderValue::from_str(&value).map_err(|_| RequestError::ConnectFailed)?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        self.send(endpoint, request, None).await
    }

    /// Sends a form, once.
    pub(crate) async fn post(
        &self,
        endpoint: Endpoint,
        url: &Url,
        form: TokenRequestForm,
    ) -> Result<Answer, RequestError> {
        self.send(endpoint, posting(url, form), None).await
    }

    /// Sends a form, once, and not at all after that instant.
    pub(crate) async fn post_before(
        &self,
        endpoint: Endpoint,
        url: &Url,
        form: TokenRequestForm,
        end: Instant,
    ) -> Result<Answer, RequestError> {
        self.send(endpoint, posting(url, form), Some(end)).await
    }

    async fn send(
        &self,
        endpoint: Endpoint,
        mut request: Request,
        end: Option<Instant>,
    ) -> Result<Answer, RequestError> {
        let accepts = HeaderValue::from_static(match endpoint {
            Endpoint::Userinfo => "application/json, application/jwt",
            _ => "application/json",
        });
        request.headers_mut().insert(ACCEPT, accepts);
        let span = tracing::info_span!(
            target: TRACE,
            "provider call",
            otel.name = endpoint.span(),
            otel.kind = "client",
            hubkey.provider = self.provider.as_str(),
            hubkey.outcome = Empty,
            http.request.method = request.method().as_str(),
            http.response.status_code = Empty,
            server.address = request.url().host_str(),
        );
        let result = self
            .exchange(endpoint, request, end)
            .instrument(span.clone())
            .await;
        if let Ok(answer) = &result {
            span.record("http.response.status_code", answer.status.as_u16());
        }
        let outcome = self.count(endpoint, result.as_ref());
        span.record("hubkey.outcome", outcome);
        result
    }

    async fn exchange(
        &self,
        endpoint: Endpoint,
        request: Request,
        end: Option<Instant>,
    ) -> Result<Answer, RequestError> {
        self.policy
            .check(request.url())
            .map_err(|EgressDenied(_)| RequestError::EgressDenied)?;
        // Nobody queues for what will not be asked.
        if self.breaker.retry_after(endpoint).is_some() {
            return Err(RequestError::CircuitOpen);
        }
        let slot = tokio::time::timeout(TOTAL, self.slots.acquire()).await;
        let _slot = slot
            .map_err(|_| RequestError::ConnectFailed)?
            .map_err(|_| RequestError::ConnectFailed)?;
        if end.is_some_and(|end| Instant::now() >= end) {
            return Err(RequestError::ConnectFailed);
        }
        let permit = self
            .breaker
            .admit(endpoint)
            .ok_or(RequestError::CircuitOpen)?;
        let result = self.execute(endpoint, request).await;
        permit.record(verdict(endpoint, &result));
        result
    }

    async fn execute(&self, endpoint: Endpoint, request: Request) -> Result<Answer, RequestError> {
        let response = self
            .client
            .execute(request)
            .await
            .map_err(|error| self.failed(endpoint, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response, endpoint.cap()).await?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// Why there is no answer; where the proxy is the reason, the log says what it did.
    fn failed(&self, endpoint: Endpoint, error: &reqwest::Error) -> RequestError {
        if let Some(proxy) = &self.proxy
            && let Some(obstacle) = Obstacle::of(error)
        {
            tracing::warn!(
                provider = self.provider.as_str(),
                endpoint = endpoint.label(),
                proxy,
                obstacle = obstacle.word(),
                "{}",
                obstacle.sentence()
            );
        }
        request_error(error)
    }

    /// Counts a call, and gives the word for how it ended.
    fn count(&self, endpoint: Endpoint, result: Result<&Answer, &RequestError>) -> &'static str {
        let outcome = match result {
            Ok(answer) => match answer.status.as_u16() {
                200..=299 => "ok",
                300..=399 => "redirected",
                400..=499 => "refused",
                _ => "failed",
            },
            Err(reason) => reason.outcome(),
        };
        metrics::counter!(
            "hubkey_provider_requests_total",
            "provider" => self.provider.as_str().to_owned(),
            "endpoint" => endpoint.label(),
            "outcome" => outcome,
        )
        .increment(1);
        // What is withheld was told when that began.
        if !matches!(outcome, "ok" | "circuit_open") {
            tracing::warn!(
                provider = self.provider.as_str(),
                endpoint = endpoint.label(),
                outcome,
                "A call to a provider did not succeed."
            );
        }
        outcome
    }
}

/// What a call says about its endpoint: whether there is somebody who answers, and not what the answer is.
fn verdict(endpoint: Endpoint, result: &Result<Answer, RequestError>) -> Verdict {
    match result {
        // Keycloak says so when the provider behind it does not answer, or is not known: tokens of others may be had.
        Ok(answer)
            if endpoint == Endpoint::BrokerToken && answer.status == StatusCode::BAD_GATEWAY =>
        {
            Verdict::Works
        }
        Ok(answer) if answer.status.is_server_error() => Verdict::Fails(answer.retry_after()),
        Ok(_) | Err(RequestError::ResponseTooLarge) => Verdict::Works,
        Err(RequestError::ConnectFailed | RequestError::ResponseLost) => Verdict::Fails(None),
        Err(RequestError::EgressDenied | RequestError::CircuitOpen) => Verdict::Unknown,
    }
}

fn posting(url: &Url, form: TokenRequestForm) -> Request {
    let mut request = Request::new(Method::POST, url.clone());
    request.headers_mut().insert(CONTENT_TYPE, FORM);
    if let Some(value) = form.authorization {
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    *request.body_mut() = Some(form.body.into());
    request
}

/// No idle connections are kept: one that the provider closes while we write would turn a code exchange into an
/// unknown outcome, and every call goes to an address that was judged just now.
///
/// What the environment says of proxies (`HTTPS_PROXY` and its like) does not count: a proxy is a setting.
fn builder(
    resolver: impl Resolve + 'static,
    authorities: Vec<Certificate>,
) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_certs_merge(authorities)
        .dns_resolver(Arc::new(resolver))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT)
        .timeout(TOTAL)
        .pool_max_idle_per_host(0)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .user_agent(concat!("hubkey/", env!("CARGO_PKG_VERSION")))
}

/// The authorities of a file, none where there is no file; absent where the file holds no certificate.
fn authorities(pem: Option<&[u8]>) -> Option<Vec<Certificate>> {
    let Some(pem) = pem else {
        return Some(Vec::new());
    };
    let found = Certificate::from_pem_bundle(pem).ok()?;
    (!found.is_empty()).then_some(found)
}

/// Whether these are PEM certificates of authorities, and a client can be told to trust them.
#[must_use]
pub fn are_authorities(pem: &[u8]) -> bool {
    authorities(Some(pem)).is_some_and(|found| {
        let client = reqwest::Client::builder().tls_certs_merge(found);
        client.build().is_ok()
    })
}

fn request_error(error: &reqwest::Error) -> RequestError {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(source) = cause {
        if source.is::<EgressDenied>() {
            return RequestError::EgressDenied;
        }
        cause = source.source();
    }
    if error.is_connect() || error.is_builder() {
        RequestError::ConnectFailed
    } else {
        RequestError::ResponseLost
    }
}

async fn read(
    mut response: reqwest::Response,
    cap: usize,
) -> Result<Zeroizing<Vec<u8>>, RequestError> {
    // Reserved at once where the length is known, so that growing leaves no copies behind.
    let expected = response.content_length().unwrap_or(0);
    let expected = usize::try_from(expected).map_err(|_| RequestError::ResponseTooLarge)?;
    if expected > cap {
        return Err(RequestError::ResponseTooLarge);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(expected));
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|_| RequestError::ResponseLost)?
    {
        if body.len() + chunk.len() > cap {
            return Err(RequestError::ResponseTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
