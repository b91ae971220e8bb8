//! What browsers that nobody knows may cost the Hub, and that nobody else pays for it.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use hubkey_fakes::scripted_hub::{Fault, HubEndpoint};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::support::{
    attempt::opened_by,
    audit::AuditTrail,
    browser::{Reply, TestBrowser, ask, parameter},
    outcome::assert_refused,
    world::{World, WorldOptions, internal_request, send},
};

const FLOOD: usize = 300;
/// So many questions may come to nothing at once: from one address, and from everywhere.
const OF_ONE: usize = 10;
const OF_ALL: usize = 20;

/// The `state` of an address.
fn state_in(address: &str) -> String {
    let address = address.parse();
    let state = address.ok().and_then(|url| parameter(&url, "state"));
    state.unwrap_or_else(|| panic!("an address without a state"))
}

/// A browser that has visited `/connections` and comes back from nowhere: the state with its cookie and an invented code.
async fn invented(world: &World, peer: Option<&str>) -> Value {
    let mut browser = world.browser("mallory");
    let leaving = browser.ask("connections", &json!({})).await;
    let state = state_in(leaving.location());
    json!({
        "state": state, "code": "invented", "flow_cookie": browser.cookie_of(&state),
        "source": peer, "peer": peer,
    })
}

/// Callbacks with invented codes, from these addresses in turns.
async fn flood(world: &World, peers: &[Option<String>]) -> Vec<Reply> {
    let callbacks = (0..FLOOD).map(|number| async move {
        let peer = peers[number % peers.len()].as_deref();
        ask(world, "hub-callback", &invented(world, peer).await).await
    });
    join_all(callbacks).await
}

fn redemptions(world: &World) -> usize {
    world.hub.hits(HubEndpoint::Token)
}

fn one() -> Vec<Option<String>> {
    vec![Some("192.0.2.7".to_owned())]
}

fn everywhere() -> Vec<Option<String>> {
    (0..=255)
        .map(|last| Some(format!("198.51.100.{last}")))
        .collect()
}

/// From the link to the page after the Hub, with an address.
async fn come_from_the_hub(browser: &mut TestBrowser<'_>, ticket: &str, peer: &str) -> Reply {
    let started = browser.start(ticket).await;
    let back = browser.at_hub(started.location()).await;
    let state = state_in(back.as_str());
    let body = json!({
        "state": state, "code": parameter(&back, "code"), "flow_cookie": browser.cookie_of(&state),
        "peer": peer,
    });
    browser.ask("hub-callback", &body).await
}

#[tokio::test]
async fn found_f1_first_aid_anonymous_callbacks_of_one_address_cost_ten_questions() {
    let world = World::new().await;
    let replies = flood(&world, &one()).await;
    assert_eq!(redemptions(&world), OF_ONE);
    let limited = replies
        .iter()
        .filter(|reply| reply.refusal() == "rate_limited");
    assert_eq!(limited.count(), FLOOD - OF_ONE);
    world.clock.advance(Duration::from_secs(3));
    flood(&world, &one()).await;
    assert_eq!(redemptions(&world), OF_ONE + 3, "one a second from then on");
    // Somebody else has an address of their own.
    let reply = ask(
        &world,
        "hub-callback",
        &invented(&world, Some("192.0.2.8")).await,
    )
    .await;
    assert_refused(&reply, "forbidden");
}

#[tokio::test]
async fn found_f1_first_aid_anonymous_callbacks_from_everywhere_cost_twenty_questions() {
    for peers in [everywhere(), vec![None], vec![Some("127.0.0.1".to_owned())]] {
        let world = World::new().await;
        flood(&world, &peers).await;
        assert_eq!(redemptions(&world), OF_ALL, "{} addresses", peers.len());
        world.clock.advance(Duration::from_secs(2));
        flood(&world, &peers).await;
        assert_eq!(
            redemptions(&world),
            OF_ALL + 10,
            "{} addresses",
            peers.len()
        );
    }
}

#[tokio::test]
async fn found_f1_first_aid_a_live_sign_in_is_not_held_up_by_a_flood() {
    let world = World::new().await;
    flood(&world, &everywhere()).await;
    flood(&world, &one()).await;
    let visit = ask(&world, "hub-callback", &invented(&world, None).await).await;
    assert_refused(&visit, "rate_limited");
    // Through the same address as the flood, and kernels as ever.
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let mut alice = world.browser("alice");
    let arrived = come_from_the_hub(&mut alice, sign_in.ticket(), &one()[0].clone().unwrap()).await;
    let back = alice.at_provider(arrived.location()).await;
    assert_eq!(alice.come_back("lab-api", &back).await.kind(), "view");
    kernel.collect(&sign_in).await;
    // A cookie that opens nothing is none.
    let mut made_up = invented(&world, None).await;
    made_up["flow_cookie"] = json!("A".repeat(43));
    let before = redemptions(&world);
    assert_refused(&ask(&world, "hub-callback", &made_up).await, "forbidden");
    assert_eq!(redemptions(&world), before);
}

#[tokio::test]
async fn found_f1_first_aid_who_succeeds_pays_nothing() {
    let world = World::new().await;
    world.hub.log_in_every_browser(Some("alice"));
    for _ in 0..60 {
        let mut browser = world.browser("alice");
        let leaving = browser.ask("connections", &json!({})).await;
        let back = browser.at_hub(leaving.location()).await;
        let state = parameter(&back, "state").unwrap();
        let body = json!({
            "state": state, "code": parameter(&back, "code"), "flow_cookie": browser.cookie_of(&state),
            "peer": "192.0.2.7",
        });
        assert_eq!(
            browser.ask("hub-callback", &body).await.kind(),
            "connections"
        );
    }
}

/// Whoever has the link makes as many flows as they like; its own hub user is somewhere else.
#[tokio::test]
async fn found_f1_first_aid_who_has_a_link_costs_five_questions_for_it() {
    let (world, _, sign_in) = opened_by("alice").await;
    let mut limited = 0;
    for _ in 0..40 {
        let mut stranger = world.browser("mallory");
        let started = stranger.start(sign_in.ticket()).await;
        let state = parameter(&started.location().parse().unwrap(), "state").unwrap();
        let body = json!({
            "state": state, "code": "invented", "flow_cookie": stranger.cookie_of(&state), "peer": "192.0.2.7",
        });
        limited +=
            usize::from(stranger.ask("hub-callback", &body).await.refusal() == "rate_limited");
    }
    assert_eq!((redemptions(&world), limited), (5, 35));
    let mut alice = world.browser("alice");
    let arrived = come_from_the_hub(&mut alice, sign_in.ticket(), "192.0.2.8").await;
    assert_eq!(arrived.kind(), "redirect");
}

#[tokio::test]
async fn found_f1_first_aid_who_was_limited_reloads_the_page_and_goes_on() {
    let (world, _, sign_in) = opened_by("alice").await;
    let mut browser = world.browser("alice");
    for _ in 0..5 {
        let started = browser.start(sign_in.ticket()).await;
        let state = parameter(&started.location().parse().unwrap(), "state").unwrap();
        let body =
            json!({"state": state, "code": "invented", "flow_cookie": browser.cookie_of(&state)});
        assert_refused(&browser.ask("hub-callback", &body).await, "forbidden");
    }
    let started = browser.start(sign_in.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    assert_refused(&browser.hub_callback(&back).await, "rate_limited");
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(browser.hub_callback(&back).await.kind(), "redirect");
}

#[tokio::test]
async fn found_f1_first_aid_an_old_visit_is_refused_before_any_question() {
    let world = World::new().await;
    world.hub.log_in_every_browser(Some("alice"));
    let mut browser = world.browser("alice");
    let leaving = browser.ask("connections", &json!({})).await;
    let back = browser.at_hub(leaving.location()).await;
    world.clock.advance(Duration::from_secs(601));
    assert_refused(&browser.hub_callback(&back).await, "forbidden");
    // The time in the state is no more the browser's to choose than the rest of it.
    let leaving = browser.ask("connections", &json!({})).await;
    let mut back = browser.at_hub(leaving.location()).await;
    let state = parameter(&back, "state").unwrap();
    let (short, rest) = state.split_once('.').unwrap();
    let digit = if rest.starts_with('0') { '1' } else { '0' };
    let changed = format!("{short}.{digit}{}", &rest[1..]);
    let code = parameter(&back, "code").unwrap();
    back.query_pairs_mut()
        .clear()
        .append_pair("state", &changed)
        .append_pair("code", &code);
    assert_refused(&browser.hub_callback(&back).await, "forbidden");
    assert_eq!(redemptions(&world), 0);
}

#[tokio::test]
async fn found_f1_first_aid_who_hangs_up_before_the_question_does_not_ask() {
    let world = World::new().await;
    world.hub.fault(Fault::Hang);
    let mut asking = Vec::new();
    for number in 0..FLOOD {
        let body = invented(&world, Some(&format!("198.51.100.{}", number % 250))).await;
        let request = internal_request("/internal/v1/hub-callback", &body);
        let api = world.internal_api.clone();
        asking.push(tokio::spawn(async move { send(&api, request).await }));
    }
    sleep(Duration::from_millis(300)).await;
    let asked = redemptions(&world);
    assert!((1..=8).contains(&asked), "{asked} questions are under way");
    for request in &asking {
        request.abort();
    }
    world.hub.fault(Fault::None);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        redemptions(&world),
        asked,
        "whose browser is gone asks nothing"
    );
}

/// A whole minute of silence from the Hub for everybody who is nobody, and kernels go on.
#[tokio::test]
async fn found_f1_first_aid_kernels_do_not_stand_behind_browsers() {
    let world = World::new().await;
    let known = world.kernel("alice", "");
    known.open().await;
    // Redemptions hang, and only they.
    let never = hubkey_fakes::fake_http::Reply::new(StatusCode::OK)
        .paced(hubkey_fakes::fake_http::Pace::Never);
    world.hub.answer(HubEndpoint::Token, never);
    let mut asking = Vec::new();
    for number in 0..FLOOD {
        let body = invented(&world, Some(&format!("198.51.100.{}", number % 250))).await;
        let request = internal_request("/internal/v1/hub-callback", &body);
        let api = world.internal_api.clone();
        asking.push(tokio::spawn(async move { send(&api, request).await }));
    }
    sleep(Duration::from_millis(100)).await;
    for number in 0..20 {
        let kernel = world.kernel(&format!("user-{number}"), "");
        timeout(Duration::from_secs(2), kernel.open())
            .await
            .unwrap();
    }
    for request in &asking {
        request.abort();
    }
}

#[tokio::test]
async fn found_f1_first_aid_refusals_of_nobody_do_not_fill_the_audit_stream() {
    let trail = AuditTrail::begin();
    let world = World::new().await;
    flood(&world, &everywhere()).await;
    for number in 0..FLOOD {
        let mut browser = world.browser("mallory");
        browser.start(&format!("abcdef.unknown-{number}")).await;
        browser.view("abcdef").await;
    }
    let count = || trail.events().len();
    let flooded = count();
    assert!((3..=60).contains(&flooded), "{flooded} lines");
    assert!(trail.says("policy_denied", "reason=unknown_ticket"));
    // What is decided for somebody who is known is never left out.
    let mallory = world.kernel("mallory", "");
    for _ in 0..30 {
        mallory.create(&json!({"scopes": ["never:offered"]})).await;
    }
    assert_eq!(count(), flooded + 30);
    world.clock.advance(Duration::from_mins(1));
    world.browser("mallory").start("abcdef.unknown").await;
    let last = trail.events().pop().unwrap();
    assert!(last.contains("suppressed=290"), "{last}");
}

/// The page asks the Hub each time that it is shown, and somebody holds the key down.
#[tokio::test]
async fn found_f1_first_aid_a_page_that_is_reloaded_asks_once_at_a_time() {
    let world = World::with(WorldOptions::default()).await;
    world.hub.log_in_every_browser(Some("alice"));
    let mut browser = world.browser("alice");
    let leaving = browser.ask("connections", &json!({})).await;
    let back = browser.at_hub(leaving.location()).await;
    let flow = browser.hub_callback(&back).await.flow().to_owned();
    let cookie = browser.cookies[&flow].clone();
    let before = world.hub.hits(HubEndpoint::User);
    let body = json!({"flow": flow, "flow_cookie": cookie});
    let shown = join_all((0..FLOOD).map(|_| ask(&world, "view", &body))).await;
    assert!(shown.iter().all(|reply| reply.page()["user"] == "alice"));
    assert!(world.hub.hits(HubEndpoint::User) <= before + 3);
    let loops = async {
        loop {
            ask(&world, "view", &body).await;
        }
    };
    timeout(Duration::from_secs(2), loops).await.unwrap_err();
    let asked = world.hub.hits(HubEndpoint::User) - before;
    assert!(asked <= 25, "{asked} questions");
    // Nothing is remembered: who logs out is out.
    world.hub.log_out("alice");
    assert_refused(&ask(&world, "view", &body).await, "forbidden");
}
