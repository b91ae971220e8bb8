//! git's credential helper protocol (gitcredentials(7), git-credential(1)).

use std::io::{self, Read as _};

use hubkey_protocol::{AccessTokenHash, Provider, ProviderId, secret::AccessToken};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    Outcome, Then,
    arguments::{Exchange, GitArguments, RequestArgs, TokenArgs},
    failure::{Exit, Failure},
    listing::{check_address, may_receive},
    output::{answer, line_of},
    session::{Grant, Session},
};

/// git writes a few lines.
const LONGEST_QUESTION: u64 = 64 * 1024;

pub(super) async fn run(session: &Session, arguments: GitArguments) -> Outcome {
    // git also tells what worked, which changes nothing here; an operation that is not known yet has to be ignored.
    let is_rejected = match arguments.operation.as_str() {
        "get" => false,
        "erase" => true,
        _ => return Ok(Then::DONE),
    };
    let mut text = Zeroizing::new(String::new());
    io::stdin()
        .take(LONGEST_QUESTION)
        .read_to_string(&mut text)
        .map_err(|_| Failure::new(Exit::Usage, "git's question is no text."))?;
    let question = Question::read(&text);
    // Without a word, so that git goes on to its next helper.
    let Some(url) = question.url() else {
        return Ok(Then::DONE);
    };
    let Some(provider) = addressed(session, &arguments, &url).await? else {
        return Ok(Then::DONE);
    };
    let wish = TokenArgs {
        sign_in: RequestArgs {
            provider: Some(provider),
            more: arguments.more.clone(),
        },
        // The hosts that are answered are those of the connection's own token.
        exchange: Exchange::default(),
    };
    if is_rejected {
        if let Some(rejected) = question.rejected {
            reject(session, &wish, rejected).await;
        }
        return Ok(Then::DONE);
    }
    match session.grant(&wish).await {
        Ok(grant) => {
            check_address(&grant, &url)?;
            answer(&question.answer(&grant, &arguments)?)?;
            Ok(Then::DONE)
        }
        Err(failure) => {
            // Else git would go on to ask for a password that nobody has.
            answer("quit=1\n")?;
            Err(failure)
        }
    }
}

/// Has a token replaced that its host rejected, so that git's next question gets another one. Nobody is asked to sign in for
/// that, and git wants to hear nothing.
async fn reject(session: &Session, wish: &TokenArgs, rejected: AccessTokenHash) {
    let provider = wish.sign_in.provider.as_ref();
    let Ok(connections) = session.connections(provider, None).await else {
        return;
    };
    for connection in connections {
        session.reject(&connection, rejected.clone()).await;
    }
}

/// The provider that was named, or the first that lists the host; none if the host is not its own.
async fn addressed(
    session: &Session,
    arguments: &GitArguments,
    url: &Url,
) -> Result<Option<ProviderId>, Failure> {
    let providers = session.providers().await?;
    let named = arguments.provider.as_ref();
    let fits = |provider: &Provider| {
        named.is_none_or(|id| *id == provider.id) && may_receive(&provider.api_origins, url)
    };
    Ok(providers.into_iter().find(fits).map(|provider| provider.id))
}

/// What git asks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Question {
    protocol: String,
    host: String,
    username: Option<String>,
    takes_authtype: bool,
    /// What it says that did not work.
    rejected: Option<AccessTokenHash>,
}

impl Question {
    fn read(text: &str) -> Self {
        let mut question = Self::default();
        for line in text.lines().take_while(|line| !line.is_empty()) {
            match line.split_once('=') {
                Some(("protocol", value)) => value.clone_into(&mut question.protocol),
                Some(("host", value)) => value.clone_into(&mut question.host),
                Some(("username", value)) => question.username = Some(value.to_owned()),
                Some(("capability[]", "authtype")) => question.takes_authtype = true,
                Some(("password" | "credential", token)) => {
                    question.rejected = Some(AccessTokenHash::of(&AccessToken::new(token)));
                }
                _ => {}
            }
        }
        question
    }

    /// The address that the credential is for; none if it is not one of the web.
    fn url(&self) -> Option<Url> {
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let web = matches!(self.protocol.as_str(), "http" | "https");
        if !web || self.host.is_empty() || !self.host.chars().all(is_host) {
            return None;
        }
        Url::parse(&format!("{}://{}/", self.protocol, self.host)).ok()
    }

    fn answer(&self, grant: &Grant, arguments: &GitArguments) -> Result<String, Failure> {
        let token = line_of(&grant.token.access_token)?;
        let credential = if arguments.bearer && self.takes_authtype {
            format!("capability[]=authtype\nauthtype=Bearer\ncredential={token}\nephemeral=1\n")
        } else {
            let username = self.username.as_ref().unwrap_or(&arguments.username);
            format!("username={username}\npassword={token}\n")
        };
        let end = grant.token.expires_at;
        let end = end.map_or(String::new(), |end| format!("password_expiry_utc={end}\n"));
        Ok(credential + &end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(protocol: &str, host: &str) -> Option<String> {
        let text = format!(
            "capability[]=authtype\nprotocol={protocol}\nhost={host}\npath=a.git\n\nhost=evil\n"
        );
        Question::read(&text).url().map(String::from)
    }

    #[test]
    fn the_host_is_read_as_git_says_it() {
        assert_eq!(
            url("https", "git.lab.example").as_deref(),
            Some("https://git.lab.example/")
        );
        assert_eq!(
            url("http", "127.0.0.1:80").as_deref(),
            Some("http://127.0.0.1/")
        );
        assert_eq!(
            url("https", "[::1]:444").as_deref(),
            Some("https://[::1]:444/")
        );
    }

    #[test]
    fn what_is_no_host_of_the_web_is_not_read() {
        for (protocol, host) in [
            ("ssh", "git.lab.example"),
            ("https", ""),
            ("https", "a/b"),
            ("https", "git.lab.example@evil.example"),
            ("https", "evil.example\\@git.lab.example"),
            ("https", "git.lab.example?x"),
        ] {
            assert_eq!(url(protocol, host), None, "{protocol}://{host}");
        }
    }
}
