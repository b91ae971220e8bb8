//! A hub user's name is given to somebody else: a hub user is the name and the time when the Hub made them (ADR 52).

use http::{Method, StatusCode};
use hubkey_domain::provider::ConnectionScope;
use hubkey_fakes::{hostile_provider::Account, scripted_hub::models};
use hubkey_token_broker::use_cases::SharedServers;
use serde_json::{Value, json};

use crate::support::{
    audit::AuditTrail,
    browser::{Reply, TestBrowser},
    kernel::{Connected, TestKernel, connected},
    outcome::{assert_refused, revoked},
    world::{SERVICE_TOKEN, World, WorldOptions},
};

/// As a database with whole seconds gives it, and as the Hub has it in memory until it restarts.
const FORMER: &str = "2025-03-01T08:00:00Z";
const FORMER_IN_MEMORY: &str = "2025-03-01T07:59:59.514223Z";
const NEW: &str = "2026-11-20T09:30:12.000431Z";

async fn world(connection_scope: ConnectionScope) -> World {
    let world = World::with(WorldOptions {
        connection_scope,
        shared_servers: SharedServers::Allow,
        ..WorldOptions::default()
    })
    .await;
    world.hub.made("alice", Some(FORMER));
    world.provider.sign_in_as(Account::new("op-former"));
    world
}

/// The Hub forgets alice, and makes somebody new of that name. The Hub's message that her servers ended was lost.
fn given_again(world: &World) {
    world.hub.delete_user("alice");
    world.hub.made("alice", Some(NEW));
}

/// "My connections" of this browser's person: how many, and what it says where one is ended.
async fn listed(browser: &mut TestBrowser<'_>) -> (String, Value) {
    let leaving = browser.ask("connections", &json!({})).await;
    let back = browser.at_hub(leaving.location()).await;
    let arrived = browser.hub_callback(&back).await;
    let flow = arrived.flow().to_owned();
    let page = browser.view(&flow).await.page().clone();
    (flow, page)
}

async fn end(browser: &mut TestBrowser<'_>, page: &Value, connection: Option<&str>) -> Value {
    let flow = page["flow"].as_str().unwrap().to_owned();
    let body = json!({
        "flow": flow, "flow_cookie": browser.cookies[&flow], "csrf": page["csrf"],
        "connection": connection,
    });
    browser.ask("end-connections", &body).await;
    browser.view(&flow).await.page()["just_ended"].clone()
}

/// From the link to what the person sees after the provider.
async fn as_far_as_the_page(browser: &mut TestBrowser<'_>, kernel: &TestKernel) -> Value {
    let sign_in = kernel.open().await;
    let leaving = browser.go_to_provider(&sign_in).await;
    let back = browser.at_provider(leaving.location()).await;
    let reply = browser.callback("lab-api", &back).await;
    assert_eq!(reply.kind(), "view", "{reply:?}");
    browser.view(reply.flow()).await.page().clone()
}

async fn told(world: &World, body: &Value) {
    let hub = world.kernel_with(SERVICE_TOKEN);
    let answer = hub
        .send(Method::POST, "/v1/servers/stopped", Some(body))
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
}

async fn is_gone(kernel: &TestKernel, connection: &Connected) {
    let gone = kernel.get_token(&connection.id, 0).await;
    gone.assert_problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn found_e1_a_new_person_of_the_name_gets_no_token_without_a_browser() {
    for sharing in [
        ConnectionScope::User,
        ConnectionScope::Server,
        ConnectionScope::SignIn,
    ] {
        let world = world(sharing).await;
        let connection = world.connect(&world.kernel("alice", ""), "alice").await;
        given_again(&world);
        // Of the same server name and of another one.
        for server in ["", "gpu"] {
            let kernel = world.kernel("alice", server);
            let only = kernel.create(&json!({"interactive": false})).await;
            only.assert_problem(StatusCode::CONFLICT, "sign_in_required");
            let answer = kernel.create(&json!({})).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
            assert!(!answer.text().contains(&connection.access_token));
            assert!(kernel.connections().await.is_empty());
            is_gone(&kernel, &connection).await;
        }
    }
}

#[tokio::test]
async fn found_e1_a_new_person_of_the_name_lists_and_ends_nothing_of_the_former() {
    for sharing in [ConnectionScope::User, ConnectionScope::Server] {
        let world = world(sharing).await;
        let connection = world.connect(&world.kernel("alice", ""), "alice").await;
        let mut former = world.browser("alice");
        let (_, page) = listed(&mut former).await;
        assert_eq!(page["connections"].as_array().unwrap().len(), 1);
        given_again(&world);
        let mut browser = world.browser("alice");
        let (_, page) = listed(&mut browser).await;
        assert_eq!(page["connections"], json!([]));
        for which in [Some(connection.id.as_str()), None] {
            let ended = end(&mut browser, &page, which).await;
            assert!(
                ended == json!({"ended": "nothing"})
                    || ended == json!({"ended": "all", "count": 0}),
                "{ended}"
            );
        }
        assert!(world.provider.revoked().is_empty());
    }
}

#[tokio::test]
async fn found_e1_the_same_person_goes_on_whatever_the_database_rounds() {
    let world = world(ConnectionScope::User).await;
    let connection = world.connect(&world.kernel("alice", ""), "alice").await;
    world.hub.made("alice", Some(FORMER_IN_MEMORY));
    let answer = world.kernel("alice", "gpu").create(&json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(connected(&answer.json()), connection);
    let (_, page) = listed(&mut world.browser("alice")).await;
    assert_eq!(page["connections"].as_array().unwrap().len(), 1);
    // The link counts too: nobody is asked again.
    let other = world.kernel("alice", "other");
    let wish = json!({"audience": "https://api.example.org"});
    let sign_in = other.open_with(&wish).await;
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&sign_in).await;
    let back = browser.at_provider(leaving.location()).await;
    let reply = browser.callback("lab-api", &back).await;
    let page = browser.view(reply.flow()).await;
    assert_eq!(page.page()["page"], "done", "{page:?}");
}

#[tokio::test]
async fn found_e1_where_the_hub_does_not_say_it_nothing_is_handed_over() {
    for (first, second) in [(None, None), (None, Some(NEW)), (Some(FORMER), None)] {
        let world = world(ConnectionScope::User).await;
        world.hub.made("alice", first);
        let kernel = world.kernel("alice", "");
        let connection = world.connect(&kernel, "alice").await;
        world.hub.made("alice", second);
        // What was made for this very server token is its own still.
        assert_eq!(
            kernel.get_token(&connection.id, 0).await.status,
            StatusCode::OK
        );
        assert_eq!(kernel.connections().await.len(), 1);
        let again = kernel.create(&json!({})).await;
        assert_eq!(connected(&again.json()), connection);

        let gpu = world.kernel("alice", "gpu");
        let answer = gpu.create(&json!({})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let (_, page) = listed(&mut world.browser("alice")).await;
        assert_eq!(page["connections"], json!([]));
        // A person and a browser step make the next one; the account is asked about again.
        let mut browser = world.browser("alice");
        let page = as_far_as_the_page(&mut browser, &gpu).await;
        assert_eq!(page["page"], "confirm", "{first:?} {second:?}");
        let done = browser
            .decide("confirm", &Reply::of_page(&page), "accept")
            .await;
        assert_eq!(done.kind(), "view", "{done:?}");
        assert_eq!(gpu.connections().await.len(), 1);
    }
}

#[tokio::test]
async fn found_e1_the_formers_link_is_none_and_the_account_is_asked_about() {
    let trail = AuditTrail::begin();
    let world = world(ConnectionScope::Server).await;
    world.connect(&world.kernel("alice", ""), "alice").await;
    given_again(&world);
    let kernel = world.kernel("alice", "");
    let mut browser = world.browser("alice");

    // An account of their own: not as if it took the place of another one.
    world.provider.sign_in_as(Account::new("op-new"));
    let page = as_far_as_the_page(&mut browser, &kernel).await;
    assert_eq!(page["page"], "confirm");
    assert_eq!(page["replaces_account"], false);
    browser
        .decide("confirm", &Reply::of_page(&page), "cancel")
        .await;

    // The former's own account: let go to the same name, by the page only.
    world.provider.sign_in_as(Account::new("op-former"));
    let page = as_far_as_the_page(&mut browser, &kernel).await;
    assert_eq!(page["page"], "confirm");
    let done = browser
        .decide("confirm", &Reply::of_page(&page), "accept")
        .await;
    assert_eq!(done.kind(), "view", "{done:?}");
    assert!(trail.says("account_linked", "user=alice"));
    // And it is theirs from then on.
    let gpu = world.kernel("alice", "gpu");
    let page = as_far_as_the_page(&mut browser, &gpu).await;
    assert_eq!(page["page"], "done");
}

#[tokio::test]
async fn found_e1_to_another_name_an_account_is_not_let_go() {
    let world = world(ConnectionScope::Server).await;
    world.connect(&world.kernel("alice", ""), "alice").await;
    given_again(&world);
    world.hub.made("bob", Some(FORMER));
    let bob = world.kernel("bob", "");
    let sign_in = bob.open().await;
    let reply = world.browser("bob").sign_in(&sign_in).await;
    assert_eq!(reply.kind(), "view");
    assert_eq!(bob.state(&sign_in).await, "denied");
}

#[tokio::test]
async fn found_e1_a_link_of_the_former_is_dead_for_the_new_person() {
    let trail = AuditTrail::begin();
    let world = world(ConnectionScope::Server).await;
    let kernel = world.kernel("alice", "");
    let opened = kernel.open().await;
    world.hub.made("alice", Some(NEW));
    let mut browser = world.browser("alice");
    let started = browser.start(opened.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    assert_refused(&browser.hub_callback(&back).await, "invalid_link");
    assert!(trail.says("link_opened_by_other_user", "user=alice"));
    // Which of the two it is about.
    assert!(trail.says(
        "link_opened_by_other_user",
        "user_created=2025-03-01T08:00:00Z"
    ));
}

#[tokio::test]
async fn found_e1_a_person_who_became_another_meanwhile_confirms_nothing() {
    let world = world(ConnectionScope::Server).await;
    let kernel = world.kernel("alice", "");
    let mut browser = world.browser("alice");
    let page = as_far_as_the_page(&mut browser, &kernel).await;
    assert_eq!(page["page"], "confirm");
    world.hub.made("alice", Some(NEW));
    let reply = browser
        .decide("confirm", &Reply::of_page(&page), "accept")
        .await;
    assert_refused(&reply, "forbidden");
    assert_eq!(revoked(&world.provider, 2).await.len(), 2);
}

#[tokio::test]
async fn found_e1_the_formers_open_sign_ins_take_no_place_of_the_new_person() {
    let world = World::with(WorldOptions {
        open: hubkey_domain::user_index::OpenLimits {
            open: 2,
            per_minute: 2,
        },
        ..WorldOptions::default()
    })
    .await;
    world.hub.made("alice", Some(FORMER));
    let kernel = world.kernel("alice", "");
    for _ in 0..2 {
        kernel.open().await;
    }
    given_again(&world);
    world.kernel("alice", "").open().await;
}

#[tokio::test]
async fn found_e1_a_renamed_persons_server_is_told_clearly_and_serves_nobody() {
    let world = world(ConnectionScope::User).await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    world.hub.rename("alice", "alice2");
    world.hub.made("alice", Some(NEW));
    // What is remembered of the token ends after 30 seconds.
    world.clock.advance(std::time::Duration::from_secs(31));
    let refused = kernel.get_token(&connection.id, 0).await;
    refused.assert_problem(StatusCode::FORBIDDEN, "not_a_server_token");
    assert!(refused.text().contains("restart the server"));

    // The new alice gets nothing of it, nor does the renamed person's next server without a browser.
    for user in ["alice", "alice2"] {
        let answer = world.kernel(user, "").create(&json!({})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let (_, page) = listed(&mut world.browser(user)).await;
        assert_eq!(page["connections"], json!([]), "{user}");
    }
}

#[tokio::test]
async fn found_e1_where_the_hub_takes_the_token_for_the_renamed_persons_the_connection_goes_on() {
    let world = world(ConnectionScope::User).await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    world.hub.made("alice2", Some(FORMER_IN_MEMORY));
    world.hub.made("alice", Some(NEW));
    let renamed = models::server("alice2", "");
    world.hub.set_model(&kernel.token, renamed);
    world.clock.advance(std::time::Duration::from_secs(31));
    assert_eq!(
        kernel.get_token(&connection.id, 0).await.status,
        StatusCode::OK
    );
    let next = world.kernel("alice", "");
    assert_eq!(next.create(&json!({})).await.status, StatusCode::CREATED);
    is_gone(&next, &connection).await;
    // A token that another person holds, as no Hub says it, opens nothing.
    world
        .hub
        .set_model(&kernel.token, models::server("bob", ""));
    world.clock.advance(std::time::Duration::from_secs(31));
    is_gone(&kernel, &connection).await;
}

#[tokio::test]
async fn found_e1_the_end_of_a_renamed_persons_server_is_found_by_its_token() {
    let world = world(ConnectionScope::User).await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    // While the person is asked about another account, with other scopes.
    let waiting = kernel
        .open_with(&json!({"audience": "https://api.example.org"}))
        .await;
    world.provider.sign_in_as(Account::new("op-second"));
    let mut browser = world.browser("alice");
    let leaving = browser.go_to_provider(&waiting).await;
    let back = browser.at_provider(leaving.location()).await;
    browser.callback("lab-api", &back).await;

    world.hub.rename("alice", "alice2");
    world.hub.made("alice", Some(NEW));
    // The new alice has a server of that name too, and has begun to use it.
    world.provider.sign_in_as(Account::new("op-new"));
    let new = world.kernel("alice", "");
    let kept = world.connect(&new, "alice").await;

    told(
        &world,
        &json!({"user": "alice2", "server": "", "created": FORMER, "token": kernel.token}),
    )
    .await;
    let mut gone = revoked(&world.provider, 4).await;
    assert!(gone.contains(&connection.access_token));
    gone.retain(|token| *token == kept.access_token);
    assert!(gone.is_empty(), "the new person's goes on");
    assert_eq!(kernel.state(&waiting).await, "denied");
    assert_eq!(new.get_token(&kept.id, 0).await.status, StatusCode::OK);
}

#[tokio::test]
async fn found_e1_the_end_of_a_server_of_the_former_ends_nothing_of_the_new_person() {
    let world = world(ConnectionScope::Server).await;
    given_again(&world);
    world.provider.sign_in_as(Account::new("op-new"));
    let new = world.kernel("alice", "");
    let kept = world.connect(&new, "alice").await;
    let late = json!({"user": "alice", "server": "", "created": FORMER});
    told(&world, &late).await;
    assert_eq!(new.get_token(&kept.id, 0).await.status, StatusCode::OK);
    // By the same name and time, without a token: after a restart the Hub does not know it any more.
    let right = json!({"user": "alice", "server": "", "created": "2026-11-20T09:30:12Z"});
    told(&world, &right).await;
    is_gone(&new, &kept).await;
}

#[tokio::test]
async fn found_e1_where_the_message_is_lost_the_dead_token_and_twelve_hours_end_it() {
    let world = world(ConnectionScope::User).await;
    let kernel = world.kernel("alice", "");
    let connection = world.connect(&kernel, "alice").await;
    given_again(&world);
    world.clock.advance(std::time::Duration::from_secs(31));
    let refused = kernel.get_token(&connection.id, 0).await;
    refused.assert_problem(StatusCode::FORBIDDEN, "invalid_token");
    world.clock.advance(std::time::Duration::from_hours(12));
    let late = json!({"user": "alice", "server": "", "created": FORMER, "token": kernel.token});
    told(&world, &late).await;
    let answer = world.kernel("alice", "").create(&json!({})).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
}
