//! What a browser sent and got, read out of the events of its developer tools.

use std::collections::HashMap;

use serde_json::Value;
use url::Url;

/// Requests and cookies, in the order in which the browser told them.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// The address of every request, redirects too.
    pub requests: Vec<String>,
    /// Every cookie that a server set: name and value.
    pub cookies: Vec<(String, String)>,
    /// All that was told, as it was told: what a leak test reads.
    pub everything: String,
}

impl Traffic {
    /// Reads the events, one JSON document each.
    pub fn read<'a>(events: impl Iterator<Item = &'a str>) -> Self {
        let mut traffic = Self::default();
        for text in events {
            traffic.everything.push_str(text);
            traffic.everything.push('\n');
            if let Ok(event) = serde_json::from_str::<Value>(text) {
                traffic.note(&event["message"]);
            }
        }
        traffic
    }

    /// Adds what was told later.
    pub fn extend(&mut self, later: Self) {
        self.requests.extend(later.requests);
        self.cookies.extend(later.cookies);
        self.everything.push_str(&later.everything);
    }

    /// The first request whose path starts with this, below any host.
    #[must_use]
    pub fn to(&self, path: &str) -> Option<Url> {
        let mut urls = self
            .requests
            .iter()
            .filter_map(|text| Url::parse(text).ok());
        urls.find(|url| url.path().starts_with(path))
    }

    /// The requests after the first one whose path starts with this.
    #[must_use]
    pub fn after(&self, path: &str) -> &[String] {
        let place = self
            .requests
            .iter()
            .position(|text| Url::parse(text).is_ok_and(|url| url.path().starts_with(path)));
        place.map_or(&[], |place| &self.requests[place + 1..])
    }

    /// Every value of a query parameter of this name, in any request.
    #[must_use]
    pub fn parameters(&self, name: &str) -> Vec<String> {
        let urls = self
            .requests
            .iter()
            .filter_map(|text| Url::parse(text).ok());
        urls.filter_map(|url| parameter(&url, name)).collect()
    }

    fn note(&mut self, message: &Value) {
        let parameters = &message["params"];
        match message["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let url = parameters["request"]["url"].as_str();
                self.requests.extend(url.map(str::to_owned));
            }
            Some("Network.responseReceivedExtraInfo") => {
                let headers: HashMap<String, String> =
                    serde_json::from_value(parameters["headers"].clone()).unwrap_or_default();
                for (name, lines) in headers {
                    if name.eq_ignore_ascii_case("set-cookie") {
                        self.cookies.extend(lines.lines().filter_map(cookie));
                    }
                }
            }
            _ => {}
        }
    }
}

/// The value of a query parameter.
#[must_use]
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn cookie(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split(';').next()?.split_once('=')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Traffic, parameter};

    #[test]
    fn requests_and_cookies_are_read_in_order() {
        let events = [
            r#"{"message":{"method":"Network.requestWillBeSent","params":{"request":{"url":"http://a/x?code=1&state=s"}}}}"#,
            r#"{"message":{"method":"Network.responseReceivedExtraInfo","params":{"headers":{"Set-Cookie":"n=v; Path=/\nm=w"}}}}"#,
            r#"{"message":{"method":"Network.requestWillBeSent","params":{"request":{"url":"http://a/done"}}}}"#,
        ];
        let traffic = Traffic::read(events.into_iter());
        let first = traffic.to("/x").unwrap();
        assert_eq!(parameter(&first, "code").as_deref(), Some("1"));
        assert_eq!(traffic.after("/x"), ["http://a/done"]);
        let cookies = [("n", "v"), ("m", "w")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(traffic.cookies, cookies);
        assert_eq!(traffic.parameters("state"), ["s"]);
    }
}
