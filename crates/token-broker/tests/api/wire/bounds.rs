//! The table of bounds, row by row: what is as large as a row says is taken, and one more is not, in the row's words. A row
//! without a probe fails.

use std::time::{Duration, Instant};

use http::StatusCode;
use hubkey_fakes::{
    fake_http::Reply,
    hostile_provider::{Account, Draft, Endpoint, Pushed},
};
use hubkey_protocol::{
    SignInFailure,
    bounds::{Beyond, Bound, BoundGroup},
};
use serde_json::{Value, json};

use crate::{
    support::{
        browser::{Reply as Step, TestBrowser},
        kernel::Opened,
        outcome::{assert_no_connection, failure},
        world::World,
    },
    wire::sizes::{fill, pad},
};

/// A JSON object of exactly so many bytes.
fn pad_object(object: &mut Value, size: usize) {
    object["padding"] = json!("");
    let rest = size - object.to_string().len();
    object["padding"] = json!("x".repeat(rest));
}

/// Lists within each other.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// Has the provider send what a row bounds, of this size.
fn send(world: &World, bound: Bound, size: usize) {
    let provider = &world.provider;
    let is_taken = size <= bound.limit();
    match bound {
        Bound::IdToken if is_taken => provider.id_tokens(move |token| fill(token, size)),
        Bound::IdToken => provider.id_tokens(move |token| pad(token, size)),
        Bound::ProviderAnswer => provider.token_responses(move |answer| pad_object(answer, size)),
        Bound::KeySet => provider.jwks(move |set| pad_object(set, size)),
        Bound::Keys => provider.jwks(move |set| {
            let keys = set["keys"].as_array_mut().expect("keys");
            keys.resize(size, json!({"kty": "other"}));
        }),
        Bound::KeyName => {
            let name = "k".repeat(size);
            let renamed = name.clone();
            provider.jwks(move |set| set["keys"][0]["kid"] = json!(renamed));
            provider.id_tokens(move |token| token.head("kid", name.as_str()));
        }
        Bound::JsonDepth => {
            // The claims are an object themselves.
            provider.id_tokens(move |token: &mut Draft| token.claim("deep", nested(size - 1)));
        }
        Bound::Subject => provider.sign_in_as(Account::new(&"s".repeat(size))),
        Bound::AccountLabel => {
            provider.sign_in_as(Account::new("op-alice").claim("name", "n".repeat(size)));
        }
        Bound::PushedReference => {
            provider
                .capabilities()
                .take_pushed_requests(Pushed::Offered);
            let reference = format!("urn:{}", "x".repeat(size - "urn:".len()));
            let answer = json!({"request_uri": reference, "expires_in": 60});
            let reply = Reply::json(&answer).with_status(StatusCode::CREATED);
            provider.answer_next(Endpoint::PushedAuthorization, reply);
        }
        _ => panic!("{} has no probe", bound.name()),
    }
}

/// The last step before the browser stands still: at the provider with a reference, else back from it.
async fn last_step(browser: &mut TestBrowser<'_>, sign_in: &Opened, bound: Bound) -> Step {
    let started = browser.start(sign_in.ticket()).await;
    let back = browser.at_hub(started.location()).await;
    let leaving = browser.hub_callback(&back).await;
    if leaving.kind() != "redirect" || bound == Bound::PushedReference {
        return leaving;
    }
    let back = browser.at_provider(leaving.location()).await;
    browser.callback("lab-api", &back).await
}

async fn assert_taken(bound: Bound) {
    let world = World::new().await;
    send(&world, bound, bound.limit());
    let kernel = world.kernel("alice", "");
    if bound == Bound::PushedReference {
        let sign_in = kernel.open().await;
        let mut browser = world.browser("alice");
        let leaving = last_step(&mut browser, &sign_in, bound).await;
        assert_eq!(leaving.kind(), "redirect", "{leaving:?}");
    } else {
        world.connect(&kernel, "alice").await;
    }
}

async fn assert_ends_sign_in(bound: Bound, expected: SignInFailure) {
    let world = World::new().await;
    send(&world, bound, bound.limit() + 1);
    let kernel = world.kernel("alice", "");
    let sign_in = kernel.open().await;
    let mut browser = world.browser("alice");
    let begun = Instant::now();
    let step = last_step(&mut browser, &sign_in, bound).await;
    let page = browser.view(step.flow()).await;
    assert_eq!(page.page()["reason"], expected.name(), "{}", bound.name());
    let told = failure(&kernel, &sign_in).await;
    assert_eq!(told, expected.name(), "{}", bound.name());
    assert!(begun.elapsed() < Duration::from_secs(2), "{}", bound.name());
    assert_no_connection(&kernel).await;
}

#[tokio::test]
async fn found_c_each_bound_of_a_provider_holds_at_both_sides() {
    for bound in Bound::of(BoundGroup::Provider) {
        assert_taken(bound).await;
        match bound.row().beyond {
            Beyond::EndsSignIn(expected) => assert_ends_sign_in(bound, expected).await,
            Beyond::Refused(_) | Beyond::Otherwise { .. } => assert_cut(bound).await,
        }
    }
}

/// Only the beginning is shown.
async fn assert_cut(bound: Bound) {
    assert_eq!(bound, Bound::AccountLabel, "has no probe");
    let world = World::new().await;
    send(&world, bound, bound.limit() + 1);
    let kernel = world.kernel("alice", "");
    world.connect(&kernel, "alice").await;
    let listed = kernel.connections().await;
    let name = listed[0]["account"]["name"].as_str().expect("a name");
    assert_eq!(name, "n".repeat(bound.limit()));
}

#[tokio::test]
async fn found_c_each_bound_of_a_kernel_holds_at_both_sides() {
    let world = World::new().await;
    for bound in Bound::of(BoundGroup::Kernel) {
        let Beyond::Refused(code) = bound.row().beyond else {
            panic!("{} has no probe", bound.name());
        };
        let ask = async |size: usize| {
            let kernel = world.kernel("alice", "");
            match bound {
                Bound::AccountName => kernel.create(&json!({"account": "ä".repeat(size)})).await,
                Bound::Scope => kernel.create(&json!({"scopes": ["s".repeat(size)]})).await,
                Bound::IdempotencyKey => {
                    let key = "k".repeat(size);
                    kernel.create_with_key(&json!({}), &key).await
                }
                _ => panic!("{} has no probe", bound.name()),
            }
        };
        // A scope that the operator does not list is refused for that.
        let taken = ask(bound.limit()).await;
        let is_listed = bound != Bound::Scope;
        assert_eq!(
            taken.status == StatusCode::CREATED,
            is_listed,
            "{}",
            taken.text()
        );
        assert_eq!(taken.code() == "scope_not_allowed", !is_listed);
        let status = StatusCode::from_u16(code.row().status).expect("a status");
        let refused = ask(bound.limit() + 1).await;
        refused.assert_problem(status, code.name());
    }
}
