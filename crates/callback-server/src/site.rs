//! The hub's name and theme and the keys that are published, kept as the broker says them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hubkey_broker_client::{BrokerClient, ClientError};
use hubkey_protocol::{ProviderId, internal::SiteInfo, secret::SharedSecret};
use serde_json::Value;
use tokio::{sync::watch, time::sleep};
use url::Url;

use crate::pages::Theme;

/// How often an answer is asked for again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(15);
/// The first and the longest pause after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Why the broker's description of the site cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The broker was not asked yet.
    #[error("the broker was not asked yet")]
    NotAsked,
    /// The broker gave no answer.
    #[error("the broker does not say what the site is called")]
    Broker(#[from] ClientError),
    /// Both servers need the same public URL, or no link leads here.
    #[error("the broker's public URL is {theirs}, this server's is {ours}; give both the same")]
    PublicUrlDiffers {
        /// This server's.
        ours: String,
        /// The broker's.
        theirs: String,
    },
}

/// What is known of the site.
#[derive(Debug, Clone)]
pub struct SiteState {
    theme: Arc<Theme>,
    key_sets: Option<Arc<KeySets>>,
    problem: Option<Arc<SiteError>>,
}

/// A JWK Set of public keys for each provider that reads it here.
pub(crate) type KeySets = BTreeMap<ProviderId, Value>;

impl SiteState {
    /// Why this server is not ready to serve, if it is not.
    #[must_use]
    pub fn problem(&self) -> Option<&SiteError> {
        self.problem.as_deref()
    }

    pub(crate) fn theme(&self) -> Arc<Theme> {
        Arc::clone(&self.theme)
    }

    /// None as long as the broker has not said.
    pub(crate) fn key_sets(&self) -> Option<Arc<KeySets>> {
        self.key_sets.clone()
    }
}

/// Keeps the description of the site current, by asking the broker again and again.
#[derive(Debug)]
pub struct SiteWatcher {
    broker: BrokerClient<SharedSecret>,
    public_url: Url,
    known: Option<SiteInfo>,
    state: watch::Sender<SiteState>,
}

impl SiteWatcher {
    pub(crate) fn new(
        broker: BrokerClient<SharedSecret>,
        public_url: Url,
    ) -> (Self, watch::Receiver<SiteState>) {
        let theme = Arc::new(Theme::unnamed(&public_url));
        let (state, receiver) = watch::channel(SiteState {
            theme,
            key_sets: None,
            problem: Some(Arc::new(SiteError::NotAsked)),
        });
        (
            Self {
                broker,
                public_url,
                known: None,
                state,
            },
            receiver,
        )
    }

    /// What is known, now and later: for the readiness of the server.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<SiteState> {
        self.state.subscribe()
    }

    /// Asks once. A failure leaves what is known as it is.
    pub async fn refresh(&mut self) -> Result<(), Arc<SiteError>> {
        let problem = self.fetch().await.err().map(Arc::new);
        self.state
            .send_modify(|state| state.problem.clone_from(&problem));
        problem.map_or(Ok(()), Err)
    }

    /// Asks for ever; dropped when the server ends.
    pub async fn run(mut self) {
        let mut pause = RETRY.0;
        let mut logged = String::new();
        loop {
            let outcome = self.refresh().await;
            log_change(&mut logged, outcome.as_ref().err());
            pause = if outcome.is_ok() {
                RETRY.0
            } else {
                (pause * 2).min(RETRY.1)
            };
            sleep(if outcome.is_ok() {
                REFRESH_INTERVAL
            } else {
                pause
            })
            .await;
        }
    }

    async fn fetch(&mut self) -> Result<(), SiteError> {
        let site = self.broker.site().await?;
        let [ours, theirs] =
            [self.public_url.as_str(), &site.public_url].map(|url| url.trim_end_matches('/'));
        if ours != theirs {
            return Err(SiteError::PublicUrlDiffers {
                ours: ours.to_owned(),
                theirs: theirs.to_owned(),
            });
        }
        if self.known.as_ref() != Some(&site) {
            let theme = Arc::new(Theme::of(&site));
            let key_sets = Some(Arc::new(site.key_sets.clone()));
            self.state.send_modify(|state| {
                state.theme = theme;
                state.key_sets = key_sets;
            });
            self.known = Some(site);
        }
        Ok(())
    }
}

/// Logs what is wrong, or that all is well again, when it is not what was logged last.
fn log_change(logged: &mut String, problem: Option<&Arc<SiteError>>) {
    let now = problem.map(ToString::to_string).unwrap_or_default();
    match problem {
        _ if now == *logged => {}
        Some(problem) => {
            let cause = std::error::Error::source(&**problem).map(ToString::to_string);
            tracing::warn!(%problem, cause, "not ready; asking again");
        }
        None => tracing::info!("the broker says what the site is called"),
    }
    *logged = now;
}
