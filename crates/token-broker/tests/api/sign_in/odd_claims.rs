//! ID tokens of honest providers whose claims for people are of other types than OpenID Connect says: nobody reads them,
//! so nobody is refused for them.

use hubkey_domain::{provider::IdentityPolicy, user_index::OpenLimits};
use hubkey_fakes::hostile_provider::{Account, Draft, Endpoint};
use serde_json::{Value, json};

use crate::support::{
    kernel::Connected,
    refresh_stage::{DUE, Stage},
    world::{World, WorldOptions},
};

/// What decides neither whose a token is, nor for whom, for which sign-in or for when.
const UNREAD: [&str; 34] = [
    "name",
    "name#de",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "email",
    "email_verified",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "phone_number_verified",
    "address",
    "updated_at",
    "amr",
    "acr",
    "auth_time",
    "sid",
    "jti",
    "groups",
    "roles",
    "upn",
    "cnf",
    "act",
    "events",
    "s_hash",
    "_claim_names",
    "_claim_sources",
];

fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(false),
        json!(0),
        json!(-7),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!("text"),
        json!("true"),
        json!("2026-11-30T04:00:00.000Z"),
        json!("1700000000"),
        json!("x".repeat(300)),
        json!([]),
        json!(["pwd", 1, null, ["mfa"]]),
        json!({}),
        json!({"country": {"code": [1, null]}}),
    ]
}

/// What three providers send: `Auth0`, Amazon Cognito, `IdentityServer`.
fn from_the_field() -> Vec<(&'static str, Value)> {
    vec![
        ("updated_at", json!("2026-11-30T04:00:00.000Z")),
        ("email_verified", json!("true")),
        ("amr", json!("pwd")),
    ]
}

fn all(value: &Value) -> Vec<(&'static str, Value)> {
    UNREAD.iter().map(|name| (*name, value.clone())).collect()
}

fn claim(token: &mut Draft, claims: &[(&'static str, Value)]) {
    for (name, value) in claims {
        token.claim(name, value.clone());
    }
}

fn cases() -> Vec<Vec<(&'static str, Value)>> {
    let alone = from_the_field().into_iter().map(|one| vec![one]);
    alone.chain(values().iter().map(all)).collect()
}

async fn world(account_policy: IdentityPolicy) -> World {
    World::with(WorldOptions {
        account_policy,
        open: OpenLimits {
            open: 1000,
            per_minute: 1000,
        },
        ..WorldOptions::default()
    })
    .await
}

#[tokio::test]
async fn found_b1_claims_that_nobody_reads_end_no_sign_in() {
    let world = world(IdentityPolicy::Confirm).await;
    for (n, claims) in cases().into_iter().enumerate() {
        let said = format!("{claims:?}");
        world
            .provider
            .next_id_token(move |token| claim(token, &claims));
        let kernel = world.kernel("alice", &format!("server-{n}"));
        let sign_in = kernel.open().await;
        let reply = world.browser("alice").sign_in(&sign_in).await;
        assert_eq!(reply.kind(), "view", "{said}: {reply:?}");
        assert_eq!(kernel.state(&sign_in).await, "connected", "{said}");
        kernel.collect(&sign_in).await;
    }
}

#[tokio::test]
async fn found_b1_claims_that_nobody_reads_end_no_connection_at_a_refresh() {
    let stage = Stage::new().await;
    let mut before = stage.connection.access_token.clone();
    for mut claims in cases() {
        // Another time than at the sign-in is a rule of its own.
        claims.retain(|(name, value)| *name != "auth_time" || !value.is_number());
        let said = format!("{claims:?}");
        stage
            .world
            .provider
            .next_id_token(move |token| claim(token, &claims));
        stage.advance(DUE);
        let answer = stage.get_token(60).await;
        assert_eq!(answer.status, 200, "{said}: {}", answer.text());
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_ne!(token, before, "{said}");
        before = token;
    }
    assert_eq!(stage.asked(), cases().len());
    assert_eq!(stage.kernel.connections().await.len(), 1);
}

#[tokio::test]
async fn found_b1_members_that_say_nothing_end_neither() {
    for (n, (name, nothing)) in [
        ("error", Value::Null),
        ("error", json!("")),
        ("error_description", json!(7)),
        ("session_state", json!({})),
        ("expires_in", json!({"seconds": 300})),
        ("scope", Value::Null),
        ("refresh_token", Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let stage = Stage::new().await;
        stage
            .world
            .provider
            .token_responses(move |answer| answer[name] = nothing.clone());
        let kernel = stage.world.kernel("alice", "second");
        stage.world.connect(&kernel, "alice").await;
        stage.advance(DUE);
        let answer = stage.get_token(60).await;
        assert_eq!(answer.status, 200, "{n} {name}: {}", answer.text());
        assert_ne!(
            answer.json()["access_token"],
            stage.connection.access_token.as_str(),
            "{n} {name}"
        );
    }
}

#[tokio::test]
async fn found_b1_a_refresh_without_an_id_token_may_say_so_in_any_way() {
    for nothing in [Value::Null, json!("")] {
        let stage = Stage::new().await;
        stage
            .world
            .provider
            .token_responses(move |answer| answer["id_token"] = nothing.clone());
        stage.advance(DUE);
        assert_ne!(stage.token(60).await, stage.connection.access_token);
    }
}

#[tokio::test]
async fn found_b1_an_address_counts_only_where_the_provider_says_that_it_verified_it() {
    let world = world(IdentityPolicy::Claim("email".to_owned())).await;
    let vouched = [json!(true), json!("true")];
    let not = [
        json!(false),
        json!("false"),
        json!("True"),
        json!("1"),
        json!(1),
        json!(["true"]),
        json!({"true": true}),
        Value::Null,
    ];
    let cases = vouched.iter().map(|says| (says, "connected"));
    let cases = cases.chain(not.iter().map(|says| (says, "denied")));
    for (n, (says, state)) in cases.enumerate() {
        let account = Account::new("op-alice").claim("email", "alice");
        world
            .provider
            .sign_in_as(account.claim("email_verified", says.clone()));
        let kernel = world.kernel("alice", &format!("server-{n}"));
        let sign_in = kernel.open().await;
        world.browser("alice").sign_in(&sign_in).await;
        assert_eq!(kernel.state(&sign_in).await, state, "{says}");
    }
}

#[tokio::test]
async fn found_b1_people_see_a_name_that_is_a_text_or_the_subject() {
    let world = world(IdentityPolicy::Confirm).await;
    for (n, (claims, shown)) in [
        (vec![("name", json!(["Alice"]))], json!("op-alice")),
        (
            vec![("name", json!(7)), ("preferred_username", json!({}))],
            Value::Null,
        ),
        (vec![("name", json!("Alice"))], json!("Alice")),
    ]
    .into_iter()
    .enumerate()
    {
        world
            .provider
            .next_id_token(move |token| claim(token, &claims));
        let kernel = world.kernel("alice", &format!("server-{n}"));
        let Connected { .. } = world.connect(&kernel, "alice").await;
        let listed = kernel.connections().await;
        assert_eq!(listed[0]["account"]["name"], shown, "{listed:?}");
        assert_eq!(listed[0]["account"]["sub"], "op-alice");
    }
    assert_eq!(world.provider.hits(Endpoint::UserInfo), 0);
}
