//! What a kernel asks the broker. The messages are in [`hubkey_protocol`].
//!
//! Each call is repeated while the broker cannot be reached or refuses for now (429, 503), later each time, until its
//! deadline `until`. Calls that are safe to do twice are also repeated when the answer was lost on its way.
//!
//! When a token ends is told by this machine's clock, from how long it is good when the answer comes. The broker's own word
//! stands where the two clocks agree.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hubkey_protocol::{
    Connection, ConnectionId, ConnectionList, CreateSignIn, CreateSignInAnswer, ExchangeRequest,
    Provider, ProviderList, SignInOpened, SignInStatus, TokenAnswer, TokenRequest, UserInfo, path,
    secret::{Secret, ServerToken},
};
use reqwest::{
    Method, RequestBuilder,
    header::{DATE, HeaderMap, HeaderName, HeaderValue},
};
use tokio::time::{Instant, sleep};

use crate::{
    BrokerClient, ClientError,
    http::{answer, fill, no_content},
    retry::{Repeat, patiently},
};

/// The broker holds a poll for at most 27.5 s.
const POLL_TIMEOUT: Duration = Duration::from_secs(40);
const POLL_SECRET: HeaderName = HeaderName::from_static(path::POLL_SECRET_HEADER);
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static(path::IDEMPOTENCY_KEY_HEADER);

/// The broker's answer to [`BrokerClient::reach`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The time in its `Date` header.
    pub date: Option<String>,
}

impl BrokerClient<ServerToken> {
    /// `POST /v1/sign-ins`. The key makes a repetition open no second sign-in; a new call needs a new one.
    pub async fn create_sign_in(
        &self,
        message: &CreateSignIn,
        idempotency_key: &str,
        until: Instant,
    ) -> Result<CreateSignInAnswer, ClientError> {
        patiently(until, Repeat::Always, || async {
            let request = self.request(Method::POST, path::SIGN_INS)?;
            answer(
                request
                    .header(IDEMPOTENCY_KEY, idempotency_key)
                    .json(message)
                    .send()
                    .await?,
            )
            .await
        })
        .await
        .map(answer_by_own_clock)
    }

    /// `GET /v1/sign-ins/{nonce}`: one long poll.
    pub async fn sign_in_status(
        &self,
        sign_in: &SignInOpened,
        until: Instant,
    ) -> Result<SignInStatus, ClientError> {
        patiently(until, Repeat::Always, || async {
            let request = self.of_sign_in(Method::GET, path::SIGN_IN, sign_in)?;
            let response = request.timeout(POLL_TIMEOUT).send().await?;
            let told_at = date(response.headers());
            let status = answer(response).await?;
            Ok(status_by_own_clock(status, told_at.unwrap_or_else(now)))
        })
        .await
    }

    /// Polls until the sign-in has ended one way or the other. Does not end by itself before that or `until`, and
    /// answers [`SignInStatus::Pending`] then.
    pub async fn finished_sign_in(
        &self,
        sign_in: &SignInOpened,
        until: Instant,
    ) -> Result<SignInStatus, ClientError> {
        loop {
            let status = self.sign_in_status(sign_in, until).await?;
            let SignInStatus::Pending { retry_after_ms } = status else {
                return Ok(status);
            };
            let again = Instant::now() + Duration::from_millis(retry_after_ms);
            if again >= until {
                return Ok(status);
            }
            sleep(again - Instant::now()).await;
        }
    }

    /// `POST /v1/sign-ins/{nonce}/ack`
    pub async fn acknowledge(
        &self,
        sign_in: &SignInOpened,
        until: Instant,
    ) -> Result<(), ClientError> {
        patiently(until, Repeat::Always, || async {
            no_content(
                self.of_sign_in(Method::POST, path::SIGN_IN_ACK, sign_in)?
                    .send()
                    .await?,
            )
            .await
        })
        .await
    }

    /// `DELETE /v1/sign-ins/{nonce}`
    pub async fn cancel(&self, sign_in: &SignInOpened, until: Instant) -> Result<(), ClientError> {
        patiently(until, Repeat::Always, || async {
            no_content(
                self.of_sign_in(Method::DELETE, path::SIGN_IN, sign_in)?
                    .send()
                    .await?,
            )
            .await
        })
        .await
    }

    /// `GET /v1/openapi.json`, whose content is not read: whether the broker answers, and what time it has.
    pub async fn reach(&self, until: Instant) -> Result<Reached, ClientError> {
        patiently(until, Repeat::Always, || async {
            let response = self.request(Method::GET, path::OPENAPI)?.send().await?;
            let date = response.headers().get(DATE);
            let date = date.and_then(|date| date.to_str().ok()).map(str::to_owned);
            if response.status().is_success() {
                Ok(Reached { date })
            } else {
                no_content(response).await.map(|()| Reached { date })
            }
        })
        .await
    }

    /// `GET /v1/providers`
    pub async fn providers(&self, until: Instant) -> Result<Vec<Provider>, ClientError> {
        let list: ProviderList = patiently(until, Repeat::Always, || async {
            self.get(path::PROVIDERS).await
        })
        .await?;
        Ok(list.providers)
    }

    /// `GET /v1/connections`
    pub async fn connections(&self, until: Instant) -> Result<Vec<Connection>, ClientError> {
        let list: ConnectionList = patiently(until, Repeat::Always, || async {
            self.get(path::CONNECTIONS).await
        })
        .await?;
        let arrived = list.connections.into_iter();
        Ok(arrived
            .map(|connection| connection.by_own_clock(now(), now()))
            .collect())
    }

    /// `POST /v1/connections/{id}/token`
    pub async fn token(
        &self,
        id: &ConnectionId,
        message: &TokenRequest,
        until: Instant,
    ) -> Result<TokenAnswer, ClientError> {
        let path = fill(path::CONNECTION_TOKEN, "id", id.as_str());
        patiently(until, Repeat::Always, || async {
            self.post(&path, message).await
        })
        .await
        .map(|token: TokenAnswer| token.by_own_clock(now(), now()))
    }

    /// `POST /v1/connections/{id}/exchange`
    pub async fn exchange(
        &self,
        id: &ConnectionId,
        message: &ExchangeRequest,
        until: Instant,
    ) -> Result<TokenAnswer, ClientError> {
        let path = fill(path::CONNECTION_EXCHANGE, "id", id.as_str());
        patiently(until, Repeat::IfNotDone, || async {
            self.post(&path, message).await
        })
        .await
        .map(|token: TokenAnswer| token.by_own_clock(now(), now()))
    }

    /// An access token of a connection: its own, or the one that it is exchanged for.
    pub async fn access_token(
        &self,
        (id, exchange): (&ConnectionId, Option<&ExchangeRequest>),
        wanted: &TokenRequest,
        until: Instant,
    ) -> Result<TokenAnswer, ClientError> {
        let Some(exchange) = exchange else {
            return self.token(id, wanted, until).await;
        };
        let message = ExchangeRequest {
            min_valid_seconds: wanted.min_valid_seconds,
            rejected_ath: wanted.rejected_ath.clone(),
            ..exchange.clone()
        };
        self.exchange(id, &message, until).await
    }

    /// `GET /v1/connections/{id}/userinfo`
    pub async fn userinfo(
        &self,
        id: &ConnectionId,
        until: Instant,
    ) -> Result<UserInfo, ClientError> {
        let path = fill(path::CONNECTION_USERINFO, "id", id.as_str());
        patiently(until, Repeat::Always, || async { self.get(&path).await }).await
    }

    /// `DELETE /v1/connections/{id}`
    pub async fn sign_out(&self, id: &ConnectionId, until: Instant) -> Result<(), ClientError> {
        let path = fill(path::CONNECTION, "id", id.as_str());
        patiently(until, Repeat::Always, || async {
            no_content(self.request(Method::DELETE, &path)?.send().await?).await
        })
        .await
    }

    /// Starts a request that proves, by the poll secret, to be of the kernel that opened the sign-in.
    fn of_sign_in(
        &self,
        method: Method,
        path: &str,
        sign_in: &SignInOpened,
    ) -> Result<RequestBuilder, ClientError> {
        let mut secret = HeaderValue::try_from(sign_in.poll_secret.expose()).map_err(|_| {
            ClientError::Setup("the poll secret holds a character that no header can carry")
        })?;
        secret.set_sensitive(true);
        let path = fill(path, "nonce", sign_in.nonce.as_str());
        Ok(self.request(method, &path)?.header(POLL_SECRET, secret))
    }
}

fn answer_by_own_clock(answer: CreateSignInAnswer) -> CreateSignInAnswer {
    match answer {
        CreateSignInAnswer::Connected { connection, token } => CreateSignInAnswer::Connected {
            connection: connection.by_own_clock(now(), now()),
            token: token.by_own_clock(now(), now()),
        },
        opened @ CreateSignInAnswer::Opened(_) => opened,
    }
}

/// When the broker told it is in the head of its answer.
fn status_by_own_clock(status: SignInStatus, told_at: Duration) -> SignInStatus {
    match status {
        SignInStatus::Connected { connection, token } => SignInStatus::Connected {
            connection: connection.by_own_clock(told_at, now()),
            token: token.by_own_clock(told_at, now()),
        },
        other => other,
    }
}

/// `Date` of an answer (RFC 9110 section 6.6.1), since 1970.
fn date(headers: &HeaderMap) -> Option<Duration> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let date = httpdate::parse_http_date(date).ok()?;
    date.duration_since(UNIX_EPOCH).ok()
}

/// What this machine's clock says, since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this crate looks at the clock; only people and other programs go by it"
)]
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
