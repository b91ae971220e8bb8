//! The HTTP client for the Hub's API: one client with tight limits, a bounded number of questions at once for each kind
//! of those who ask.

use std::{sync::Arc, time::Duration};

use hubkey_protocol::{
    bounds::Bound,
    secret::{AuthorizationCode, ClientSecret, HubAccessToken, PkceVerifier, Secret},
    trace::TRACE,
};
use metrics::counter;
use reqwest::{
    Certificate, Client, ClientBuilder, RequestBuilder, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, HeaderValue},
    redirect, tls,
};
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::{Instrument as _, field::Empty};
use url::Url;
use zeroize::Zeroizing;

use super::{
    config::{HubConfig, HubConfigError},
    token_form::is_well_formed,
    user_model::UserModel,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Until an answer is complete; as long again may pass before a question gets its permit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The Hub is one process that answers about 200 questions a second: what is asked for browsers is to be little beside
/// what is asked for kernels, also where somebody asks for more.
const MAX_FOR_KERNELS: usize = 32;
const MAX_FOR_SIGN_INS: usize = 8;
const MAX_FOR_VISITS: usize = 4;

/// How often the Hub was asked, by endpoint and outcome.
const REQUESTS_TOTAL: &str = "hubkey_hub_requests_total";

/// Asks the Hub. One for the whole broker, so that the bound on questions holds for all of it.
pub struct HubApi {
    client: Client,
    api_url: Url,
    service: Registration,
    lanes: Lanes,
}

/// For whom a question is. Each kind has permits of its own, so that none ever stands behind another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// A kernel, or its server.
    Kernel,
    /// A browser whose flow was found.
    SignIn,
    /// A browser of which nobody knows anything.
    Visit,
}

struct Lanes {
    kernels: Arc<Semaphore>,
    sign_ins: Arc<Semaphore>,
    visits: Arc<Semaphore>,
}

/// hubkey as the Hub knows it.
struct Registration {
    client_id: String,
    api_token: ClientSecret,
    redirect_uri: String,
}

/// Why the Hub gave no answer to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HubFailure {
    /// It answered that this is not permitted, or unknown.
    #[error("the Hub refused")]
    Refused,
    /// No connection, or a broken one.
    #[error("the Hub cannot be reached")]
    Unreachable,
    /// It, or the queue before it, takes too long.
    #[error("the Hub takes too long")]
    TooSlow,
    /// A fault, a redirect, or anything else that is neither answer nor refusal.
    #[error("the Hub answered with status {0}")]
    Status(u16),
    /// Longer than any sensible answer.
    #[error("the Hub's answer is too long")]
    TooLong,
    /// Not of the form that the endpoint gives.
    #[error("the Hub's answer makes no sense")]
    Malformed,
}

/// Permission to ask, one question after another. It is waited for apart from asking, because what holds for a question
/// (how old its answer may be, how many may fail) counts from when it is really asked.
#[derive(Debug)]
pub struct HubPermit {
    api: Arc<HubApi>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy)]
enum Endpoint {
    User,
    Token,
    Shares,
}

/// RFC 6749 section 5.1, as far as it matters.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: HubAccessToken,
    token_type: String,
}

/// One page of a list.
#[derive(Deserialize)]
struct ShareList {
    items: Vec<serde::de::IgnoredAny>,
    #[serde(default, rename = "_pagination")]
    pagination: Pagination,
}

#[derive(Default, Deserialize)]
struct Pagination {
    next: Option<serde::de::IgnoredAny>,
}

impl HubApi {
    /// Sets up a client; asks nothing yet.
    pub fn new(config: &HubConfig) -> Result<Self, HubConfigError> {
        config.check()?;
        bearer(&config.api_token).ok_or(HubConfigError::ApiToken)?;
        if config.is_plaintext() {
            tracing::warn!(
                setting = "hub.allow_plaintext",
                "server tokens travel to the Hub in clear: whoever can read that network can act as every user"
            );
        }
        Ok(Self {
            client: client(config)?,
            api_url: config.api_url.clone(),
            service: Registration {
                client_id: config.client_id.clone(),
                api_token: config.api_token.clone(),
                redirect_uri: config.redirect_uri.clone(),
            },
            lanes: Lanes {
                kernels: Arc::new(Semaphore::new(MAX_FOR_KERNELS)),
                sign_ins: Arc::new(Semaphore::new(MAX_FOR_SIGN_INS)),
                visits: Arc::new(Semaphore::new(MAX_FOR_VISITS)),
            },
        })
    }

    /// Waits until few enough questions are under way for those.
    pub async fn acquire(self: &Arc<Self>, lane: Lane) -> Result<HubPermit, HubFailure> {
        let lane = match lane {
            Lane::Kernel => &self.lanes.kernels,
            Lane::SignIn => &self.lanes.sign_ins,
            Lane::Visit => &self.lanes.visits,
        };
        match timeout(ANSWER_TIMEOUT, Arc::clone(lane).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(HubPermit {
                api: Arc::clone(self),
                _permit: permit,
            }),
            Ok(Err(_)) | Err(_) => Err(HubFailure::TooSlow),
        }
    }

    fn url(&self, segments: &[&str]) -> Option<Url> {
        let mut url = self.api_url.clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(segments);
        Some(url)
    }

    async fn query<T>(
        &self,
        endpoint: Endpoint,
        request: RequestBuilder,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, HubFailure> {
        let span = tracing::info_span!(
            target: TRACE,
            "hub question",
            otel.name = endpoint.span(),
            otel.kind = "client",
            hubkey.outcome = Empty,
        );
        let answer = exchange(endpoint, request.header(ACCEPT, "application/json"))
            .instrument(span.clone())
            .await;
        let answer = answer.and_then(|body| read(&body).ok_or(HubFailure::Malformed));
        let outcome = note(endpoint, answer.as_ref().err().copied());
        span.record("hubkey.outcome", outcome);
        answer
    }
}

impl HubPermit {
    /// Whose this token is.
    pub async fn user(&self, token: &impl Secret) -> Result<UserModel, HubFailure> {
        let request = self.get(&["user"], token)?;
        self.api
            .query(Endpoint::User, request, UserModel::parse)
            .await
    }

    /// Redeems an authorization code (RFC 6749 section 4.1.3).
    pub async fn redeem(
        &self,
        code: AuthorizationCode,
        verifier: PkceVerifier,
    ) -> Result<HubAccessToken, HubFailure> {
        let service = &self.api.service;
        let url = self.api.url(&["oauth2", "token"]);
        let request = self.api.client.post(url.ok_or(HubFailure::Unreachable)?);
        let request = request.form(&[
            ("grant_type", "authorization_code"),
            ("client_id", &service.client_id),
            ("client_secret", service.api_token.expose()),
            ("redirect_uri", &service.redirect_uri),
            ("code", code.expose()),
            ("code_verifier", verifier.expose()),
        ]);
        self.api.query(Endpoint::Token, request, token_of).await
    }

    /// Whether a server is shared with anybody.
    pub async fn is_shared(&self, user: &str, server: &str) -> Result<bool, HubFailure> {
        // A URL cannot name these: whatever stands there, such a segment means "here" or "one up".
        if [user, server]
            .iter()
            .any(|name| matches!(*name, "." | ".."))
        {
            return Err(HubFailure::Refused);
        }
        let request = self.get(&["shares", user, server], &self.api.service.api_token)?;
        self.api
            .query(Endpoint::Shares, request, |body| {
                let list: ShareList = serde_json::from_slice(body).ok()?;
                Some(!list.items.is_empty() || list.pagination.next.is_some())
            })
            .await
    }

    fn get(&self, path: &[&str], token: &impl Secret) -> Result<RequestBuilder, HubFailure> {
        // No token that the Hub made is unfit for a header.
        let credential = bearer(token).ok_or(HubFailure::Refused)?;
        let url = self.api.url(path).ok_or(HubFailure::Unreachable)?;
        Ok(self.api.client.get(url).header(AUTHORIZATION, credential))
    }
}

impl Endpoint {
    const fn label(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Shares => "shares",
        }
    }

    const fn span(self) -> &'static str {
        match self {
            Self::User => "hub user",
            Self::Token => "hub token",
            Self::Shares => "hub shares",
        }
    }

    /// Whether a status says no, rather than that something is wrong. The Hub answers 403 to unknown tokens.
    fn is_refusal(self, status: StatusCode) -> bool {
        match self {
            Self::User => matches!(status.as_u16(), 401 | 403),
            Self::Token => matches!(status.as_u16(), 400 | 401 | 403),
            Self::Shares => matches!(status.as_u16(), 403 | 404),
        }
    }
}

impl std::fmt::Debug for HubApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubApi")
            .field("api_url", &self.api_url.as_str())
            .finish_non_exhaustive()
    }
}

impl From<reqwest::Error> for HubFailure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TooSlow
        } else {
            Self::Unreachable
        }
    }
}

fn client(config: &HubConfig) -> Result<Client, HubConfigError> {
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .tls_version_min(tls::Version::TLS_1_2)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .user_agent(concat!("hubkey/", env!("CARGO_PKG_VERSION")));
    trusting(builder, config)?
        .build()
        .map_err(|_| HubConfigError::Tls)
}

/// The authorities to trust; none at all for plain http, so that an image without certificates can serve too.
fn trusting(builder: ClientBuilder, config: &HubConfig) -> Result<ClientBuilder, HubConfigError> {
    match (&config.ca_pem, config.api_url.scheme()) {
        (Some(pem), _) => Certificate::from_pem_bundle(pem)
            .map(|authorities| builder.tls_certs_only(authorities))
            .map_err(|_| HubConfigError::Certificates),
        (None, "http") => Ok(builder.tls_certs_only(Vec::new())),
        (None, _) => Ok(builder),
    }
}

fn bearer(token: &impl Secret) -> Option<HeaderValue> {
    if token.expose().is_empty() {
        return None;
    }
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn exchange(
    endpoint: Endpoint,
    request: RequestBuilder,
) -> Result<Zeroizing<Vec<u8>>, HubFailure> {
    let response = request.send().await?;
    match response.status() {
        StatusCode::OK => body(response).await,
        status if endpoint.is_refusal(status) => Err(HubFailure::Refused),
        status => Err(HubFailure::Status(status.as_u16())),
    }
}

async fn body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, HubFailure> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > Bound::HubAnswer.limit() {
            return Err(HubFailure::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn token_of(body: &[u8]) -> Option<HubAccessToken> {
    let answer: TokenAnswer = serde_json::from_slice(body).ok()?;
    let usable =
        answer.token_type.eq_ignore_ascii_case("bearer") && is_well_formed(&answer.access_token);
    usable.then_some(answer.access_token)
}

/// Counts a question, and gives the word for how it ended.
fn note(endpoint: Endpoint, failure: Option<HubFailure>) -> &'static str {
    let outcome = match failure {
        None => "ok",
        Some(HubFailure::Refused) => "refused",
        Some(failure) => {
            tracing::warn!(
                hub.endpoint = endpoint.label(),
                error = %failure,
                "the Hub gave no usable answer"
            );
            "unavailable"
        }
    };
    counter!(REQUESTS_TOTAL, "endpoint" => endpoint.label(), "outcome" => outcome).increment(1);
    outcome
}
