//! Which of the standard `OTEL_*` variables are set, and whether they can work. The SDK reads most of them itself, but
//! takes a default where one makes no sense; an operator is to be told instead.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];
const GENERAL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TIMEOUT: Duration = Duration::from_secs(10);

/// An `OTEL_*` variable that cannot work. Its value is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{variable}`: {remedy}")]
pub struct TraceConfigError {
    variable: &'static str,
    remedy: &'static str,
}

/// Where traces go, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceSettings {
    /// The whole address that spans are sent to.
    pub(super) endpoint: Url,
    pub(super) timeout: Duration,
    /// PEM certificates of the authorities to trust for the endpoint.
    pub(super) authorities: Option<PathBuf>,
    /// Whether the operator names the service.
    pub(super) names_service: bool,
}

impl TraceSettings {
    /// `None` where no endpoint is set, or traces are switched off.
    pub(super) fn read(
        environment: &BTreeMap<String, String>,
    ) -> Result<Option<Self>, TraceConfigError> {
        let environment = Environment(environment);
        let endpoint = environment.either("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", GENERAL);
        let disabled = environment
            .text("OTEL_SDK_DISABLED")
            .is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let Some(endpoint) = endpoint.filter(|_| !disabled && environment.exports()) else {
            return Ok(None);
        };
        environment.check_exporter()?;
        environment.check_protocol()?;
        environment.check_sampler()?;
        Ok(Some(Self {
            endpoint: address(endpoint)?,
            timeout: environment.timeout()?,
            authorities: environment
                .either(
                    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
                    "OTEL_EXPORTER_OTLP_CERTIFICATE",
                )
                .map(|(_, path)| path.into()),
            names_service: environment.text("OTEL_SERVICE_NAME").is_some()
                || environment
                    .text("OTEL_RESOURCE_ATTRIBUTES")
                    .is_some_and(|text| text.contains("service.name=")),
        }))
    }
}

struct Environment<'a>(&'a BTreeMap<String, String>);

impl<'a> Environment<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.trim())
    }

    /// The variable for traces wins over the one for everything.
    fn either(
        &self,
        special: &'static str,
        general: &'static str,
    ) -> Option<(&'static str, &'a str)> {
        [special, general]
            .into_iter()
            .find_map(|name| Some((name, self.text(name)?)))
    }

    fn exports(&self) -> bool {
        self.text("OTEL_TRACES_EXPORTER") != Some("none")
    }

    fn check_exporter(&self) -> Result<(), TraceConfigError> {
        match self.text("OTEL_TRACES_EXPORTER") {
            None | Some("otlp") => Ok(()),
            Some(_) => Err(TraceConfigError {
                variable: "OTEL_TRACES_EXPORTER",
                remedy: "hubkey exports traces by OTLP only; write `otlp`, or `none` for no traces",
            }),
        }
    }

    fn check_protocol(&self) -> Result<(), TraceConfigError> {
        let protocol = self.either(
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        );
        match protocol {
            None | Some((_, "http/protobuf")) => Ok(()),
            Some((variable, _)) => Err(TraceConfigError {
                variable,
                remedy: "hubkey speaks `http/protobuf` only; write that, and name the collector's port for it (4318)",
            }),
        }
    }

    fn check_sampler(&self) -> Result<(), TraceConfigError> {
        let Some(sampler) = self.text("OTEL_TRACES_SAMPLER") else {
            return Ok(());
        };
        if !SAMPLERS.contains(&sampler) {
            return Err(TraceConfigError {
                variable: "OTEL_TRACES_SAMPLER",
                remedy: "write `always_on`, `always_off`, `traceidratio`, or one of them after `parentbased_`",
            });
        }
        let ratio = self.text("OTEL_TRACES_SAMPLER_ARG");
        let is_ratio = |text: &str| text.parse().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio));
        if sampler.ends_with("traceidratio") && !ratio.is_some_and(is_ratio) {
            return Err(TraceConfigError {
                variable: "OTEL_TRACES_SAMPLER_ARG",
                remedy: "write the part of all traces to keep, from 0 to 1",
            });
        }
        Ok(())
    }

    fn timeout(&self) -> Result<Duration, TraceConfigError> {
        let timeout = self.either(
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            "OTEL_EXPORTER_OTLP_TIMEOUT",
        );
        let Some((variable, text)) = timeout else {
            return Ok(TIMEOUT);
        };
        match text.parse() {
            Ok(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
            _ => Err(TraceConfigError {
                variable,
                remedy: "write a number of milliseconds",
            }),
        }
    }
}

fn address((variable, text): (&'static str, &str)) -> Result<Url, TraceConfigError> {
    // The general variable names the place below which each kind of telemetry has a path of its own.
    let text = match variable {
        GENERAL => format!("{}/v1/traces", text.trim_end_matches('/')),
        _ => text.to_owned(),
    };
    let url = Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or(TraceConfigError {
        variable,
        remedy: "this is no http or https address; write one such as `http://otel-collector:4318`",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<TraceSettings>, TraceConfigError> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        TraceSettings::read(&variables.collect())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_SERVICE_NAME", "broker")]), Ok(None));
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
        assert_eq!(
            read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]),
            Ok(None)
        );
    }

    #[test]
    fn the_variable_for_traces_wins() {
        let traces = (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://traces.example/v1/traces",
        );
        let settings = read(&[ENDPOINT, traces, ("OTEL_EXPORTER_OTLP_TIMEOUT", "250")]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.endpoint.as_str(), traces.1);
        assert_eq!(settings.timeout, Duration::from_millis(250));
        assert!(!settings.names_service);
        let below = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/otlp/")]);
        let below = below.unwrap().unwrap().endpoint;
        assert_eq!(below.as_str(), "http://collector:4318/otlp/v1/traces");
        let named = (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment=x,service.name=broker",
        );
        assert!(read(&[ENDPOINT, named]).unwrap().unwrap().names_service);
    }

    #[test]
    fn what_cannot_work_is_a_mistake_that_does_not_repeat_the_value() {
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector.secret:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:///secret"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[secret"),
            ("OTEL_TRACES_EXPORTER", "secret"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc-secret"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s-secret"),
            ("OTEL_TRACES_SAMPLER", "secret"),
        ] {
            let told = read(&[ENDPOINT, (variable, value)]).unwrap_err();
            let told = told.to_string();
            assert!(
                told.contains(variable) && !told.contains("secret"),
                "{told}"
            );
        }
        let ratio = [ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio")];
        assert_eq!(
            read(&ratio).unwrap_err().variable,
            "OTEL_TRACES_SAMPLER_ARG"
        );
    }
}
