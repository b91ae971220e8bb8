//! How a call travels: one HTTP client with tight limits, one credential, one reader of answers.

use std::time::Duration;

use hubkey_protocol::{Problem, bounds::Bound, secret::Secret, trace::REQUEST_ID_HEADER};
use reqwest::{
    Certificate, Client, ClientBuilder, Method, RequestBuilder, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect, tls,
};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::{CallContext, ClientError};

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Until an answer is complete; a method that waits longer (a long poll) says so itself.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the broker is.
#[derive(Debug, Clone)]
pub struct Destination {
    /// `http://127.0.0.1:8081`, `https://broker.example.org/prefix`, …; a trailing slash makes no difference.
    pub url: Url,
    /// PEM certificates of authorities to trust in addition to the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// A client of one broker with the credential `C`, which decides what it may call.
///
/// Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct BrokerClient<C> {
    client: Client,
    base: String,
    credential: C,
    context: CallContext,
}

impl<C> std::fmt::Debug for BrokerClient<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerClient")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl<C: Secret> BrokerClient<C> {
    /// Sets up a client; connects to nothing yet.
    pub fn new(destination: &Destination, credential: C) -> Result<Self, ClientError> {
        bearer(&credential)?;
        let builder = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            .tls_version_min(tls::Version::TLS_1_2)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .user_agent(concat!("hubkey/", env!("CARGO_PKG_VERSION")));
        let client = trusting(builder, destination)?.build().map_err(|_| {
            ClientError::Setup(match destination.ca_pem {
                Some(_) => "TLS cannot be set up with the authorities to trust",
                None => "no authority is trusted on this system, which has no certificates of any",
            })
        })?;
        let base = destination.url.as_str().trim_end_matches('/').to_owned();
        Ok(Self {
            client,
            base,
            credential,
            context: CallContext::default(),
        })
    }

    /// The same client for calls that are part of something.
    #[must_use]
    pub fn within(&self, context: CallContext) -> Self
    where
        C: Clone,
    {
        Self {
            context,
            ..self.clone()
        }
    }

    /// Starts a request with the credential. `path` is one of [`hubkey_protocol::path`], filled by [`fill`].
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, ClientError> {
        let url = format!("{}{path}", self.base);
        let request = self
            .client
            .request(method, url)
            .header(AUTHORIZATION, bearer(&self.credential)?);
        Ok(self.context.write(request))
    }

    /// Sends `message` and reads the answer.
    pub(crate) async fn post<M: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        message: &M,
    ) -> Result<A, ClientError> {
        let request = self.request(Method::POST, path)?.json(message);
        self.answer_to(request).await
    }

    /// Asks and reads the answer.
    pub(crate) async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        self.answer_to(self.request(Method::GET, path)?).await
    }

    async fn answer_to<A: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<A, ClientError> {
        let response = request.send().await?;
        self.context.read(response.headers());
        answer(response).await
    }
}

/// Puts a handle into a path of [`hubkey_protocol::path`]. Handles hold no character that a path would have to escape.
pub(crate) fn fill(path: &str, name: &str, handle: &str) -> String {
    path.replace(&format!("{{{name}}}"), handle)
}

/// Reads an answer: the message of a 2xx, the problem of anything else.
pub(crate) async fn answer<A: DeserializeOwned>(response: Response) -> Result<A, ClientError> {
    let status = response.status();
    let unexpected = ClientError::Unexpected {
        status: status.as_u16(),
    };
    if !status.is_success() {
        return Err(refusal(response).await?);
    }
    let body = read(response).await?;
    serde_json::from_slice(&body).map_err(|_| unexpected)
}

/// Reads an answer that has no body (204).
pub(crate) async fn no_content(response: Response) -> Result<(), ClientError> {
    if response.status().is_success() {
        Ok(())
    } else {
        Err(refusal(response).await?)
    }
}

async fn refusal(response: Response) -> Result<ClientError, ClientError> {
    let status = response.status().as_u16();
    if !is_problem(response.headers()) {
        return Ok(ClientError::Unexpected { status });
    }
    let request_id = request_id(response.headers());
    let body = read(response).await?;
    let problem = serde_json::from_slice::<Box<Problem>>(&body);
    Ok(
        problem.map_or(ClientError::Unexpected { status }, |problem| {
            ClientError::Problem {
                problem,
                request_id,
            }
        }),
    )
}

/// The `X-Request-Id`, if it has the form that the servers give it: people copy it from an exception.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID_HEADER)?.to_str().ok()?;
    let is_harmless = (8..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_harmless.then(|| id.to_owned())
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .starts_with(Problem::CONTENT_TYPE.as_bytes())
    })
}

async fn read(mut response: Response) -> Result<Vec<u8>, ClientError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > Bound::BrokerAnswer.limit() {
            return Err(ClientError::Unexpected { status });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn bearer(credential: &impl Secret) -> Result<HeaderValue, ClientError> {
    let mut value =
        HeaderValue::try_from(format!("Bearer {}", credential.expose())).map_err(|_| {
            ClientError::Setup("the credential holds a character that no header can carry")
        })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Says whom to trust: nobody for plain http, so that an image without certificates can serve too.
fn trusting(
    builder: ClientBuilder,
    destination: &Destination,
) -> Result<ClientBuilder, ClientError> {
    match (&destination.ca_pem, destination.url.scheme()) {
        (Some(pem), _) => match Certificate::from_pem_bundle(pem) {
            Ok(certificates) if !certificates.is_empty() => {
                Ok(builder.tls_certs_merge(certificates))
            }
            _ => Err(ClientError::Setup(
                "the file of certificates holds no PEM certificate",
            )),
        },
        (None, "http") => Ok(builder.tls_certs_only([])),
        (None, _) => Ok(builder),
    }
}
