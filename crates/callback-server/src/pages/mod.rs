//! The pages: what each shows, as askama templates. Values from outside pass through
//! [`untrusted_text::UntrustedText`] first.

mod colour;
mod connections;
mod messages;
mod theme;
mod untrusted_text;

use askama::Template;
use hubkey_protocol::{
    ErrorReference, ShortId,
    internal::{ConfirmPage, DonePage, EndedPage, Refusal, ScopeLabel, StartPage},
    path,
    secret::{CsrfToken, Secret},
};
use time::{
    OffsetDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

pub(crate) use connections::Connections;
use messages::{EndedMessage, Message};
pub(crate) use messages::{
    HOME, INTERNAL_ERROR, NOT_A_NAVIGATION, NOT_FOUND, UNREADABLE, WRONG_METHOD,
};
pub(crate) use theme::{CLOSE_SCRIPT, Theme, policy};
use untrusted_text::UntrustedText;

const MINUTE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute] UTC");

/// Asks before going to the provider.
#[derive(Template)]
#[template(path = "start.html")]
pub(crate) struct Start<'a> {
    theme: &'a Theme,
    action: String,
    csrf: &'a str,
    provider: UntrustedText,
    user: UntrustedText,
    server: Option<UntrustedText>,
    scopes: Vec<Scope>,
}

impl<'a> Start<'a> {
    /// `prefix` is the path of the public URL.
    pub(crate) fn new(theme: &'a Theme, prefix: &str, page: &'a StartPage) -> Self {
        Self {
            theme,
            action: action(prefix, path::PAGE_CONTINUE, &page.flow),
            csrf: form_value(&page.csrf),
            provider: UntrustedText::new(&page.provider.display_name),
            user: UntrustedText::new(&page.user),
            server: server(&page.server),
            scopes: page.scopes.iter().map(Scope::new).collect(),
        }
    }
}

/// Asks whether two accounts belong together.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(crate) struct Confirm<'a> {
    theme: &'a Theme,
    action: String,
    csrf: &'a str,
    provider: UntrustedText,
    provider_host: UntrustedText,
    account: UntrustedText,
    user: UntrustedText,
    server: Option<UntrustedText>,
    scopes: Vec<Scope>,
    replaces_account: bool,
    shared_server: bool,
    asked: Moment,
}

impl<'a> Confirm<'a> {
    /// `prefix` is the path of the public URL.
    pub(crate) fn new(
        theme: &'a Theme,
        prefix: &str,
        page: &'a ConfirmPage,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            theme,
            action: action(prefix, path::PAGE_CONFIRM, &page.flow),
            csrf: form_value(&page.csrf),
            provider: UntrustedText::new(&page.provider.display_name),
            provider_host: UntrustedText::new(&page.provider_host),
            account: UntrustedText::new(&page.account),
            user: UntrustedText::new(&page.user),
            server: server(&page.server),
            scopes: page.scopes.iter().map(Scope::new).collect(),
            replaces_account: page.replaces_account,
            shared_server: page.shared_server,
            asked: Moment::new(page.asked_at, now),
        }
    }
}

/// Says that the notebook goes on.
#[derive(Template)]
#[template(path = "done.html")]
pub(crate) struct Done<'a> {
    theme: &'a Theme,
    provider: UntrustedText,
    account: UntrustedText,
    script: &'static str,
}

impl<'a> Done<'a> {
    pub(crate) fn new(theme: &'a Theme, page: &DonePage) -> Self {
        Self {
            theme,
            provider: UntrustedText::new(&page.provider.display_name),
            account: UntrustedText::new(&page.account),
            script: CLOSE_SCRIPT,
        }
    }
}

/// Says that the sign-in ended without a connection.
#[derive(Template)]
#[template(path = "ended.html")]
pub(crate) struct Ended<'a> {
    theme: &'a Theme,
    message: EndedMessage,
    reference: &'a str,
}

impl<'a> Ended<'a> {
    pub(crate) fn new(theme: &'a Theme, page: &'a EndedPage) -> Self {
        let name = UntrustedText::new(&page.provider.display_name);
        Self {
            theme,
            message: messages::ended(page.reason, name),
            reference: page.reference.as_str(),
        }
    }
}

/// Goes on to a provider by itself, and offers the link to those whose browser does not.
#[derive(Template)]
#[template(path = "redirect.html")]
pub(crate) struct RedirectPage<'a> {
    pub(crate) theme: &'a Theme,
    provider: UntrustedText,
    location: &'a str,
}

impl<'a> RedirectPage<'a> {
    pub(crate) fn new(theme: &'a Theme, provider: &str, location: &'a str) -> Self {
        Self {
            theme,
            provider: UntrustedText::new(provider),
            location,
        }
    }
}

/// A page without anything from outside.
#[derive(Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice<'a> {
    theme: &'a Theme,
    message: Message,
    reference: Option<&'a str>,
    /// Where else to go.
    connections: Option<String>,
}

impl<'a> Notice<'a> {
    pub(crate) fn new(
        theme: &'a Theme,
        message: Message,
        reference: Option<&'a ErrorReference>,
    ) -> Self {
        Self {
            theme,
            message,
            reference: reference.map(ErrorReference::as_str),
            connections: None,
        }
    }

    /// With a link to the page "My connections".
    pub(crate) fn leading_on(self, prefix: &str) -> Self {
        let connections = Some(format!("{prefix}{}", path::PAGE_CONNECTIONS));
        Self {
            connections,
            ..self
        }
    }

    pub(crate) fn refused(
        theme: &'a Theme,
        refusal: Refusal,
        reference: &'a ErrorReference,
    ) -> Self {
        Self::new(theme, messages::refused(refusal), Some(reference))
    }
}

/// What notebooks may do.
struct Scope {
    name: UntrustedText,
    description: Option<UntrustedText>,
}

impl Scope {
    fn new(label: &ScopeLabel) -> Self {
        Self {
            name: UntrustedText::new(&label.scope),
            description: label.description.as_deref().map(UntrustedText::new),
        }
    }
}

/// A moment as people say it, exactly, and for programs.
struct Moment {
    relative: String,
    exact: String,
    machine: String,
}

impl Moment {
    fn new(unix_seconds: u64, now: OffsetDateTime) -> Self {
        let moment = i64::try_from(unix_seconds)
            .ok()
            .and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
        let moment = moment.unwrap_or(now);
        let relative = match (now - moment).whole_minutes() {
            ..1 => "just now".to_owned(),
            1 => "1 minute ago".to_owned(),
            minutes @ 2..120 => format!("{minutes} minutes ago"),
            minutes @ 120..1440 => format!("{} hours ago", minutes / 60),
            1440..2880 => "yesterday".to_owned(),
            minutes => format!("{} days ago", minutes / 1440),
        };
        Self {
            relative,
            exact: moment.format(MINUTE).unwrap_or_default(),
            machine: moment.format(&Rfc3339).unwrap_or_default(),
        }
    }
}

fn server(name: &str) -> Option<UntrustedText> {
    (!name.is_empty()).then(|| UntrustedText::new(name))
}

fn action(prefix: &str, page: &str, flow: &ShortId) -> String {
    format!("{prefix}{}", page.replace("{flow}", flow.as_str()))
}

/// A form exists to carry this value back to us.
fn form_value(csrf: &CsrfToken) -> &str {
    csrf.expose()
}
