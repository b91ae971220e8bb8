//! Flow cookies: one per flow, named by the flow's short id.
//!
//! The prefixes are a promise that the browser enforces: neither a script nor, on an own host, a sibling domain can
//! have made such a cookie. Chromium 156 keeps that promise on `http://127.0.0.1` too, so the names are the same there.

use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, InvalidHeaderValue},
};
use hubkey_protocol::{
    ShortId,
    bounds::Bound,
    internal::SetFlowCookie,
    secret::{FlowCookie, Secret},
};

/// So many flows of one browser may be open at once.
const MAX_LIVE: usize = 8;

/// Two cookies of one name: a browser would have to be told different things by different hosts or paths.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// How flow cookies are named, and where they are valid.
#[derive(Debug, Clone)]
pub(crate) struct FlowCookies {
    name: &'static str,
    path: String,
}

impl FlowCookies {
    /// `prefix` is the path of the public URL: empty on a host of our own, `/services/hubkey` on the hub's origin, where
    /// a cookie of the whole origin would reach every user's server.
    pub(crate) fn below(prefix: &str) -> Self {
        let name = if prefix.is_empty() {
            "__Host-Http-hk-"
        } else {
            "__Http-hk-"
        };
        Self {
            name,
            path: format!("{prefix}/"),
        }
    }

    /// The cookie of one flow, if the browser sent it.
    pub(crate) fn read(
        &self,
        headers: &HeaderMap,
        flow: &ShortId,
    ) -> Result<Option<FlowCookie>, Ambiguous> {
        let mut values = self
            .pairs(headers)
            .filter(|(name, _)| *name == flow.as_str())
            .map(|(_, value)| value);
        let first = values.next();
        if values.next().is_some() {
            return Err(Ambiguous);
        }
        Ok(first
            .filter(|value| (1..=Bound::FlowCookie.limit()).contains(&value.len()))
            .map(FlowCookie::new))
    }

    /// Sets a cookie.
    pub(crate) fn set(&self, cookie: &SetFlowCookie) -> Result<HeaderValue, InvalidHeaderValue> {
        self.line(&cookie.flow, cookie.value.expose(), cookie.max_age)
    }

    /// Clears a cookie.
    pub(crate) fn clear(&self, flow: &ShortId) -> Result<HeaderValue, InvalidHeaderValue> {
        self.line(flow, "", 0)
    }

    /// The flows whose cookies have to go before `new` comes. Browsers send the oldest first (RFC 6265, 5.4).
    pub(crate) fn surplus(&self, headers: &HeaderMap, new: &ShortId) -> Vec<ShortId> {
        let mut live: Vec<ShortId> = Vec::new();
        for flow in self
            .pairs(headers)
            .filter_map(|(name, _)| ShortId::parse(name).ok())
        {
            if flow != *new && !live.contains(&flow) {
                live.push(flow);
            }
        }
        live.truncate((live.len() + 1).saturating_sub(MAX_LIVE));
        live
    }

    fn line(
        &self,
        flow: &ShortId,
        value: &str,
        max_age: u64,
    ) -> Result<HeaderValue, InvalidHeaderValue> {
        let (name, flow, path) = (self.name, flow.as_str(), &self.path);
        let text = format!(
            "{name}{flow}={value}; Path={path}; Max-Age={max_age}; Secure; HttpOnly; SameSite=Lax"
        );
        let mut line = HeaderValue::try_from(text)?;
        line.set_sensitive(true);
        Ok(line)
    }

    /// Our cookies in a request: what follows the prefix of the name, and the value. Other cookies of the host may hold any
    /// bytes (RFC 6265 section 5.4 sends what was set), which are not looked at.
    fn pairs<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = (&'h str, &'h str)> {
        let prefix = self.name;
        let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        lines
            .flat_map(|line| line.split(|byte| *byte == b';'))
            .filter_map(|pair| std::str::from_utf8(pair.trim_ascii()).ok()?.split_once('='))
            .filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(name: &str) -> ShortId {
        ShortId::parse(name).unwrap()
    }

    fn sent(lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (COOKIE, line.parse().unwrap()))
            .collect()
    }

    #[test]
    fn found_c4_cookies_of_others_may_hold_any_bytes() {
        let own = FlowCookies::below("");
        let foreign: [&[u8]; 4] = [
            b"name=caf\xc3\xa9",
            b"caf\xe9=1",
            b"\xff\xfe; a=\x80; =; ;;",
            b"theme=\"a b\\\xe4\"",
        ];
        for foreign in foreign {
            for (before, after) in [(foreign, &b""[..]), (b"", foreign), (foreign, foreign)] {
                let line = [before, b"; __Host-Http-hk-abcdef=value; ", after].concat();
                let line = HeaderValue::from_bytes(&line).unwrap();
                let headers = HeaderMap::from_iter([(COOKIE, line)]);
                let read = own.read(&headers, &flow("abcdef")).unwrap();
                assert_eq!(read.unwrap().expose(), "value", "{foreign:?}");
                assert!(own.surplus(&headers, &flow("abcdef")).is_empty());
            }
        }
    }

    #[test]
    fn found_c4_a_value_of_ours_that_is_no_text_is_no_cookie() {
        let own = FlowCookies::below("");
        let line = HeaderValue::from_bytes(b"__Host-Http-hk-abcdef=\xe9").unwrap();
        let headers = HeaderMap::from_iter([(COOKIE, line)]);
        assert!(own.read(&headers, &flow("abcdef")).unwrap().is_none());
    }

    #[test]
    fn security_b5_cookies_of_other_names_are_ignored() {
        let own = FlowCookies::below("");
        let headers = sent(&[
            "hk-abcdef=1; __Http-hk-abcdef=2; __host-http-hk-abcdef=3; __Secure-hk-abcdef=4; _xsrf=5",
        ]);
        assert!(own.read(&headers, &flow("abcdef")).unwrap().is_none());
        let headers = sent(&[
            "a=b; __Host-Http-hk-abcdef=right; c",
            "__Host-Http-hk-ghijkl=other",
        ]);
        let value = own.read(&headers, &flow("abcdef")).unwrap().unwrap();
        assert!(value.matches(&FlowCookie::new("right")));
        assert!(own.surplus(&headers, &flow("aaaaaa")).is_empty());
    }

    #[test]
    fn security_b5_two_cookies_of_one_name_are_refused() {
        let own = FlowCookies::below("");
        for lines in [
            &["__Host-Http-hk-abcdef=1; __Host-Http-hk-abcdef=1"][..],
            &["__Host-Http-hk-abcdef=1", "__Host-Http-hk-abcdef=2"],
        ] {
            assert_eq!(
                own.read(&sent(lines), &flow("abcdef")).unwrap_err(),
                Ambiguous
            );
            assert!(own.read(&sent(lines), &flow("ghijkl")).unwrap().is_none());
        }
    }

    #[test]
    fn names_and_paths_follow_the_place() {
        let cookie = SetFlowCookie {
            flow: flow("abcdef"),
            value: FlowCookie::new("v"),
            max_age: 600,
        };
        let own = FlowCookies::below("").set(&cookie).unwrap();
        assert_eq!(
            own,
            "__Host-Http-hk-abcdef=v; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"
        );
        assert!(own.is_sensitive());
        let shared = FlowCookies::below("/services/hubkey");
        let line = shared.clear(&flow("abcdef")).unwrap();
        assert_eq!(
            line,
            "__Http-hk-abcdef=; Path=/services/hubkey/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
        );
        let evil = SetFlowCookie {
            flow: flow("abcdef"),
            value: FlowCookie::new("v\r\nX: y"),
            max_age: 600,
        };
        assert!(shared.set(&evil).is_err());
    }

    #[test]
    fn the_oldest_of_more_than_eight_cookies_go() {
        let own = FlowCookies::below("");
        let names = [
            "aaaaaa", "bbbbbb", "cccccc", "dddddd", "eeeeee", "ffffff", "gggggg", "hhhhhh",
            "iiiiii",
        ];
        let line = |count: usize| {
            names[..count]
                .iter()
                .map(|name| format!("__Host-Http-hk-{name}=v"))
                .collect::<Vec<_>>()
                .join("; ")
        };
        assert!(own.surplus(&sent(&[&line(7)]), &flow("zzzzzz")).is_empty());
        assert_eq!(
            own.surplus(&sent(&[&line(8)]), &flow("zzzzzz")),
            [flow("aaaaaa")]
        );
        assert_eq!(
            own.surplus(&sent(&[&line(9)]), &flow("zzzzzz")),
            [flow("aaaaaa"), flow("bbbbbb")]
        );
        assert!(own.surplus(&sent(&[&line(8)]), &flow("aaaaaa")).is_empty());
    }
}
