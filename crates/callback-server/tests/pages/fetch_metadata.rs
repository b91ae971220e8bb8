//! The Fetch Metadata check, before every route.

use http::{Method, StatusCode};
use hubkey_protocol::internal::{BrowserAnswer, Page};

use crate::support::{COOKIE, OWN, STATE, Server, TICKET, Visit, confirm_page, short};

fn reads() -> [String; 5] {
    [
        format!("/start/{TICKET}"),
        format!("/oauth_callback?code=c&state={STATE}"),
        format!("/callback/lab-api?code=c&state={STATE}"),
        "/sign-in/abcdef".to_owned(),
        "/".to_owned(),
    ]
}

const FORMS: [&str; 2] = ["/continue/abcdef", "/confirm/abcdef"];
const FORM: &str = "csrf=form-token&decision=accept";

async fn refuses(server: &Server, what: &str, visit: Visit) {
    let answer = server.visit(visit.with("cookie", COOKIE)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
    assert!(!answer.body.contains("form-token"), "{what}");
    assert!(answer.cookies().is_empty(), "{what}");
    assert!(
        server.broker.calls().is_empty(),
        "{what}: the broker was asked"
    );
}

async fn with_a_page() -> Server {
    let server = Server::own().await;
    server.broker.shows(Page::Confirm(confirm_page()));
    server
}

#[tokio::test]
async fn security_o1_scripts_images_and_beacons_are_refused() {
    let server = with_a_page().await;
    for path in reads() {
        for (mode, dest) in [
            ("cors", "empty"),
            ("same-origin", "empty"),
            ("no-cors", "script"),
            ("no-cors", "image"),
            ("no-cors", "empty"),
        ] {
            for site in ["same-origin", "same-site", "cross-site"] {
                let visit = Visit::open(&path)
                    .begun_at(site)
                    .with("sec-fetch-mode", mode)
                    .with("sec-fetch-dest", dest);
                refuses(&server, &format!("{path} {mode} {dest} {site}"), visit).await;
            }
        }
    }
}

#[tokio::test]
async fn security_o3_frames_are_refused() {
    let server = with_a_page().await;
    for path in reads() {
        for dest in ["iframe", "frame", "object", "embed", "fencedframe"] {
            let visit = Visit::open(&path)
                .begun_at("same-origin")
                .with("sec-fetch-dest", dest);
            refuses(&server, &format!("{path} {dest}"), visit).await;
        }
    }
}

#[tokio::test]
async fn security_o4_what_a_service_worker_relays_is_refused() {
    let server = with_a_page().await;
    for path in reads() {
        let visit = Visit::open(&path)
            .begun_at("same-origin")
            .with("sec-fetch-dest", "empty");
        refuses(&server, &path, visit).await;
    }
    for path in FORMS {
        let visit = Visit::press(path, FORM)
            .with("origin", OWN)
            .with("sec-fetch-dest", "empty");
        refuses(&server, path, visit).await;
    }
}

#[tokio::test]
async fn security_o5_a_scripted_form_passes_the_gate_but_brings_no_form_token() {
    let server = with_a_page().await;
    let visit = Visit::press("/confirm/abcdef", "decision=accept")
        .with("origin", OWN)
        .with("cookie", COOKIE);
    server.visit(visit).await;
    assert_eq!(
        server.broker.call().body["csrf"],
        "",
        "the broker refuses an empty token like any wrong one"
    );
}

#[tokio::test]
async fn security_o6_forms_of_other_sites_are_refused() {
    let server = with_a_page().await;
    for path in FORMS {
        for site in ["cross-site", "same-site", "none"] {
            refuses(
                &server,
                site,
                Visit::press(path, FORM).begun_at(site).with("origin", OWN),
            )
            .await;
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://hubkey.example.org",
            "https://hubkey.example.org:444",
        ] {
            refuses(
                &server,
                origin,
                Visit::press(path, FORM).with("origin", origin),
            )
            .await;
            let old = Visit::bare(Method::POST, path)
                .body(FORM)
                .with("origin", origin);
            refuses(&server, origin, old).await;
        }
        refuses(
            &server,
            "no-cors",
            Visit::press(path, FORM).with("sec-fetch-mode", "no-cors"),
        )
        .await;
        refuses(
            &server,
            "no headers at all",
            Visit::bare(Method::POST, path).body(FORM),
        )
        .await;
    }
    let old = Visit::bare(Method::POST, "/confirm/abcdef")
        .with("origin", OWN)
        .with("content-type", "application/x-www-form-urlencoded")
        .body(FORM);
    assert_eq!(
        server.visit(old).await.status,
        StatusCode::OK,
        "an old browser with our own origin"
    );
}

#[tokio::test]
async fn security_o7_nothing_but_get_and_post_reaches_the_broker() {
    let server = with_a_page().await;
    let other = [
        "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND",
    ];
    for method in other.map(|method| method.parse::<Method>().unwrap()) {
        for path in reads().into_iter().chain(FORMS.map(str::to_owned)) {
            let allow = if FORMS.contains(&path.as_str()) {
                "POST"
            } else {
                "GET"
            };
            for visit in [
                Visit::bare(method.clone(), &path),
                Visit::bare(method.clone(), &path).begun_at("none"),
            ] {
                let answer = server
                    .visit(
                        visit
                            .with("cookie", COOKIE)
                            .with("x-http-method-override", "POST"),
                    )
                    .await;
                assert_eq!(
                    answer.status,
                    StatusCode::METHOD_NOT_ALLOWED,
                    "{method} {path}"
                );
                assert_eq!(answer.header("allow"), allow);
                assert!(answer.cookies().is_empty());
            }
        }
    }
    for path in FORMS {
        for visit in [
            Visit::open(path),
            Visit::open(&format!("{path}?{FORM}&_method=POST")),
        ] {
            assert_eq!(
                server.visit(visit).await.status,
                StatusCode::METHOD_NOT_ALLOWED
            );
        }
    }
    assert!(server.broker.calls().is_empty());
}

#[tokio::test]
async fn security_o7_what_is_fetched_ahead_of_time_touches_no_ticket() {
    let server = with_a_page().await;
    for path in reads() {
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
        ] {
            refuses(
                &server,
                &format!("{path} {name}"),
                Visit::open(&path).with(name, value),
            )
            .await;
        }
    }
}

#[tokio::test]
async fn navigations_from_anywhere_and_old_browsers_pass() {
    let server = Server::own().await;
    server.broker.says(BrowserAnswer::View { flow: short() });
    for path in reads() {
        for site in ["same-origin", "same-site", "cross-site", "none"] {
            assert_ne!(
                server.visit(Visit::open(&path).begun_at(site)).await.status,
                StatusCode::FORBIDDEN
            );
        }
        assert_ne!(
            server.visit(Visit::bare(Method::GET, &path)).await.status,
            StatusCode::FORBIDDEN
        );
    }
    // The address with the code, then the clean one, and one form: all of them are still navigations.
    assert_eq!(server.broker.calls().len(), 4 * 5);
}
