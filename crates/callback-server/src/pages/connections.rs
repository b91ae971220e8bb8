//! The page "My connections".

use askama::Template;
use hubkey_protocol::{
    internal::{ConnectionRow, ConnectionsPage, EndedConnections},
    path,
};
use time::OffsetDateTime;

use super::{Moment, Scope, Theme, action, form_value, untrusted_text::UntrustedText};

/// Shows what a person's notebooks can reach, and ends it.
#[derive(Template)]
#[template(path = "connections.html")]
pub(crate) struct Connections<'a> {
    theme: &'a Theme,
    action: String,
    csrf: &'a str,
    user: UntrustedText,
    rows: Vec<Row<'a>>,
    ended: Option<Ended>,
}

/// One connection.
struct Row<'a> {
    id: &'a str,
    provider: UntrustedText,
    account: UntrustedText,
    servers: Vec<UntrustedText>,
    scopes: Vec<Scope>,
    since: Moment,
    last_used: Moment,
}

/// What the person has just ended.
enum Ended {
    One {
        provider: UntrustedText,
        account: UntrustedText,
    },
    All(usize),
    Nothing,
}

impl<'a> Connections<'a> {
    /// `prefix` is the path of the public URL.
    pub(crate) fn new(
        theme: &'a Theme,
        prefix: &str,
        page: &'a ConnectionsPage,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            theme,
            action: action(prefix, path::PAGE_END_CONNECTIONS, &page.flow),
            csrf: form_value(&page.csrf),
            user: UntrustedText::new(&page.user),
            rows: page
                .connections
                .iter()
                .map(|row| Row::new(row, now))
                .collect(),
            ended: page.just_ended.as_ref().map(Ended::new),
        }
    }
}

impl<'a> Row<'a> {
    fn new(row: &'a ConnectionRow, now: OffsetDateTime) -> Self {
        let server = |name: &String| match name.as_str() {
            "" => UntrustedText::new("default"),
            name => UntrustedText::new(name),
        };
        Self {
            id: row.id.as_str(),
            provider: UntrustedText::new(&row.provider.display_name),
            account: UntrustedText::new(&row.account),
            servers: row.servers.iter().map(server).collect(),
            scopes: row.scopes.iter().map(Scope::new).collect(),
            since: Moment::new(row.since, now),
            last_used: Moment::new(row.last_used, now),
        }
    }
}

impl Ended {
    fn new(ended: &EndedConnections) -> Self {
        match ended {
            EndedConnections::One { provider, account } => Self::One {
                provider: UntrustedText::new(&provider.display_name),
                account: UntrustedText::new(account),
            },
            EndedConnections::All { count } => Self::All(*count),
            EndedConnections::Nothing => Self::Nothing,
        }
    }
}
