//! `POST /internal/v1/hub-callback`: the Hub says who the browser is.

use futures_util::future::join_all;
use hubkey_domain::provider::IdentityPolicy;
use hubkey_fakes::{
    hostile_provider::{Account, Endpoint},
    scripted_hub::{Fault, HubEndpoint},
};
use serde_json::{Value, json};

use crate::support::{
    attempt::{Attempt, Refused, opened_by},
    browser::{ask, parameter},
    outcome::{assert_refused, assert_told, exchanges, failure, link_account},
    world::{World, WorldOptions},
};

#[tokio::test]
async fn security_b1_another_users_browser_burns_the_link() {
    let attempt = Attempt::begin("mallory").await;
    let mut alice = attempt.browser("alice");
    let started = alice.start(attempt.sign_in.ticket()).await;
    let back = alice.at_hub(started.location()).await;
    let burned = alice.hub_callback(&back).await;
    attempt
        .assert_refused(
            &burned,
            Refused {
                refusal: "invalid_link",
                state: "denied",
                event: "link_opened_by_other_user",
            },
        )
        .await;
    assert!(alice.cookies.is_empty());
    assert_eq!(attempt.world.provider.hits(Endpoint::Authorize), 0);

    let expired = alice.start("abcdef.unknown").await;
    let shape = |reply: &Value| {
        let mut answer = reply["answer"].clone();
        answer["reference"] = Value::Null;
        answer
    };
    assert_eq!(shape(&burned.0), shape(&expired.0));
    for user in ["alice", "mallory"] {
        let again = attempt.browser(user).start(attempt.sign_in.ticket()).await;
        assert_refused(&again, "invalid_link");
    }
    let told = attempt.trail.events();
    let event = told
        .iter()
        .find(|event| event.starts_with("link_opened_by_other_user"));
    assert!(event.unwrap().contains("actor=alice"), "{told:?}");
}

#[tokio::test]
async fn security_b2_a_hub_state_is_worth_nothing_without_its_cookie() {
    let attempt = Attempt::begin("alice").await;
    let mut own = attempt.browser("alice");
    let mut other = attempt.browser("alice");
    other.start(attempt.sign_in.ticket()).await;
    let started = own.start(attempt.sign_in.ticket()).await;
    let back = own.at_hub(started.location()).await;
    attempt
        .assert_unharmed(&other.hub_callback(&back).await, "policy_denied")
        .await;
    // Used up by the wrong browser, and so for the right one.
    attempt
        .assert_unharmed(&own.hub_callback(&back).await, "policy_denied")
        .await;
    let started = own.start(attempt.sign_in.ticket()).await;
    let back = own.at_hub(started.location()).await;
    own.cookies.clear();
    attempt
        .assert_unharmed(&own.hub_callback(&back).await, "policy_denied")
        .await;
    assert_eq!(attempt.world.hub.hits(HubEndpoint::Token), 0);
}

#[tokio::test]
async fn security_i4_of_parallel_hub_callbacks_one_is_taken() {
    let (world, _, sign_in) = opened_by("alice").await;
    let mut browser = world.browser("alice");
    let started = browser.start(sign_in.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    let state = parameter(&back, "state").unwrap();
    let body = json!({
        "state": state, "code": parameter(&back, "code"), "flow_cookie": browser.cookie_of(&state),
    });
    let replies = join_all((0..20).map(|_| ask(&world, "hub-callback", &body))).await;
    let (taken, refused): (Vec<_>, Vec<_>) =
        replies.iter().partition(|reply| reply.kind() == "redirect");
    assert_eq!((taken.len(), refused.len()), (1, 19));
    for reply in refused {
        assert_refused(reply, "forbidden");
    }
    assert_eq!(world.hub.hits(HubEndpoint::Token), 1);
}

#[tokio::test]
async fn security_i6_without_the_hub_nobody_goes_on_and_the_link_stays_good() {
    let (trail, world, kernel, sign_in) = Attempt::begin("alice").await.into_parts();
    let mut browser = world.browser("alice");
    let started = browser.start(sign_in.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    world.hub.fault(Fault::Down);
    assert_refused(&browser.hub_callback(&back).await, "unavailable");
    world.hub.fault(Fault::None);
    assert_eq!(kernel.state(&sign_in).await, "pending");
    assert_told(&trail, "hub_unavailable");
    browser.sign_in(&sign_in).await;
    assert_eq!(kernel.state(&sign_in).await, "connected");
}

#[tokio::test]
async fn security_k1_a_hub_answer_that_is_no_browsers_is_refused() {
    let attempt = Attempt::begin("alice").await;
    for (member, value) in [
        ("session_id", Value::Null),
        ("kind", "service".into()),
        ("scopes", json!([])),
        ("name", "".into()),
    ] {
        attempt
            .world
            .hub
            .alter_browser_models(move |model| model[member] = value.clone());
        let mut browser = attempt.browser("alice");
        let started = browser.start(attempt.sign_in.ticket()).await;
        let back = browser.at_hub(started.location()).await;
        let reply = browser.hub_callback(&back).await;
        assert!(
            ["forbidden", "unavailable"].contains(&reply.refusal()),
            "{member}: {reply:?}"
        );
        let refusal = reply.refusal().to_owned();
        attempt
            .assert_refused(
                &reply,
                Refused {
                    refusal: &refusal,
                    state: "pending",
                    event: "hub_user_mismatch",
                },
            )
            .await;
    }
}

#[tokio::test]
async fn feature_k13_a_provider_that_is_down_is_told_to_person_and_kernel() {
    let (trail, world, kernel, sign_in) = Attempt::begin("alice").await.into_parts();
    world.provider.set_up(false);
    let mut browser = world.browser("alice");
    let started = browser.start(sign_in.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    let reply = browser.hub_callback(&back).await;
    let page = browser.view(reply.flow()).await;
    assert_eq!(page.page()["page"], "ended");
    assert_eq!(page.page()["reason"], "provider_unavailable");
    assert_eq!(failure(&kernel, &sign_in).await, "provider_unavailable");
    assert_told(&trail, "provider_failed");
    let reference = page.page()["reference"].as_str().unwrap().to_owned();
    assert!(
        trail
            .events()
            .iter()
            .any(|event| event.contains(&reference))
    );

    world.provider.set_up(true);
    let next = kernel.open().await;
    browser.sign_in(&next).await;
    assert_eq!(kernel.state(&next).await, "connected");
}

/// Which answer follows the Hub's: `redirect` to the provider, or `view` of the start page.
async fn after_the_hub(options: WorldOptions, linked: bool) -> &'static str {
    let world = World::with(options).await;
    if linked {
        link_account(&world, "alice", "op-alice").await;
    }
    world.provider.sign_in_as(Account::new("op-alice"));
    let sign_in = world.kernel("alice", "").open().await;
    let mut browser = world.browser("alice");
    let started = browser.start(sign_in.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    let reply = browser.hub_callback(&back).await;
    assert_eq!(exchanges(&world), 0);
    match reply.kind() {
        "redirect" => "redirect",
        "view" => {
            let page = browser.view(reply.flow()).await;
            assert_eq!(page.page()["page"], "start", "{page:?}");
            assert_eq!(page.page()["user"], "alice");
            "start page"
        }
        _ => panic!("{reply:?}"),
    }
}

#[tokio::test]
async fn security_o5_a_shared_origin_asks_before_the_provider_where_nothing_asks_after() {
    let with = |shared_origin, identity| WorldOptions {
        account_policy: identity,
        shared_origin,
        ..WorldOptions::default()
    };
    let confirm = || IdentityPolicy::Confirm;
    let unchecked = || IdentityPolicy::Unchecked;
    let claim = || IdentityPolicy::Claim("hub_user".to_owned());
    for (options, linked, expected) in [
        (with(false, confirm()), false, "redirect"),
        (with(false, confirm()), true, "redirect"),
        (with(false, unchecked()), false, "redirect"),
        (with(true, confirm()), false, "redirect"),
        (with(true, confirm()), true, "start page"),
        (with(true, unchecked()), false, "start page"),
        (with(true, claim()), false, "start page"),
    ] {
        let case = format!(
            "shared {} {:?} {linked}",
            options.shared_origin, options.account_policy
        );
        assert_eq!(after_the_hub(options, linked).await, expected, "{case}");
    }
}
