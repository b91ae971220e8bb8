//! What is checked and changed in the head of every request, before anything reads it.

use axum::body::Body;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response, Uri, Version};
use hubkey_protocol::ErrorCode;

use super::failure::Failure;
use super::head_scanner::LineEndings;
use super::limits::Limits;
use super::oversized_head::OversizedHead;

/// Refuses heads that are too large.
pub(super) fn check_size(parts: &Parts, limits: &Limits) -> Result<(), OversizedHead> {
    let url = target_bytes(&parts.uri);
    if url > limits.url_bytes {
        return Err(OversizedHead::Address);
    }
    let line = parts.method.as_str().len() + url + " HTTP/1.1\r\n ".len();
    let fields: usize = parts
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if parts.headers.len() > limits.headers || line + fields + 2 > limits.head_bytes {
        return Err(OversizedHead::Header);
    }
    Ok(())
}

/// Refuses heads that two readers could read in two ways.
pub(super) fn check_form(parts: &Parts, line_endings: LineEndings) -> Result<(), Failure> {
    let refused = |title, detail| Err(Failure::new(ErrorCode::BadRequest, title, detail));
    if line_endings == LineEndings::Ambiguous {
        return refused(
            "The lines of the header are not those of HTTP/1.1.",
            "End each line with CR and LF, and send one request at a time.",
        );
    }
    // Two lengths that differ are refused by hyper, and of chunks and a length it takes the chunks; `RequestPipeline` ends
    // connection after those.
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && parts.version == Version::HTTP_11) {
        return refused(
            "The header names no host, or several.",
            "Send one header `Host`.",
        );
    }
    Ok(())
}

fn target_bytes(uri: &Uri) -> usize {
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + 3);
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    scheme + authority + path
}

/// Removes every header by which a proxy, or somebody who plays one, could change what a handler believes; also names
/// with an underscore, which some proxies and frameworks take for the same name with a dash.
pub(super) fn remove_forwarded_headers(headers: &mut HeaderMap) {
    let untrusted: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_forwarded_header(name.as_str()))
        .cloned()
        .collect();
    for name in untrusted {
        headers.remove(name);
    }
}

fn is_forwarded_header(name: &str) -> bool {
    const PREFIXES: [&str; 3] = ["x-forwarded-", "x-original-", "x-rewrite-"];
    const NAMES: [&str; 6] = [
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "x-http-method-override",
        "via",
    ];
    name.contains('_')
        || NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Marks the headers that carry secrets, so that no `Debug` shows them.
pub(super) fn mark_sensitive_request(headers: &mut HeaderMap) {
    const NAMES: [HeaderName; 4] = [
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::COOKIE,
        HeaderName::from_static("hubkey-poll-secret"),
    ];
    mark(headers, &NAMES);
}

fn mark(headers: &mut HeaderMap, names: &[HeaderName]) {
    for (name, value) in headers.iter_mut() {
        if names.contains(name) {
            value.set_sensitive(true);
        }
    }
}

/// Marks secrets of an answer, and forbids to keep and to reinterpret it unless the handler said otherwise.
pub(super) fn finish(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    // A redirect carries states and codes in its address.
    mark(headers, &[header::SET_COOKIE, header::LOCATION]);
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::X_CONTENT_TYPE_OPTIONS)
        .or_insert(HeaderValue::from_static("nosniff"));
}
