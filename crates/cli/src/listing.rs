//! The commands that print: tokens as they are asked for, and what is known without them.

use std::io::{self, Read as _};

use hubkey_protocol::{
    AccessTokenHash, Connection, Provider, ProviderStatus, TokenAnswer, secret::AccessToken,
};
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    Outcome, Then,
    arguments::{Addressee, EnvArguments, Format, HeaderArguments, TokenArguments, Which},
    failure::{Exit, Failure},
    output::{answer, label, line_of, moment, plain, print_note},
    session::{Grant, Session},
};

/// Longer than any token.
const LONGEST_TOKEN: u64 = 256 * 1024;

/// `hubkey token`
pub(crate) async fn token(session: &Session, arguments: TokenArguments) -> Outcome {
    // Before anybody is asked for anything: without a token on standard input there is nothing to replace.
    let rejected = arguments.rejected.then(rejected_token).transpose()?;
    let mut grant = session.grant(&arguments.wish).await?;
    if let Some(rejected) = rejected {
        grant = session.replace(grant, rejected).await?;
    }
    check(&grant, &arguments.destination)?;
    let text = if arguments.json {
        format!("{}\n", json_of(&grant.token)?)
    } else {
        format!("{}\n", line_of(&grant.token.access_token)?)
    };
    answer(&text)?;
    Ok(Then::DONE)
}

/// The token on standard input, by its hash: not as an argument, which other users of the machine could read.
fn rejected_token() -> Result<AccessTokenHash, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().take(LONGEST_TOKEN).read_to_string(&mut text);
    match (read, text.trim_ascii()) {
        (Ok(_), token) if !token.is_empty() => Ok(AccessTokenHash::of(&AccessToken::new(token))),
        _ => Err(Failure::new(
            Exit::Usage,
            "With --rejected, give the rejected token on standard input: printf %s \"$TOKEN\" | hubkey token --rejected.",
        )),
    }
}

/// `hubkey header`
pub(crate) async fn header(session: &Session, arguments: HeaderArguments) -> Outcome {
    let grant = session.grant(&arguments.wish).await?;
    check(&grant, &arguments.destination)?;
    let token = line_of(&grant.token.access_token)?;
    answer(&format!("Authorization: Bearer {token}\n"))?;
    Ok(Then::DONE)
}

/// `hubkey env`
pub(crate) async fn env(session: &Session, arguments: EnvArguments) -> Outcome {
    let grant = session.grant(&arguments.wish).await?;
    let token = line_of(&grant.token.access_token)?;
    answer(&format!(
        "export {}={}\n",
        arguments.variable,
        quoted(token)
    ))?;
    Ok(Then::DONE)
}

/// `hubkey list`
pub(crate) async fn list(session: &Session, format: &Format) -> Outcome {
    let providers = session.providers().await?;
    let connections = session.connections(None, None).await?;
    let of = |provider: &Provider| {
        let id = provider.id.clone();
        connections.iter().filter(move |one| one.provider == id)
    };
    if format.json {
        let list: Vec<Value> = providers
            .iter()
            .map(|provider| json!({ "provider": provider, "connection": of(provider).next() }))
            .collect();
        answer(&format!("{}\n", Value::Array(list)))?;
        return Ok(Then::DONE);
    }
    let header = ["NAME", "PROVIDER", "SIGNED IN AS", "STATE"].map(str::to_owned);
    let rows = providers.iter().map(|provider| {
        let accounts = accounts(of(provider));
        let state = match provider.status {
            ProviderStatus::Ready => "ready",
            ProviderStatus::Unknown => "not asked yet",
            ProviderStatus::Unavailable => "unavailable",
        };
        [
            provider.id.as_str().to_owned(),
            plain(&provider.display_name),
            accounts,
            state.to_owned(),
        ]
    });
    answer(&table(
        &std::iter::once(header).chain(rows).collect::<Vec<_>>(),
    ))?;
    Ok(Then::DONE)
}

/// Each account once, that of the newest connection first.
fn accounts<'a>(connections: impl Iterator<Item = &'a Connection>) -> String {
    let mut labels: Vec<String> = Vec::new();
    for label in connections.map(|one| plain(one.account.label())) {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    if labels.is_empty() {
        return "-".to_owned();
    }
    labels.join(", ")
}

/// `hubkey status`
pub(crate) async fn status(session: &Session, arguments: &Which) -> Outcome {
    let provider = arguments.provider.as_ref();
    let account = arguments.account.as_deref();
    let connections = session.connections(provider, account).await?;
    if connections.is_empty() {
        session.check_known(provider).await?;
    }
    if arguments.format.json {
        answer(&format!("{}\n", json!(connections)))?;
    } else {
        let parts: Vec<String> = connections.iter().map(described).collect();
        answer(&parts.join("\n"))?;
    }
    if connections.is_empty() {
        return Err(Failure::sign_in_required(provider));
    }
    Ok(Then::DONE)
}

/// Whether a token of these origins may be sent to this address.
pub(crate) fn may_receive(api_origins: &[String], url: &Url) -> bool {
    let origin = url.origin();
    origin.is_tuple()
        && api_origins
            .iter()
            .filter_map(|allowed| Url::parse(allowed).ok())
            .any(|allowed| allowed.origin() == origin)
}

/// Refuses an address that the operator did not list.
pub(crate) fn check_address(grant: &Grant, url: &Url) -> Result<(), Failure> {
    let allowed = grant.api_origins();
    if may_receive(allowed, url) {
        return Ok(());
    }
    let said = format!(
        "A token of {} may not be sent to {}. The operator of this JupyterHub lists where it may go ({}): {}.",
        whose(grant),
        url.origin().ascii_serialization(),
        match grant.exchange {
            Some(_) => "exchange.api_origins",
            None => "api_origins",
        },
        if allowed.is_empty() {
            "nowhere".to_owned()
        } else {
            allowed.join(", ")
        },
    );
    Err(Failure::new(Exit::Denied, said))
}

fn check(grant: &Grant, destination: &Addressee) -> Result<(), Failure> {
    match &destination.url {
        Some(url) => check_address(grant, url),
        None => Ok(()),
    }
}

fn json_of(token: &TokenAnswer) -> Result<Value, Failure> {
    Ok(json!({
        "access_token": line_of(&token.access_token)?,
        "token_type": token.token_type,
        "expires_at": token.expires_at,
        "expires_in": token.expires_in,
        "scope": token.scopes.to_oauth(),
    }))
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn described(connection: &Connection) -> String {
    let account = &connection.account;
    let end = connection.expires_at.and_then(moment);
    let lines = [
        (
            "provider",
            Some(format!(
                "{} ({})",
                plain(&connection.display_name),
                connection.provider.as_str()
            )),
        ),
        ("account", Some(plain(account.label()))),
        ("subject", Some(plain(&account.sub))),
        ("scopes", Some(connection.scopes.to_oauth())),
        ("audience", connection.audience.clone()),
        ("resource", connection.resource.clone()),
        (
            "token until",
            Some(end.unwrap_or_else(|| "the provider did not say".to_owned())),
        ),
        ("sent to", Some(connection.api_origins.join(" "))),
    ];
    let lines = lines
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    lines.fold(String::new(), |text, (name, value)| {
        text + &format!("{name:<12} {value}\n")
    })
}

fn table(rows: &[[String; 4]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let line = |row: &[String; 4]| {
        let [first, second, third, last] = row;
        let [one, two, three] = widths;
        format!("{first:<one$}  {second:<two$}  {third:<three$}  {last}\n")
    };
    rows.iter().map(line).collect()
}

/// Tells whose token a command uses, where a person is looking.
pub(crate) fn announce(grant: &Grant, what: &str) {
    print_note(&format!("{}: {what}", whose(grant)));
}

/// `Example Lab as alice@lab.example`, and what its token was exchanged for.
fn whose(grant: &Grant) -> String {
    let label = label(&grant.connection);
    let exchange = grant.exchange.as_ref();
    let targets = exchange.map(|asked| [&asked.audience, &asked.resource, &asked.requested_issuer]);
    let targets: Vec<&str> = targets
        .into_iter()
        .flatten()
        .filter_map(Option::as_deref)
        .collect();
    if targets.is_empty() {
        label
    } else {
        format!("{label}, for {}", plain(&targets.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(address: &str) -> bool {
        let origins = ["https://api.lab.example", "http://127.0.0.1:81"].map(str::to_owned);
        may_receive(&origins, &Url::parse(address).unwrap())
    }

    #[test]
    fn feature_k8_only_the_listed_origins_receive_a_token() {
        for address in [
            "https://api.lab.example/a?b",
            "https://API.lab.example:443",
            "http://127.0.0.1:81/",
        ] {
            assert!(allowed(address), "{address}");
        }
        let others = [
            "http://api.lab.example",
            "https://api.lab.example:444",
            "https://api.lab.example.evil.example",
            "https://evil.example/api.lab.example",
            "https://api.lab.example@evil.example",
            "http://127.0.0.1:8100",
            "file:///etc/passwd",
            "data:text/plain,x",
        ];
        for address in others {
            assert!(!allowed(address), "{address}");
        }
    }

    #[test]
    fn no_token_is_shell_code() {
        assert_eq!(quoted("a'b$(c)"), r"'a'\''b$(c)'");
    }
}
