//! Attacks by a page of another user on the hub's own origin, in a real browser (rules O1 to O9 of
//! `docs/reference/security-rules.md`).

use std::time::Duration;

use axum::{
    Router,
    extract::Query,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::header::CONTENT_TYPE;
use hubkey_protocol::{
    internal::{BrowserAnswer, BrowserReply, Page, SetFlowCookie},
    secret::FlowCookie,
};
use serde::Deserialize;
use thirtyfour::{By, WebDriver};
use tokio::time::sleep;

use crate::{
    chromium::{in_browser, listening},
    support::{Server, TICKET, confirm_page, short},
};

const PREFIX: &str = "/services/hubkey";
const PAGE: &str = "/services/hubkey/sign-in/abcdef";

/// Relays every request of the origin, and keeps what it sees.
const WORKER: &str = "
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => event.respondWith((async () => {
  const response = await fetch(event.request);
  const stolen = event.request.url + ' ' + response.status + ' ' + await response.clone().text();
  await (await caches.open('stolen')).put('/stolen/' + Math.random(), new Response(stolen));
  return response;
})()));
";

#[derive(Deserialize)]
struct Opener {
    coop: Option<String>,
}

async fn evil_page(Query(opener): Query<Opener>) -> Response {
    let page = "<!doctype html><title>mallory</title><button id=open onclick=\"attack()\">Win a prize</button>\
                <script>function attack() { window.victim = window.open(window.target); }</script>";
    let mut response = Html(page).into_response();
    if let Some(coop) = opener.coop {
        response
            .headers_mut()
            .insert("cross-origin-opener-policy", coop.parse().unwrap());
    }
    response
}

async fn worker() -> Response {
    (
        [
            (CONTENT_TYPE.as_str(), "text/javascript"),
            ("service-worker-allowed", "/"),
        ],
        WORKER,
    )
        .into_response()
}

/// The hub's origin: mallory's own pages, and ours at a path.
async fn hub() -> (Server, String) {
    let mallory = Router::new()
        .route("/user/mallory/", get(evil_page))
        .route("/user/mallory/sw.js", get(worker));
    listening(PREFIX, mallory).await
}

/// The person has a sign-in under way: the browser holds its cookie, and the broker would show the form.
async fn with_flow(driver: &WebDriver, server: &Server, origin: &str) {
    server.broker.replies(&BrowserReply {
        answer: BrowserAnswer::Page {
            page: Page::Confirm(confirm_page()),
        },
        set_cookie: Some(SetFlowCookie {
            flow: short(),
            value: FlowCookie::new("flow-cookie"),
            max_age: 600,
        }),
        clear_cookie: None,
    });
    driver
        .goto(format!("{origin}{PREFIX}/start/{TICKET}"))
        .await
        .unwrap();
    assert!(
        driver.source().await.unwrap().contains("form-token"),
        "a person's own navigation shows the form"
    );
    server.broker.shows(Page::Confirm(confirm_page()));
}

async fn script(driver: &WebDriver, script: &str) -> String {
    let script = format!(
        "const done = arguments[arguments.length - 1]; (async () => {{ {script} }})().then(done, (e) => done('failed: ' + e));"
    );
    driver
        .execute_async(script, vec![])
        .await
        .unwrap()
        .json()
        .to_string()
}

/// Questions to the broker beyond those that the person caused.
fn asked_beyond(server: &Server, person: usize) -> usize {
    server.broker.calls().len() - person
}

#[tokio::test(flavor = "multi_thread")]
async fn security_o1_a_script_of_the_same_origin_reads_nothing() {
    let (server, origin) = hub().await;
    in_browser(async move |driver| {
        with_flow(&driver, &server, &origin).await;
        driver.goto(format!("{origin}/user/mallory/")).await.unwrap();
        let seen = script(&driver, &format!("
            let seen = '';
            for (const options of [{{}}, {{mode: 'same-origin'}}, {{mode: 'no-cors'}}, {{method: 'POST', body: new URLSearchParams('decision=accept')}}]) {{
              const response = await fetch('{PAGE}', options);
              seen += response.status + ' ' + await response.text();
            }}
            const xhr = new XMLHttpRequest(); xhr.open('GET', '{PAGE}', false); xhr.send(); seen += xhr.status + ' ' + xhr.responseText;
            navigator.sendBeacon('{PREFIX}/confirm/abcdef', new URLSearchParams('decision=accept'));
            for (const [tag, attribute] of [['script', 'src'], ['img', 'src'], ['link', 'href'], ['video', 'src'], ['iframe', 'src'], ['object', 'data'], ['embed', 'src']]) {{
              const element = document.createElement(tag); element[attribute] = '{PAGE}';
              if (tag === 'link') element.rel = 'prefetch';
              document.body.append(element);
            }}
            await new Promise((go) => setTimeout(go, 1500));
            for (const frame of document.querySelectorAll('iframe, object')) {{
              try {{ seen += frame.contentDocument.documentElement.outerHTML; }} catch {{ }}
            }}
            return seen;
        ")).await;
        assert!(!seen.contains("form-token"), "{seen}");
        assert_eq!(seen.matches("403 ").count(), 5, "{seen}");
        assert_eq!(asked_beyond(&server, 1), 0, "{:?}", server.broker.calls());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_o2_no_opener_keeps_a_handle_on_our_pages() {
    for coop in [
        "",
        "same-origin",
        "same-origin-allow-popups",
        "noopener-allow-popups",
        "unsafe-none",
    ] {
        let (server, origin) = hub().await;
        in_browser(async move |driver| {
            with_flow(&driver, &server, &origin).await;
            let query = if coop.is_empty() { String::new() } else { format!("?coop={coop}") };
            driver.goto(format!("{origin}/user/mallory/{query}")).await.unwrap();
            driver.execute(format!("window.target = '{PAGE}'"), vec![]).await.unwrap();
            driver.find(By::Id("open")).await.unwrap().click().await.unwrap();
            popup_arrived(&server).await;
            assert_eq!(asked_beyond(&server, 1), 1, "{coop}: the popup is a navigation of a whole tab");
            let seen = script(&driver, "
                await new Promise((go) => setTimeout(go, 500));
                let seen = 'closed: ' + (window.victim === null || window.victim.closed) + ' ';
                try { seen += window.victim.document.documentElement.outerHTML; } catch (e) { seen += e; }
                return seen;
            ").await;
            assert!(!seen.contains("form-token"), "{coop}: {seen}");
            assert!(seen.contains("closed: true"), "{coop}: {seen}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_o9_a_page_that_was_opened_has_nobody_behind_it() {
    let (server, origin) = hub().await;
    in_browser(async move |driver| {
        with_flow(&driver, &server, &origin).await;
        driver
            .goto(format!("{origin}/user/mallory/"))
            .await
            .unwrap();
        driver
            .execute(format!("window.target = '{PAGE}'"), vec![])
            .await
            .unwrap();
        driver
            .find(By::Id("open"))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        popup_arrived(&server).await;
        let mine = driver.window().await.unwrap();
        let windows = driver.windows().await.unwrap();
        let other = windows.into_iter().find(|window| *window != mine).unwrap();
        driver.switch_to_window(other).await.unwrap();
        let opener = script(
            &driver,
            "
            await new Promise((go) => setTimeout(go, 500));
            return document.title + ' ' + (window.opener === null);
        ",
        )
        .await;
        assert!(
            opener.contains("Connect these two accounts? true"),
            "{opener}"
        );
    })
    .await;
}

async fn popup_arrived(server: &Server) {
    for _ in 0..100 {
        if asked_beyond(server, 1) > 0 {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_o4_a_service_worker_of_the_origin_gets_no_page() {
    let (server, origin) = hub().await;
    in_browser(async move |driver| {
        with_flow(&driver, &server, &origin).await;
        driver.goto(format!("{origin}/user/mallory/")).await.unwrap();
        let installed = script(&driver, "
            await navigator.serviceWorker.register('/user/mallory/sw.js', {scope: '/'});
            await navigator.serviceWorker.ready;
            return 'installed';
        ").await;
        assert_eq!(installed, "\"installed\"");
        for path in [
            PAGE.to_owned(),
            format!("{PREFIX}/start/{TICKET}"),
            format!("{PREFIX}/callback/lab-api?code=c&state=abcdef.x"),
            format!("{PREFIX}/oauth_callback?code=c&state=abcdef.x"),
        ] {
            driver.goto(format!("{origin}{path}")).await.unwrap();
            let source = driver.source().await.unwrap();
            assert!(source.contains("This page opens only in a tab of its own"), "{path}: {source}");
        }
        driver.goto(format!("{origin}/user/mallory/")).await.unwrap();
        let stolen = script(&driver, "
            const stolen = await caches.open('stolen');
            const texts = await Promise.all((await stolen.keys()).map(async (key) => (await stolen.match(key)).text()));
            return texts.join('\\n');
        ").await;
        assert!(stolen.contains(&format!("{PAGE} 403")), "the worker did relay the request: {stolen}");
        assert!(!stolen.contains("form-token"));
        assert_eq!(asked_beyond(&server, 1), 0, "no code and no ticket reached the broker: {:?}", server.broker.calls());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_o5_a_scripted_form_brings_no_form_token() {
    let (server, origin) = hub().await;
    in_browser(async move |driver| {
        with_flow(&driver, &server, &origin).await;
        driver.goto(format!("{origin}/user/mallory/")).await.unwrap();
        driver.execute(format!("
            const form = document.createElement('form'); form.method = 'post'; form.action = '{PREFIX}/confirm/abcdef';
            form.innerHTML = '<input name=decision value=accept>'; document.body.append(form); form.submit();
        "), vec![]).await.unwrap();
        for _ in 0..100 {
            if let Some(call) = server.broker.calls().into_iter().find(|call| call.path == "/internal/v1/confirm") {
                assert_eq!(call.body["flow_cookie"], "flow-cookie", "the browser does send the cookie");
                assert_eq!(call.body["csrf"], "", "and that is not enough");
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the form did not arrive: {:?}", server.broker.calls());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_b5_a_script_cannot_make_a_flow_cookie() {
    let (server, origin) = hub().await;
    in_browser(async move |driver| {
        driver
            .goto(format!("{origin}/user/mallory/"))
            .await
            .unwrap();
        driver
            .execute(
                "
            for (const path of ['/services/hubkey/', '/', '/services/hubkey/sign-in/'])
              document.cookie = '__Http-hk-abcdef=evil; Secure; Path=' + path;
        ",
                vec![],
            )
            .await
            .unwrap();
        server.broker.shows(Page::Confirm(confirm_page()));
        driver.goto(format!("{origin}{PAGE}")).await.unwrap();
        assert_eq!(
            server.broker.call().body["flow_cookie"],
            serde_json::Value::Null
        );
    })
    .await;
}
