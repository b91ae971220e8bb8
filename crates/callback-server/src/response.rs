//! From what the broker says to what the browser gets.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE,
    },
};
use hubkey_protocol::{
    ErrorReference, ShortId, SignInFailure,
    internal::{BrowserAnswer, BrowserReply, Page, Refusal},
    path,
    secret::{Secret, SecretUrl},
};
use hubkey_service::http::{ErrorPages, Failure, OversizedHead};
use url::Url;

use crate::{
    app::App,
    headers,
    pages::{
        Confirm, Connections, Done, Ended, INTERNAL_ERROR, NOT_FOUND, Notice, RedirectPage, Start,
        Theme, UNREADABLE, WRONG_METHOD,
    },
    reference::new_reference,
};

const REFRESH: HeaderName = HeaderName::from_static("refresh");

/// Makes the response. `request` are the headers that the browser sent.
pub(crate) fn reply(app: &App, request: &HeaderMap, reply: BrowserReply) -> Response {
    let mut response = match reply.answer {
        BrowserAnswer::Redirect { location } => redirect(app, &location),
        BrowserAnswer::RedirectPage { location, provider } => {
            redirect_page(app, &location, &provider)
        }
        BrowserAnswer::View { flow } => page_of(app, path::PAGE_VIEW, &flow),
        BrowserAnswer::Connections { flow } => page_of(app, path::PAGE_MY_CONNECTIONS, &flow),
        BrowserAnswer::Page { page } => render_page(app, &page),
        BrowserAnswer::Refused { refusal, reference } => refused(app, refusal, &reference),
    };
    let cookies = app.cookies();
    let mut lines = Vec::new();
    if let Some(cookie) = &reply.set_cookie {
        lines.extend(
            cookies
                .surplus(request, &cookie.flow)
                .iter()
                .map(|flow| cookies.clear(flow)),
        );
        lines.push(cookies.set(cookie));
    }
    lines.extend(reply.clear_cookie.iter().map(|flow| cookies.clear(flow)));
    for line in lines {
        match line {
            Ok(line) => response.headers_mut().append(SET_COOKIE, line),
            Err(_) => return unusable(app, "a cookie that no header can carry"),
        };
    }
    response
}

/// The page of a refusal.
pub(crate) fn refused(app: &App, refusal: Refusal, reference: &ErrorReference) -> Response {
    let (status, retry_after) = match refusal {
        Refusal::InvalidLink => (StatusCode::GONE, None),
        Refusal::Forbidden => (StatusCode::FORBIDDEN, None),
        Refusal::Malformed | Refusal::TooLong => (StatusCode::BAD_REQUEST, None),
        Refusal::RateLimited => (StatusCode::TOO_MANY_REQUESTS, Some("60")),
        Refusal::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Some("10")),
    };
    let theme = app.theme();
    let mut response = page(&theme, status, &Notice::refused(&theme, refusal, reference));
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    response
}

/// The page for a head that is too large. Nothing leads to a sign-in that could be ended.
pub(crate) fn oversized_head(app: &App, what: OversizedHead) -> Response {
    let reference = new_reference();
    tracing::info!(reference = reference.as_str(), what = ?what, "a head was too large");
    let mut response = refused(app, Refusal::TooLong, &reference);
    *response.status_mut() = match what {
        OversizedHead::Address => StatusCode::URI_TOO_LONG,
        OversizedHead::Header => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    };
    response
}

/// The pages for what the listener itself refuses, with the headers of every answer.
pub(crate) fn error_pages(app: &App) -> ErrorPages {
    let app = app.clone();
    ErrorPages::new(move |failure| render_failure(&app, failure))
}

fn render_failure(app: &App, failure: &Failure) -> http::Response<String> {
    let (theme, reference) = (app.theme(), new_reference());
    tracing::info!(
        reference = reference.as_str(),
        status = failure.status().as_u16(),
        "the listener refused a request of a browser"
    );
    let template = match failure.status() {
        StatusCode::URI_TOO_LONG
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        | StatusCode::PAYLOAD_TOO_LARGE => Notice::refused(&theme, Refusal::TooLong, &reference),
        StatusCode::NOT_FOUND => Notice::new(&theme, NOT_FOUND, None),
        StatusCode::METHOD_NOT_ALLOWED => Notice::new(&theme, WRONG_METHOD, None),
        StatusCode::TOO_MANY_REQUESTS => Notice::refused(&theme, Refusal::RateLimited, &reference),
        StatusCode::SERVICE_UNAVAILABLE => {
            Notice::refused(&theme, Refusal::Unavailable, &reference)
        }
        status if status.is_server_error() => Notice::new(&theme, INTERNAL_ERROR, Some(&reference)),
        _ => Notice::new(&theme, UNREADABLE, Some(&reference)),
    };
    let mut response = http::Response::new(template.render().unwrap_or_default());
    *response.status_mut() = failure.status();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.extend(policies(theme.policy()));
    headers::add(headers);
    response
}

/// The page for a fault of ours.
pub(crate) fn internal_error(app: &App) -> Response {
    let reference = new_reference();
    tracing::error!(reference = reference.as_str(), "a page could not be made");
    let theme = app.theme();
    page(
        &theme,
        StatusCode::INTERNAL_SERVER_ERROR,
        &Notice::new(&theme, INTERNAL_ERROR, Some(&reference)),
    )
}

/// A page with its policies.
pub(crate) fn page(theme: &Theme, status: StatusCode, template: &impl Template) -> Response {
    page_with(theme.policy(), status, template)
}

fn page_with(policy: HeaderValue, status: StatusCode, template: &impl Template) -> Response {
    // Rendering fails only where a value's own formatting does, and no value of ours has one that can.
    let body = template.render().unwrap_or_default();
    (status, policies(policy), Html(body)).into_response()
}

fn policies(policy: HeaderValue) -> [(HeaderName, HeaderValue); 2] {
    [
        (CONTENT_SECURITY_POLICY, policy),
        // Not `no-referrer`: with it our own forms would carry `Origin: null`, which the Fetch Metadata check refuses.
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ]
}

fn render_page(app: &App, shown: &Page) -> Response {
    let (theme, prefix) = (app.theme(), app.prefix());
    match shown {
        Page::Start(start) => page(&theme, StatusCode::OK, &Start::new(&theme, prefix, start)),
        Page::Confirm(confirm) => page(
            &theme,
            StatusCode::OK,
            &Confirm::new(&theme, prefix, confirm, app.now()),
        ),
        Page::Done(done) => page_with(
            theme.closing_policy(),
            StatusCode::OK,
            &Done::new(&theme, done),
        ),
        Page::Ended(ended) => page(&theme, status_of(ended.reason), &Ended::new(&theme, ended)),
        Page::Connections(shown) => {
            let template = Connections::new(&theme, prefix, shown, app.now());
            page(&theme, StatusCode::OK, &template)
        }
    }
}

/// The page was asked for and is shown; only an account that may not be used is something forbidden.
fn status_of(reason: SignInFailure) -> StatusCode {
    StatusCode::from_u16(reason.row().page_status).unwrap_or(StatusCode::OK)
}

fn redirect(app: &App, location: &SecretUrl) -> Response {
    match target(location) {
        Some(url) => see_other(app, url.as_str()),
        None => unusable(app, "a redirect to no web page"),
    }
}

fn page_of(app: &App, page: &str, flow: &ShortId) -> Response {
    let page = page.replace("{flow}", flow.as_str());
    see_other(app, &format!("{}{page}", app.prefix()))
}

/// To the way to the page "My connections", for who comes back to that page late.
pub(crate) fn my_connections(app: &App) -> Response {
    see_other(app, &format!("{}{}", app.prefix(), path::PAGE_CONNECTIONS))
}

fn see_other(app: &App, location: &str) -> Response {
    match sensitive(location) {
        Some(value) => (StatusCode::SEE_OTHER, [(LOCATION, value)]).into_response(),
        None => unusable(app, "a redirect that no header can carry"),
    }
}

/// Leaves for a provider after a POST: a redirect would be held to our `form-action` at every hop.
fn redirect_page(app: &App, location: &SecretUrl, provider: &str) -> Response {
    let Some(url) = target(location) else {
        return unusable(app, "a way to no web page");
    };
    let Some(refresh) = sensitive(&format!("0;url={url}")) else {
        return unusable(app, "a way that no header can carry");
    };
    let theme = app.theme();
    let mut response = page(
        &theme,
        StatusCode::OK,
        &RedirectPage::new(&theme, provider, url.as_str()),
    );
    response.headers_mut().insert(REFRESH, refresh);
    response
}

/// A whole URL of a web page, as the browser will read it too.
fn target(location: &SecretUrl) -> Option<Url> {
    let url = Url::parse(location.expose()).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    (plain && url.has_host() && matches!(url.scheme(), "http" | "https")).then_some(url)
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The broker said something that no response to a browser can carry.
fn unusable(app: &App, what: &'static str) -> Response {
    tracing::error!(what, "the broker's answer cannot be used");
    internal_error(app)
}
