//! `hubkey doctor`: what a token needs, step by step, and what to do where something is wrong.

use std::{fmt::Write as _, time::Duration};

use hubkey_broker_client::BrokerClient;
use hubkey_protocol::{Provider, ProviderStatus, secret::ServerToken};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::time::Instant;

use crate::{
    Outcome, Then,
    environment::{Environment, Settings},
    failure::{Exit, Failure},
    fresh::now,
    output::{answer, plain},
};

/// Short: a person is waiting.
const PATIENCE: Duration = Duration::from_secs(5);
/// Providers and browsers begin to refuse what is further off.
const TOLERABLE: Duration = Duration::from_secs(30);

/// The lines so far, and the exit code of the first that is bad.
#[derive(Default)]
struct Report {
    lines: String,
    bad: Option<Exit>,
}

pub(crate) async fn run(environment: &Environment) -> Outcome {
    let mut report = Report::default();
    examine(environment, &mut report).await;
    answer(&report.lines)?;
    Ok(Then::End(report.bad.map_or(0, Exit::code)))
}

/// Goes on until something is wrong that the rest depends on.
async fn examine(environment: &Environment, report: &mut Report) {
    let settings = match environment.settings() {
        Ok(settings) => settings,
        Err(failure) => return report.bad("environment", &failure),
    };
    let url = settings.destination.url.origin().ascii_serialization();
    report.good(
        "environment",
        &format!("the hub has set what is needed; the broker is at {url}"),
    );
    let client = match BrokerClient::new(&settings.destination, settings.token.clone()) {
        Ok(client) => client,
        Err(error) => return report.bad("broker", &error.into()),
    };
    match client.reach(Instant::now() + PATIENCE).await {
        Ok(reached) => {
            report.good("broker", answers(&settings));
            report.clock(reached.date.as_deref());
        }
        Err(error) => return report.bad("broker", &error.into()),
    }
    match client.providers(Instant::now() + PATIENCE).await {
        Ok(providers) => report.providers(&providers),
        Err(error) => return report.bad("identity", &error.into()),
    }
    report.connections(&client).await;
}

fn answers(settings: &Settings) -> &'static str {
    if settings.destination.url.scheme() == "https" {
        "it answers, and its certificate is trusted"
    } else {
        "it answers, without TLS"
    }
}

impl Report {
    fn good(&mut self, what: &str, said: &str) {
        self.line("ok", what, said);
    }

    fn bad(&mut self, what: &str, failure: &Failure) {
        self.bad.get_or_insert(failure.exit());
        let said = failure.said().replace('\n', "\n                   ");
        self.line("bad", what, &said);
    }

    fn line(&mut self, verdict: &str, what: &str, said: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.lines, "{verdict:<5} {what:<12} {said}");
    }

    fn clock(&mut self, date: Option<&str>) {
        let Some(theirs) = date.and_then(unix) else {
            return self.good(
                "clock",
                "the broker did not say its time; nothing to compare",
            );
        };
        let off = now().abs_diff(theirs);
        if off <= TOLERABLE {
            let said = format!("within {} s of the broker's", off.as_secs() + 1);
            return self.good("clock", &said);
        }
        let said = format!(
            "The clock of this server and that of the broker differ by {} s. Tell the operator of this JupyterHub to \
             synchronise the clocks. Tokens are renewed in time all the same; certificates and other programs go by the clock.",
            off.as_secs()
        );
        self.bad("clock", &Failure::new(Exit::Failed, said));
    }

    fn providers(&mut self, providers: &[Provider]) {
        self.good("identity", "the broker recognises this server by its token");
        if providers.is_empty() {
            let said = "No provider is configured. Ask the operator of this JupyterHub to add one.";
            self.bad("providers", &Failure::new(Exit::Failed, said));
        }
        for provider in providers {
            let name = format!(
                "{} ({})",
                provider.id.as_str(),
                plain(&provider.display_name)
            );
            match provider.status {
                ProviderStatus::Ready => self.good("provider", &format!("{name} answers")),
                ProviderStatus::Unknown => {
                    self.good("provider", &format!("{name} was not asked yet"));
                }
                ProviderStatus::Unavailable => {
                    let said = format!(
                        "{name} could not be reached lately. A sign-in tries again; if that fails, tell the operator \
                         of this JupyterHub."
                    );
                    self.bad("provider", &Failure::new(Exit::Transient, said));
                }
            }
        }
    }

    async fn connections(&mut self, client: &BrokerClient<ServerToken>) {
        match client.connections(Instant::now() + PATIENCE).await {
            Ok(connections) if connections.is_empty() => {
                self.good("connections", "none yet; `hubkey login NAME` makes one");
            }
            Ok(connections) => {
                let said = format!("{}; `hubkey status` shows them", connections.len());
                self.good("connections", &said);
            }
            Err(error) => self.bad("connections", &error.into()),
        }
    }
}

/// A moment as HTTP writes it, since 1970.
fn unix(date: &str) -> Option<Duration> {
    let moment = OffsetDateTime::parse(date, &Rfc2822).ok()?;
    u64::try_from(moment.unix_timestamp())
        .ok()
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_answer_is_read() {
        let read = |date| unix(date).map(|since| since.as_secs());
        assert_eq!(read("Tue, 25 Nov 2025 03:12:05 GMT"), Some(1_764_040_325));
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn clocks_that_differ_are_told() {
        let mut report = Report::default();
        report.clock(Some("Tue, 25 Nov 2025 03:12:05 GMT"));
        assert_eq!(report.bad, Some(Exit::Failed));
    }
}
