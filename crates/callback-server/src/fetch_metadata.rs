//! Fetch Metadata, checked before every handler: only a person's own navigation passes
//! (`docs/reference/security-rules.md`, D6).
//!
//! A browser says what a request is for in `Sec-Fetch-*`, headers that no page can set. Whatever is not a navigation of
//! a whole tab (a script's fetch, a frame, a service worker, an image, a form of another site) is refused before any
//! state is looked at. What passes still needs its cookie and, to change something, its form token.

use http::{HeaderMap, HeaderName, Method, header::ORIGIN};

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The browser fetches ahead of time; nobody clicked yet.
    Prefetch,
    /// Not a navigation of a whole tab.
    NotANavigation,
    /// A form of another site, or of nobody knows where.
    ForeignForm,
    /// Headers that no browser sends.
    Malformed,
}

impl Denial {
    /// For the log.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Prefetch => "prefetch",
            Self::NotANavigation => "not_a_navigation",
            Self::ForeignForm => "foreign_form",
            Self::Malformed => "malformed",
        }
    }
}

const PREFETCH_HEADERS: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/// Checks a request by its method and headers. `origin` is the one that browsers reach this server by.
pub(crate) fn check(method: &Method, headers: &HeaderMap, origin: &str) -> Result<(), Denial> {
    if PREFETCH_HEADERS
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        return Err(Denial::Prefetch);
    }
    let site = FetchSite::read(headers)?;
    if *method == Method::POST {
        return check_form(site, headers, origin);
    }
    Ok(())
}

fn check_form(site: FetchSite, headers: &HeaderMap, origin: &str) -> Result<(), Denial> {
    let sent = single(headers, &ORIGIN)?;
    let is_ours = match (site, sent) {
        (FetchSite::SameOrigin, None) => true,
        (FetchSite::SameOrigin | FetchSite::Absent, Some(sent)) => sent == origin,
        (FetchSite::Elsewhere, _) | (FetchSite::Absent, None) => false,
    };
    if is_ours {
        Ok(())
    } else {
        Err(Denial::ForeignForm)
    }
}

/// Where a navigation began.
#[derive(Debug, Clone, Copy)]
enum FetchSite {
    /// At one of our pages.
    SameOrigin,
    /// Anywhere else: the Hub, a provider, a notebook, the address bar.
    Elsewhere,
    /// An old browser does not say.
    Absent,
}

impl FetchSite {
    /// Reads `Sec-Fetch-*`; an error unless they describe the navigation of a whole tab, or are absent altogether.
    fn read(headers: &HeaderMap) -> Result<Self, Denial> {
        let read = |name| single(headers, &HeaderName::from_static(name));
        match (
            read("sec-fetch-mode")?,
            read("sec-fetch-dest")?,
            read("sec-fetch-site")?,
        ) {
            (None, None, None) => Ok(Self::Absent),
            (Some("navigate"), Some("document"), Some("same-origin")) => Ok(Self::SameOrigin),
            (Some("navigate"), Some("document"), Some("same-site" | "cross-site" | "none")) => {
                Ok(Self::Elsewhere)
            }
            (Some(_), Some(_), Some(_)) => Err(Denial::NotANavigation),
            _ => Err(Denial::Malformed),
        }
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Denial> {
    let mut values = headers.get_all(name).iter();
    let first = values
        .next()
        .map(|value| value.to_str().map_err(|_| Denial::Malformed))
        .transpose()?;
    if values.next().is_some() {
        Err(Denial::Malformed)
    } else {
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "https://hubkey.example.org";

    fn checked(method: &Method, headers: &[(&'static str, &str)]) -> Result<(), Denial> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        check(method, &headers.collect(), OURS)
    }

    fn metadata(method: &Method, mode: &str, dest: &str, site: &str) -> Result<(), Denial> {
        checked(
            method,
            &[
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
                ("sec-fetch-site", site),
            ],
        )
    }

    #[test]
    fn security_o6_a_form_of_another_origin_is_refused() {
        let post = Method::POST;
        assert_eq!(
            metadata(&post, "navigate", "document", "same-origin"),
            Ok(())
        );
        for site in ["same-site", "cross-site", "none"] {
            assert_eq!(
                metadata(&post, "navigate", "document", site),
                Err(Denial::ForeignForm),
                "{site}"
            );
        }
        assert_eq!(checked(&post, &[("origin", OURS)]), Ok(()));
        assert_eq!(checked(&post, &[]), Err(Denial::ForeignForm));
        for origin in [
            "null",
            "",
            "https://hubkey.example.org.evil.example",
            "http://hubkey.example.org",
            "https://hubkey.example.org:8443",
        ] {
            assert_eq!(
                checked(&post, &[("origin", origin)]),
                Err(Denial::ForeignForm),
                "{origin}"
            );
        }
        let same_origin = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-site", "same-origin"),
            ("origin", "null"),
        ];
        assert_eq!(checked(&post, &same_origin), Err(Denial::ForeignForm));
    }

    #[test]
    fn security_o1_only_the_navigation_of_a_whole_tab_passes() {
        for site in ["same-origin", "same-site", "cross-site", "none"] {
            assert_eq!(
                metadata(&Method::GET, "navigate", "document", site),
                Ok(()),
                "{site}"
            );
            for (mode, dest) in [
                ("cors", "empty"),
                ("no-cors", "empty"),
                ("no-cors", "script"),
                ("no-cors", "image"),
                ("same-origin", "empty"),
                ("websocket", "websocket"),
                ("navigate", "iframe"),
                ("navigate", "object"),
                ("navigate", "embed"),
                ("navigate", "frame"),
                ("navigate", "fencedframe"),
                ("navigate", "empty"),
                ("Navigate", "document"),
            ] {
                assert_eq!(
                    metadata(&Method::GET, mode, dest, site),
                    Err(Denial::NotANavigation),
                    "{mode} {dest}"
                );
                assert_eq!(
                    metadata(&Method::POST, mode, dest, site),
                    Err(Denial::NotANavigation),
                    "{mode} {dest}"
                );
            }
        }
        assert_eq!(
            metadata(&Method::GET, "navigate", "document", "elsewhere"),
            Err(Denial::NotANavigation)
        );
    }

    #[test]
    fn headers_that_no_browser_sends_are_refused() {
        assert_eq!(
            checked(&Method::GET, &[("sec-fetch-site", "none")]),
            Err(Denial::Malformed)
        );
        assert_eq!(
            checked(
                &Method::GET,
                &[
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document")
                ]
            ),
            Err(Denial::Malformed)
        );
        let mut headers = HeaderMap::new();
        for value in ["cross-site", "same-origin"] {
            headers.append("sec-fetch-site", value.parse().unwrap());
        }
        assert_eq!(check(&Method::GET, &headers, OURS), Err(Denial::Malformed));
    }

    #[test]
    fn security_o7_what_is_fetched_ahead_of_time_is_refused() {
        for header in [
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
        ] {
            assert_eq!(
                checked(&Method::GET, &[header]),
                Err(Denial::Prefetch),
                "{header:?}"
            );
        }
        assert_eq!(checked(&Method::GET, &[]), Ok(()));
    }
}
