//! `POST /internal/v1/connections` and `POST /internal/v1/end-connections`: the page "My connections".

use http::StatusCode;
use hubkey_fakes::hostile_provider::Account;
use serde_json::{Value, json};

use crate::support::{
    audit::AuditTrail,
    browser::{Reply, TestBrowser, parameter},
    outcome::{assert_refused, assert_told, revoked},
    world::World,
};

/// Through the Hub to the page; gives its flow.
async fn arrive(browser: &mut TestBrowser<'_>) -> String {
    let leaving = browser.ask("connections", &json!({})).await;
    assert_eq!(leaving.kind(), "redirect", "{leaving:?}");
    let back = browser.at_hub(leaving.location()).await;
    let reply = browser.hub_callback(&back).await;
    assert_eq!(reply.kind(), "connections", "{reply:?}");
    reply.flow().to_owned()
}

async fn page(browser: &mut TestBrowser<'_>, flow: &str) -> Value {
    let reply = browser.view(flow).await;
    assert_eq!(reply.page()["page"], "connections", "{reply:?}");
    reply.page().clone()
}

async fn end(browser: &mut TestBrowser<'_>, page: &Value, connection: Option<&str>) -> Reply {
    let cookie = page["flow"]
        .as_str()
        .and_then(|flow| browser.cookies.get(flow));
    let body = json!({
        "flow": page["flow"], "flow_cookie": cookie, "csrf": page["csrf"], "connection": connection,
    });
    browser.ask("end-connections", &body).await
}

fn rows(page: &Value) -> &Vec<Value> {
    page["connections"].as_array().unwrap()
}

#[tokio::test]
async fn feature_g11_a_person_sees_and_ends_what_their_notebooks_reach() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let (first, gpu) = (world.kernel("alice", ""), world.kernel("alice", "gpu"));
    let one = world.connect(&first, "alice").await;
    let two = world.connect(&gpu, "alice").await;
    let mut browser = world.browser("alice");
    let flow = arrive(&mut browser).await;
    let shown = page(&mut browser, &flow).await;
    assert_eq!(shown["user"], "alice");
    let ids: Vec<_> = rows(&shown).iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, [&two.id, &one.id]);
    let row = &rows(&shown)[0];
    assert_eq!(row["servers"], json!(["gpu"]));
    assert_eq!(row["provider"]["id"], "lab-api");
    assert!(row["account"].is_string());
    assert!(
        row["scopes"]
            .as_array()
            .is_some_and(|scopes| !scopes.is_empty())
    );
    assert!(row["since"].as_u64() > Some(0) && row["last_used"].as_u64() >= row["since"].as_u64());
    for token in [&one.access_token, &two.access_token] {
        assert!(!shown.to_string().contains(token));
    }

    let reply = end(&mut browser, &shown, Some(&two.id)).await;
    assert_eq!(reply.kind(), "connections");
    let gone = gpu.get_token(&two.id, 0).await;
    gone.assert_problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
    assert!(trail.says("grant_ended", "reason=my_connections"));
    let after = page(&mut browser, &flow).await;
    assert_eq!(after["just_ended"]["ended"], "one");
    assert_eq!(rows(&after).len(), 1);
    assert_eq!(first.get_token(&one.id, 0).await.status, StatusCode::OK);

    // Twice is as good as once.
    end(&mut browser, &shown, Some(&two.id)).await;
    let again = page(&mut browser, &flow).await;
    assert_eq!(again["just_ended"]["ended"], "nothing");
    end(&mut browser, &shown, None).await;
    let none = page(&mut browser, &flow).await;
    assert_eq!(none["just_ended"], json!({"ended": "all", "count": 1}));
    assert!(rows(&none).is_empty());
    let gone = first.get_token(&one.id, 0).await;
    gone.assert_problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn security_i7_another_hub_user_sees_nothing_and_ends_nothing() {
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    world.provider.sign_in_as(Account::new("op-mallory"));
    world.hub.log_in_every_browser(Some("mallory"));
    let mut mallory = world.browser("mallory");
    let flow = arrive(&mut mallory).await;
    let shown = page(&mut mallory, &flow).await;
    assert_eq!(shown["user"], "mallory");
    assert!(rows(&shown).is_empty());
    end(&mut mallory, &shown, Some(&connection.id)).await;
    let after = page(&mut mallory, &flow).await;
    assert_eq!(after["just_ended"]["ended"], "nothing");
    end(&mut mallory, &shown, None).await;
    assert_eq!(
        kernel.get_token(&connection.id, 0).await.status,
        StatusCode::OK
    );
    assert!(world.provider.revoked().is_empty());
}

#[tokio::test]
async fn security_b2_the_page_wants_the_cookie_the_form_token_and_the_same_hub_user() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    let mut browser = world.browser("alice");
    let flow = arrive(&mut browser).await;
    let shown = page(&mut browser, &flow).await;

    // A form that another page sends has no form token of this one.
    for csrf in ["", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let mut forged = shown.clone();
        forged["csrf"] = json!(csrf);
        let reply = end(&mut browser, &forged, Some(&connection.id)).await;
        assert_refused(&reply, "forbidden");
    }
    // Another browser has no cookie of this one.
    let mut other = world.browser("alice");
    assert_refused(&other.view(&flow).await, "invalid_link");
    let reply = end(&mut other, &shown, Some(&connection.id)).await;
    assert_refused(&reply, "forbidden");
    assert_eq!(
        kernel.get_token(&connection.id, 0).await.status,
        StatusCode::OK
    );

    // A state on the way to the Hub that comes without its cookie, or with another one, opens nothing.
    let traces = world.traces();
    let leaving = browser.ask("connections", &json!({})).await;
    assert_eq!(
        world.traces(),
        traces,
        "nothing is kept for who is nobody yet"
    );
    let back = browser.at_hub(leaving.location()).await;
    assert_refused(&other.hub_callback(&back).await, "forbidden");
    let state = parameter(&back, "state").unwrap();
    let (short, _) = state.split_once('.').unwrap();
    let foreign = other.ask("connections", &json!({})).await;
    assert_eq!(foreign.kind(), "redirect");
    let cookie = other.cookies.values().next().unwrap().clone();
    other.cookies.insert(short.to_owned(), cookie);
    assert_refused(&other.hub_callback(&back).await, "forbidden");

    // Whoever logged out of the Hub meanwhile sees and ends nothing.
    world.hub.log_out("alice");
    let reply = end(&mut browser, &shown, None).await;
    assert_refused(&reply, "forbidden");
    assert_told(&trail, "hub_user_mismatch");
    assert_refused(&browser.view(&flow).await, "invalid_link");
    assert_eq!(
        kernel.get_token(&connection.id, 0).await.status,
        StatusCode::OK
    );
}
