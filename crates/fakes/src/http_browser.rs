//! The browser's half of a sign-in without a browser: redirects, cookies, and the button "Connect". For measurements,
//! where hundreds of people sign in; what real browsers do is tested in `e2e`.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use http::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use url::Url;

use crate::scripted_hub::BROWSER_COOKIE;

/// More redirects than any sign-in has.
const MANY: usize = 12;

/// One person's browser, which is logged in at a scripted Hub.
#[derive(Debug)]
pub struct HttpBrowser {
    client: Client,
    site: Url,
    hub_user: String,
    /// Of callback-server, by name.
    cookies: BTreeMap<String, String>,
}

/// A page, as it came.
#[derive(Debug)]
pub struct Met {
    /// Where.
    pub url: Url,
    /// With which status.
    pub status: StatusCode,
    /// Its HTML.
    pub text: String,
}

/// A page that waits for the person's click.
#[derive(Debug)]
pub struct Question {
    action: Url,
    csrf: String,
}

impl HttpBrowser {
    /// A browser of this hub user, who is to visit callback-server at `site`. The client must not follow redirects.
    pub fn new(client: Client, site: &str, hub_user: &str) -> anyhow::Result<Self> {
        Ok(Self {
            client,
            site: Url::parse(site)?,
            hub_user: hub_user.to_owned(),
            cookies: BTreeMap::new(),
        })
    }

    /// Opens a link and goes on until a page asks something.
    pub async fn open(&mut self, link: &str) -> anyhow::Result<Question> {
        let Met { url, status, text } = self.visit(link).await?;
        Question::read(&text, &url)
            .with_context(|| format!("{} answered {status} and asks nothing", url.path()))
    }

    /// Opens a link and goes on to the first page.
    pub async fn visit(&mut self, link: &str) -> anyhow::Result<Met> {
        let mut url = Url::parse(link)?;
        for _ in 0..MANY {
            let answer = self.send(self.client.get(url.clone()), &url).await?;
            if let Some(next) = redirect(&answer, &url)? {
                url = next;
                continue;
            }
            let status = answer.status();
            let text = answer.text().await?;
            return Ok(Met { url, status, text });
        }
        anyhow::bail!("the sign-in goes round in circles")
    }

    /// Clicks "Connect", and waits for the answer to the click.
    pub async fn connect(&mut self, question: Question) -> anyhow::Result<()> {
        let Question { action, csrf } = question;
        let form = [("csrf", csrf.as_str()), ("decision", "accept")];
        let request = self.client.post(action.clone()).form(&form);
        let origin = self.site.origin().ascii_serialization();
        let answer = self.send(request.header(ORIGIN, origin), &action).await?;
        let status = answer.status();
        ensure!(
            status.is_success() || status.is_redirection(),
            "the click was answered {status}"
        );
        Ok(())
    }

    async fn send(&mut self, request: RequestBuilder, url: &Url) -> anyhow::Result<Response> {
        let is_site = url.origin() == self.site.origin();
        let cookies = if is_site {
            let pairs = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join("; ")
        } else {
            format!("{BROWSER_COOKIE}={}", self.hub_user)
        };
        let answer = request.header(COOKIE, cookies).send().await?;
        if is_site {
            for line in answer.headers().get_all(SET_COOKIE) {
                self.keep(line.to_str()?);
            }
        }
        Ok(answer)
    }

    fn keep(&mut self, line: &str) {
        let pair = line.split(';').next().unwrap_or_default();
        match pair.split_once('=') {
            Some((name, "")) => drop(self.cookies.remove(name)),
            Some((name, value)) => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            None => {}
        }
    }
}

impl Question {
    fn read(page: &str, url: &Url) -> Option<Self> {
        let between = |before: &str| {
            let rest = page.split_once(before)?.1;
            Some(rest.split_once('"')?.0)
        };
        Some(Self {
            action: url.join(between("method=\"post\" action=\"")?).ok()?,
            csrf: between("name=\"csrf\" value=\"")?.to_owned(),
        })
    }
}

fn redirect(answer: &Response, from: &Url) -> anyhow::Result<Option<Url>> {
    let Some(location) = answer.headers().get(LOCATION) else {
        return Ok(None);
    };
    Ok(Some(from.join(location.to_str()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_page_is_found() {
        let page = r#"<form class="actions" method="post" action="/confirm/abcdef">
            <input type="hidden" name="csrf" value="secret"><button>Connect</button></form>"#;
        let url = Url::parse("http://127.0.0.1:1/view/abcdef").unwrap();
        let question = Question::read(page, &url).unwrap();
        assert_eq!(
            question.action.as_str(),
            "http://127.0.0.1:1/confirm/abcdef"
        );
        assert_eq!(question.csrf, "secret");
        assert!(Question::read("<p>You can close this tab.</p>", &url).is_none());
    }
}
