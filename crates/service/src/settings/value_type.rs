//! The types of value that a setting can have: how each is read, shown and described.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

/// A type of value.
pub trait ValueType {
    /// What a text of this type becomes.
    type Value;

    /// What is expected, so that it can follow "it must be".
    fn expected(&self) -> String;

    /// Reads a text; `None` if it is not of this type.
    fn read(&self, text: &str) -> Option<Self::Value>;

    /// A value as it would stand in the file.
    fn show(&self, value: &Self::Value) -> String;
}

/// Any text that is not empty.
pub const TEXT: Text = Text;
/// `true` or `false`.
pub const BOOL: Bool = Bool;
/// A length of time such as `30s`, `10m` or `12h`.
pub const DURATION: DurationType = DurationType {
    min: Duration::ZERO,
    max: Duration::MAX,
};
/// An address to listen on, such as `0.0.0.0:8091`.
pub const ADDRESS: Parsed<SocketAddr> =
    Parsed::of("an IP address with a port, such as 0.0.0.0:8091 or [::]:8091");
/// A range of addresses such as `10.0.0.0/8`; a single address is a range of one.
pub const NETWORK: Network = Network;
/// An http or https URL without user name, password, query or fragment.
pub const WEB_URL: WebUrl = WebUrl;
/// The path of a file or directory.
pub const PATH: FilePath = FilePath;

/// See [`TEXT`].
#[derive(Debug, Clone, Copy)]
pub struct Text;

impl ValueType for Text {
    type Value = String;

    fn expected(&self) -> String {
        "a text that is not empty".to_owned()
    }

    fn read(&self, text: &str) -> Option<String> {
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }
}

/// See [`BOOL`].
#[derive(Debug, Clone, Copy)]
pub struct Bool;

impl ValueType for Bool {
    type Value = bool;

    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, text: &str) -> Option<bool> {
        text.parse().ok()
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// A whole number between two bounds, both included.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    min: u64,
    max: u64,
}

impl Number {
    /// The numbers from `min` to `max`.
    #[must_use]
    pub const fn between(min: u64, max: u64) -> Self {
        Self { min, max }
    }
}

impl ValueType for Number {
    type Value = u64;

    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }

    fn read(&self, text: &str) -> Option<u64> {
        text.parse()
            .ok()
            .filter(|number| (self.min..=self.max).contains(number))
    }

    fn show(&self, value: &u64) -> String {
        value.to_string()
    }
}

/// See [`DURATION`].
#[derive(Debug, Clone, Copy)]
pub struct DurationType {
    min: Duration,
    max: Duration,
}

impl DurationType {
    /// The lengths of time from `min` to `max`, both included.
    #[must_use]
    pub const fn between(min: Duration, max: Duration) -> Self {
        Self { min, max }
    }
}

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

impl ValueType for DurationType {
    type Value = Duration;

    fn expected(&self) -> String {
        let example = "a length of time such as 500ms, 30s, 10m or 12h";
        if self.max == Duration::MAX {
            example.to_owned()
        } else {
            format!(
                "{example}, from {} to {}",
                self.show(&self.min),
                self.show(&self.max)
            )
        }
    }

    fn read(&self, text: &str) -> Option<Duration> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(digits);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
        let time = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(*factor)?);
        (self.min..=self.max).contains(&time).then_some(time)
    }

    fn show(&self, value: &Duration) -> String {
        let millis = value.as_millis();
        UNITS
            .iter()
            .rev()
            .find(|(_, factor)| millis > 0 && millis.is_multiple_of(u128::from(*factor)))
            .map_or_else(
                || format!("{}s", value.as_secs()),
                |(unit, factor)| format!("{}{unit}", millis / u128::from(*factor)),
            )
    }
}

/// See [`NETWORK`].
#[derive(Debug, Clone, Copy)]
pub struct Network;

impl ValueType for Network {
    type Value = IpNet;

    fn expected(&self) -> String {
        "a range of addresses such as 10.0.0.0/8".to_owned()
    }

    fn read(&self, text: &str) -> Option<IpNet> {
        text.parse()
            .ok()
            .or_else(|| text.parse().ok().map(|address: IpAddr| address.into()))
    }

    fn show(&self, value: &IpNet) -> String {
        value.to_string()
    }
}

/// See [`WEB_URL`].
#[derive(Debug, Clone, Copy)]
pub struct WebUrl;

impl ValueType for WebUrl {
    type Value = Url;

    fn expected(&self) -> String {
        "an http or https URL without user name, password, query or fragment, \
         such as https://hubkey.example.org/"
            .to_owned()
    }

    fn read(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        (is_plain && url.has_host() && matches!(url.scheme(), "http" | "https")).then_some(url)
    }

    fn show(&self, value: &Url) -> String {
        value.to_string()
    }
}

/// See [`PATH`].
#[derive(Debug, Clone, Copy)]
pub struct FilePath;

impl ValueType for FilePath {
    type Value = PathBuf;

    fn expected(&self) -> String {
        "the path of a file or directory".to_owned()
    }

    fn read(&self, text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    fn show(&self, value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// One of a few words.
#[derive(Debug, Clone, Copy)]
pub struct Enum<T: 'static>(
    /// Each word with what it means.
    pub &'static [(&'static str, T)],
);

impl<T: Clone + PartialEq> ValueType for Enum<T> {
    type Value = T;

    fn expected(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| format!("`{word}`")).collect();
        match words.as_slice() {
            [only] => only.clone(),
            words => format!("one of {}", words.join(", ")),
        }
    }

    fn read(&self, text: &str) -> Option<T> {
        self.0
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| value.clone())
    }

    fn show(&self, value: &T) -> String {
        let word = self.0.iter().find(|(_, candidate)| candidate == value);
        word.map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

/// Whatever a function reads, described by a few words.
#[derive(Debug, Clone, Copy)]
pub struct Parsed<T> {
    expected: &'static str,
    read: fn(&str) -> Option<T>,
    show: fn(&T) -> String,
}

impl<T: FromStr + Display> Parsed<T> {
    /// What the type's own [`FromStr`] reads.
    #[must_use]
    pub const fn of(expected: &'static str) -> Self {
        Self {
            expected,
            read: |text| text.parse().ok(),
            show: ToString::to_string,
        }
    }
}

impl<T> Parsed<T> {
    /// What `read` reads and `show` shows.
    #[must_use]
    pub const fn with(
        expected: &'static str,
        read: fn(&str) -> Option<T>,
        show: fn(&T) -> String,
    ) -> Self {
        Self {
            expected,
            read,
            show,
        }
    }
}

impl<T> ValueType for Parsed<T> {
    type Value = T;

    fn expected(&self) -> String {
        self.expected.to_owned()
    }

    fn read(&self, text: &str) -> Option<T> {
        (self.read)(text)
    }

    fn show(&self, value: &T) -> String {
        (self.show)(value)
    }
}
