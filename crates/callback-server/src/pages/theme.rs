//! What all pages share: the hub's name, the style sheet with the operator's accent, and the policy that names it.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use hubkey_protocol::internal::SiteInfo;
use url::Url;

use super::{colour::Colour, untrusted_text::UntrustedText};

const SHEET: &str = include_str!("../../templates/style.css");

/// The one script, on the page that says that all is done. A tab that a person opened stays open in most browsers.
pub(crate) const CLOSE_SCRIPT: &str = "setTimeout(() => window.close(), 1500)";

/// What all pages share.
#[derive(Debug)]
pub(crate) struct Theme {
    pub(crate) hub_name: UntrustedText,
    pub(crate) support_url: Option<String>,
    pub(crate) css: String,
    policy: HeaderValue,
    closing_policy: HeaderValue,
}

impl Theme {
    /// The theme before the broker has said how this hub is called.
    pub(crate) fn unnamed(public_url: &Url) -> Self {
        Self::new(public_url.host_str().unwrap_or("hubkey"), None, None)
    }

    /// The theme that the broker describes.
    pub(crate) fn of(site: &SiteInfo) -> Self {
        let accent = site.accent_color.as_deref().and_then(Colour::parse);
        Self::new(
            &site.hub_name,
            accent,
            site.support_url.as_deref().and_then(link),
        )
    }

    fn new(hub_name: &str, accent: Option<Colour>, support_url: Option<String>) -> Self {
        let css = accent.map_or_else(
            || SHEET.to_owned(),
            |accent| format!("{SHEET}{}", accent_rules(accent)),
        );
        let style = source_hash(&css);
        Self {
            hub_name: UntrustedText::new(hub_name),
            support_url,
            policy: policy(&format!("; style-src {style}")),
            closing_policy: policy(&format!(
                "; style-src {style}; script-src {}",
                source_hash(CLOSE_SCRIPT)
            )),
            css,
        }
    }

    /// The Content-Security-Policy of a page without a script.
    pub(crate) fn policy(&self) -> HeaderValue {
        self.policy.clone()
    }

    /// The Content-Security-Policy of the page with the closing script.
    pub(crate) fn closing_policy(&self) -> HeaderValue {
        self.closing_policy.clone()
    }
}

/// A policy that allows nothing but what `extra` says.
pub(crate) fn policy(extra: &str) -> HeaderValue {
    let text = format!(
        "default-src 'none'{extra}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

fn source_hash(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(digest.as_ref()))
}

/// The operator's accent in both schemes, moved until text in it and on it can be read.
fn accent_rules(accent: Colour) -> String {
    let scheme = |grounds: [&str; 3], goal: Colour, wash: u16| {
        let grounds = grounds.map(|token| Colour::parse(token).unwrap_or(Colour::WHITE));
        let sheet = grounds[0];
        let washed = accent.mixed(sheet, wash);
        let accent = accent.readable_on(&[sheet, grounds[1], grounds[2], washed], goal);
        format!(
            "--accent: {accent}; --accent-ink: {}; --accent-wash: {washed};",
            accent.ink()
        )
    };
    let light = scheme(["#ffffff", "#f5f5f2", "#f8f8f6"], Colour::BLACK, 18);
    let dark = scheme(["#1e1e1b", "#141412", "#252521"], Colour::WHITE, 16);
    format!(":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n")
}

/// A link of the operator's: to a web page or to a mailbox.
fn link(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "http" | "https" | "mailto").then(|| url.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::pages::colour::TEXT_CONTRAST;

    const DARK: &str = "@media (prefers-color-scheme: dark)";

    /// What stands as text on what, and what bounds a control on what.
    const TEXTS: &[(&str, &[&str])] = &[
        ("ink", &["ground", "sheet", "inset", "warn-wash"]),
        ("quiet", &["ground", "sheet", "inset"]),
        ("accent", &["ground", "sheet", "accent-wash"]),
        ("accent-ink", &["accent"]),
        ("good", &["good-wash"]),
        ("bad", &["bad-wash"]),
        ("warn", &["warn-wash"]),
    ];
    const BOUNDS: &[(&str, &[&str])] = &[
        ("control", &["sheet", "inset"]),
        ("focus", &["ground", "sheet"]),
    ];

    /// The tokens of a sheet in the light and in the dark scheme.
    fn schemes(css: &str) -> [BTreeMap<String, Colour>; 2] {
        let mut light = BTreeMap::new();
        let mut dark = BTreeMap::new();
        let mut in_dark = false;
        for part in css.split(';') {
            in_dark = part.contains(DARK) || (in_dark && !part.contains('}'));
            let Some((name, value)) = part
                .rsplit_once("--")
                .and_then(|(_, token)| token.split_once(':'))
            else {
                continue;
            };
            let Some(colour) = Colour::parse(value.trim()) else {
                continue;
            };
            if !in_dark {
                light.insert(name.to_owned(), colour);
            }
            dark.insert(name.to_owned(), colour);
        }
        [light, dark]
    }

    fn check(css: &str) {
        for tokens in schemes(css) {
            let at_least = |pairs: &[(&str, &[&str])], least: f64| {
                for (front, grounds) in pairs {
                    for ground in *grounds {
                        let contrast = tokens[*front].contrast(tokens[*ground]);
                        assert!(
                            contrast >= least,
                            "--{front} on --{ground}: {contrast:.2}\n{tokens:?}"
                        );
                    }
                }
            };
            at_least(TEXTS, TEXT_CONTRAST);
            at_least(BOUNDS, 3.0);
        }
    }

    #[test]
    fn the_sheet_can_be_read_in_both_schemes() {
        let [light, dark] = schemes(SHEET);
        assert_eq!(light["ground"].to_string(), "#f5f5f2");
        assert_eq!(dark["ground"].to_string(), "#141412");
        check(SHEET);
    }

    #[test]
    fn the_sheet_can_be_read_with_every_accent() {
        for accent in [
            "#000000", "#ffffff", "#ff0000", "#00ff00", "#0000ff", "#ffff00", "#f37726", "#808080",
            "#123456",
        ] {
            check(&Theme::new("hub", Colour::parse(accent), None).css);
        }
    }

    #[test]
    fn the_grounds_of_the_accent_are_those_of_the_sheet() {
        let [light, dark] = schemes(SHEET);
        for (tokens, grounds) in [
            (light, ["#ffffff", "#f5f5f2", "#f8f8f6"]),
            (dark, ["#1e1e1b", "#141412", "#252521"]),
        ] {
            let of_sheet = ["sheet", "ground", "inset"].map(|name| tokens[name].to_string());
            assert_eq!(of_sheet, grounds.map(str::to_owned));
        }
    }

    #[test]
    fn only_pages_and_mailboxes_are_links() {
        assert_eq!(
            link("https://help.example.org/x").as_deref(),
            Some("https://help.example.org/x")
        );
        assert!(link("mailto:help@example.org").is_some());
        for text in [
            "javascript:alert(1)",
            "data:text/html,x",
            "/relative",
            "",
            "file:///etc/passwd",
        ] {
            assert_eq!(link(text), None, "{text}");
        }
    }
}
