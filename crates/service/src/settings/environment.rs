//! The one place that reads the process environment.

use std::collections::BTreeMap;

/// What every variable of ours begins with.
pub(super) const PREFIX: &str = "HUBKEY_";

/// The variable that names the settings file; it is read by the command line, not from the file.
pub const FILE_VARIABLE: &str = "HUBKEY_CONFIG";

/// The `HUBKEY_*` variables of this process, without those that Kubernetes adds for services of that name.
#[must_use]
pub fn process_environment() -> BTreeMap<String, String> {
    beginning_with(PREFIX)
        .filter(|(name, value)| !is_service_link(name, value))
        .collect()
}

/// The `OTEL_*` variables of this process that are not empty.
pub(crate) fn otel_environment() -> BTreeMap<String, String> {
    beginning_with("OTEL_")
        .filter(|(_, value)| !value.trim().is_empty())
        .collect()
}

fn beginning_with(prefix: &str) -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (lossy(&name), lossy(&value)))
        .filter(move |(name, _)| name.starts_with(prefix))
}

fn lossy(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}

/// Whether Kubernetes set this variable to tell where a service is: a pod beside a service `hubkey` has
/// `HUBKEY_SERVICE_HOST=10.0.0.7` and `HUBKEY_PORT_8081_TCP=tcp://10.0.0.7:8081`, and nobody meant them as settings.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let is_service = name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_");
    let is_address = value.starts_with("tcp://") || value.starts_with("udp://");
    let is_part = name.contains("_PORT_")
        && [
            "_TCP_PROTO",
            "_TCP_PORT",
            "_TCP_ADDR",
            "_UDP_PROTO",
            "_UDP_PORT",
            "_UDP_ADDR",
        ]
        .iter()
        .any(|end| name.ends_with(end));
    is_service || is_part || (is_address && name.contains("_PORT"))
}

/// `providers.lab-api` and `issuer` as the name of a variable.
pub(super) fn variable(path: &str) -> String {
    let mut name = String::from(PREFIX);
    name.extend(path.chars().map(|c| match c {
        '.' | '-' => '_',
        other => other.to_ascii_uppercase(),
    }));
    name
}
