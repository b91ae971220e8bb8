//! A person with a browser that is just good enough for the Hub: cookies by path, redirects, two forms.

use std::sync::Mutex;

use reqwest::header::{COOKIE, LOCATION, REFERER, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use url::Url;

use hubkey_starters::jupyterhub::JupyterHub;

use crate::stage::Stage;

pub(crate) struct Person {
    client: Client,
    hub: Url,
    cookies: Mutex<Vec<Cookie>>,
}

struct Cookie {
    name: String,
    path: String,
    value: String,
}

/// Where a walk through redirects ended.
pub(crate) enum Landing {
    /// On a page of the Hub or of a server behind it.
    Page { url: Url, text: String },
    /// On the way to another origin.
    Elsewhere(Url),
}

impl Person {
    /// Logs in at the Hub.
    pub(crate) async fn logged_in(stage: &Stage, name: &str) -> Self {
        let person = Self {
            client: Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .build()
                .unwrap(),
            hub: stage.hub.url().parse().unwrap(),
            cookies: Mutex::default(),
        };
        let login = person.hub.join("/hub/login").unwrap();
        person.visit(&login).await;
        let form = [
            ("username", name),
            ("password", JupyterHub::PASSWORD),
            ("_xsrf", &person.xsrf(&login)),
        ];
        let request = person.client.post(login.clone()).form(&form);
        let answer = person.send(&login, request).await;
        assert_eq!(answer.status(), 302, "{name} cannot log in");
        person
    }

    /// Logs out of the Hub, and so out of everything that the Hub's OAuth let this browser into.
    pub(crate) async fn log_out(&self) {
        self.visit(&self.hub.join("/hub/logout").unwrap()).await;
    }

    /// Opens an address as a link would, and says yes where the Hub asks whether a server may know who this is.
    pub(crate) async fn visit(&self, url: &Url) -> Landing {
        let mut url = url.clone();
        let mut answer = self.send(&url, self.client.get(url.clone())).await;
        for _ in 0..20 {
            if let Some(next) = location(&url, &answer) {
                if next.origin() != self.hub.origin() {
                    return Landing::Elsewhere(next);
                }
                url = next;
                answer = self.send(&url, self.client.get(url.clone())).await;
                continue;
            }
            let status = answer.status();
            let text = answer.text().await.unwrap();
            assert_eq!(status, 200, "{} {text:.300}", url.path());
            if !text.contains(r#"name="scopes""#) {
                return Landing::Page { url, text };
            }
            answer = self.consent(&url, &text).await;
        }
        panic!("redirects without an end, now at {}", url.path());
    }

    /// Opens a Lab and gives the token that any script in its page can read.
    pub(crate) async fn token_in_page(&self, stage: &Stage, owner: &str, server: &str) -> String {
        let lab = format!("{}lab", stage.hub.server_url(owner, server));
        let Landing::Page { url, text } = self.visit(&lab.parse().unwrap()).await else {
            panic!("a Lab is a page");
        };
        let start = text
            .find(r#"id="jupyter-config-data""#)
            .unwrap_or_else(|| panic!("no page of a Lab at {}: {text:.300}", url.path()));
        let json = &text[start..][text[start..].find('>').unwrap() + 1..];
        let config: Value = serde_json::from_str(&json[..json.find("</script>").unwrap()]).unwrap();
        config["token"].as_str().unwrap().to_owned()
    }

    async fn consent(&self, url: &Url, page: &str) -> Response {
        let xsrf = self.xsrf(url);
        let mut form = vec![("_xsrf", xsrf.as_str())];
        let inputs = page.split(r#"name="scopes" value=""#).skip(1);
        form.extend(inputs.map(|rest| ("scopes", rest.split('"').next().unwrap())));
        let request = self.client.post(url.clone()).form(&form);
        self.send(url, request.header(REFERER, url.as_str())).await
    }

    async fn send(&self, url: &Url, request: RequestBuilder) -> Response {
        let request = request
            .header(COOKIE, self.cookies_for(url))
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-dest", "document");
        let answer = request.send().await.unwrap();
        for line in answer.headers().get_all(SET_COOKIE) {
            self.keep(line.to_str().unwrap());
        }
        answer
    }

    fn keep(&self, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let path = parts
            .find_map(|part| part.strip_prefix("Path=").or(part.strip_prefix("path=")))
            .unwrap_or("/");
        let mut cookies = self.cookies.lock().unwrap();
        cookies.retain(|cookie| (cookie.name.as_str(), cookie.path.as_str()) != (name, path));
        if !value.trim_matches('"').is_empty() {
            cookies.push(Cookie {
                name: name.to_owned(),
                path: path.to_owned(),
                value: value.to_owned(),
            });
        }
    }

    /// The longest path first, as browsers send them.
    fn cookies_for(&self, url: &Url) -> String {
        let cookies = self.cookies.lock().unwrap();
        let mut fit: Vec<_> = cookies
            .iter()
            .filter(|cookie| url.path().starts_with(&cookie.path))
            .collect();
        fit.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<_> = fit
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        pairs.join("; ")
    }

    fn xsrf(&self, url: &Url) -> String {
        let cookies = self.cookies_for(url);
        let mut pairs = cookies.split("; ");
        let value = pairs.find_map(|pair| pair.strip_prefix("_xsrf="));
        value.unwrap().trim_matches('"').to_owned()
    }
}

fn location(from: &Url, answer: &Response) -> Option<Url> {
    let location = answer.headers().get(LOCATION)?;
    Some(from.join(location.to_str().unwrap()).unwrap())
}
