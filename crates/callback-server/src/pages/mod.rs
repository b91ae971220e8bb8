//! The pages: what each shows, as askama templates. Values from outside pass through [`text::Outside`] first.

mod colour;
mod connections;
mod look;
mod text;
mod words;

use askama::Template;
use hubkey_protocol::{
    Reference, ShortId,
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
pub(crate) use look::{CLOSE_SCRIPT, Look, policy};
use text::Outside;
pub(crate) use words::{BROKEN, HOME, NOT_A_CLICK, NOT_FOUND, WRONG_METHOD};
use words::{EndedWords, Words};

const MINUTE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute] UTC");

/// Asks before going to the provider.
#[derive(Template)]
#[template(path = "start.html")]
pub(crate) struct Start<'a> {
    look: &'a Look,
    action: String,
    csrf: &'a str,
    provider: Outside,
    user: Outside,
    server: Option<Outside>,
    scopes: Vec<Scope>,
}

impl<'a> Start<'a> {
    /// `prefix` is the path of the public URL.
    pub(crate) fn new(look: &'a Look, prefix: &str, page: &'a StartPage) -> Self {
        Self {
            look,
            action: action(prefix, path::PAGE_CONTINUE, &page.flow),
            csrf: form_value(&page.csrf),
            provider: Outside::new(&page.provider.display_name),
            user: Outside::new(&page.user),
            server: server(&page.server),
            scopes: page.scopes.iter().map(Scope::new).collect(),
        }
    }
}

/// Asks whether two accounts belong together.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(crate) struct Confirm<'a> {
    look: &'a Look,
    action: String,
    csrf: &'a str,
    provider: Outside,
    provider_host: Outside,
    account: Outside,
    user: Outside,
    server: Option<Outside>,
    scopes: Vec<Scope>,
    replaces_account: bool,
    shared_server: bool,
    asked: Moment,
}

impl<'a> Confirm<'a> {
    /// `prefix` is the path of the public URL.
    pub(crate) fn new(
        look: &'a Look,
        prefix: &str,
        page: &'a ConfirmPage,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            look,
            action: action(prefix, path::PAGE_CONFIRM, &page.flow),
            csrf: form_value(&page.csrf),
            provider: Outside::new(&page.provider.display_name),
            provider_host: Outside::new(&page.provider_host),
            account: Outside::new(&page.account),
            user: Outside::new(&page.user),
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
    look: &'a Look,
    provider: Outside,
    account: Outside,
    script: &'static str,
}

impl<'a> Done<'a> {
    pub(crate) fn new(look: &'a Look, page: &DonePage) -> Self {
        Self {
            look,
            provider: Outside::new(&page.provider.display_name),
            account: Outside::new(&page.account),
            script: CLOSE_SCRIPT,
        }
    }
}

/// Says that the sign-in ended without a connection.
#[derive(Template)]
#[template(path = "ended.html")]
pub(crate) struct Ended<'a> {
    look: &'a Look,
    words: EndedWords,
    reference: &'a str,
}

impl<'a> Ended<'a> {
    pub(crate) fn new(look: &'a Look, page: &'a EndedPage) -> Self {
        let name = Outside::new(&page.provider.display_name);
        Self {
            look,
            words: words::ended(page.reason, name),
            reference: page.reference.as_str(),
        }
    }
}

/// Goes on to a provider by itself, and offers the link to those whose browser does not.
#[derive(Template)]
#[template(path = "leave.html")]
pub(crate) struct Leave<'a> {
    pub(crate) look: &'a Look,
    provider: Outside,
    location: &'a str,
}

impl<'a> Leave<'a> {
    pub(crate) fn new(look: &'a Look, provider: &str, location: &'a str) -> Self {
        Self {
            look,
            provider: Outside::new(provider),
            location,
        }
    }
}

/// A page without anything from outside.
#[derive(Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice<'a> {
    look: &'a Look,
    words: Words,
    reference: Option<&'a str>,
    /// Where else to go.
    connections: Option<String>,
}

impl<'a> Notice<'a> {
    pub(crate) fn new(look: &'a Look, words: Words, reference: Option<&'a Reference>) -> Self {
        Self {
            look,
            words,
            reference: reference.map(Reference::as_str),
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

    pub(crate) fn refused(look: &'a Look, refusal: Refusal, reference: &'a Reference) -> Self {
        Self::new(look, words::refused(refusal), Some(reference))
    }
}

/// What notebooks may do.
struct Scope {
    name: Outside,
    description: Option<Outside>,
}

impl Scope {
    fn new(label: &ScopeLabel) -> Self {
        Self {
            name: Outside::new(&label.scope),
            description: label.description.as_deref().map(Outside::new),
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

fn server(name: &str) -> Option<Outside> {
    (!name.is_empty()).then(|| Outside::new(name))
}

fn action(prefix: &str, page: &str, flow: &ShortId) -> String {
    format!("{prefix}{}", page.replace("{flow}", flow.as_str()))
}

/// A form exists to carry this value back to us.
fn form_value(csrf: &CsrfToken) -> &str {
    csrf.expose()
}
