//! The whole life of a connection at providers as they were seen: `crates/fakes/src/scripted_provider`.

use std::{collections::BTreeSet, time::Duration};

use http::{Method, StatusCode};
use hubkey_domain::provider::ClientAuthentication;
use hubkey_fakes::{
    hostile_provider::Endpoint,
    scripted_provider::{ClientAuthenticationMethod, ScriptedProvider},
};
use hubkey_protocol::secret::ClientSecret;
use serde_json::json;

use crate::support::{
    refresh_stage::{ENDED, LEASE, Stage, token},
    world::{CLIENT_SECRET, WorldOptions},
};

/// Alice is connected. Tokens end after five minutes, as those of other tests do.
async fn connected(seen: &ScriptedProvider) -> Stage {
    let options = WorldOptions {
        adjust: match seen.client_authentication {
            ClientAuthenticationMethod::ClientSecretBasic => |_| {},
            ClientAuthenticationMethod::ClientSecretPost => |config| {
                let secret = ClientSecret::new(CLIENT_SECRET);
                config.token_endpoint_auth_method = ClientAuthentication::Post(secret);
            },
        },
        ..WorldOptions::default()
    };
    Stage::at_provider(options, |provider| {
        seen.play(provider, CLIENT_SECRET);
        provider.token_responses(|answer| {
            if answer.get("access_token").is_some() {
                answer["expires_in"] = json!(300);
            }
        });
    })
    .await
}

async fn is_refreshed(stage: &Stage) {
    let mut tokens = BTreeSet::from([stage.connection.access_token.clone()]);
    for _ in 0..3 {
        stage.advance(ENDED);
        assert!(tokens.insert(stage.token(0).await), "a new token each time");
    }
    assert_eq!(stage.asked(), 3);
    assert_eq!(stage.world.provider.grants().reuses(), 0);
}

async fn says_whose_account(stage: &Stage) {
    let path = format!("/v1/connections/{}/userinfo", stage.connection.id);
    let answer = stage.kernel.send(Method::GET, &path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let listed = &stage.kernel.connections().await[0];
    assert_eq!(answer.json()["claims"]["sub"], listed["account"]["sub"]);
}

async fn gives_fewer_scopes(stage: &Stage) {
    let path = format!("/v1/connections/{}/token", stage.connection.id);
    let body = json!({"scopes": ["projects:read"]});
    let answer = stage.kernel.send(Method::POST, &path, Some(&body)).await;
    assert_ne!(token(&answer), stage.token(0).await);
    assert_eq!(answer.json()["scopes"], json!(["projects:read"]));
}

/// However it is worded, the person can sign in again at once.
async fn a_dead_refresh_token_leads_to_a_sign_in(stage: &Stage) {
    stage.world.provider.grants().end();
    stage.advance(ENDED);
    let answer = stage.get_token(0).await;
    answer.assert_problem(StatusCode::CONFLICT, "sign_in_required");
    let opened = stage.kernel.create(&json!({})).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text());
    stage.advance(LEASE);
}

async fn a_sign_out_revokes_what_can_be_revoked(stage: &Stage, seen: &ScriptedProvider) {
    let again = stage.world.connect(&stage.kernel, "alice").await;
    let before = stage.world.provider.hits(Endpoint::Revocation);
    let path = format!("/v1/connections/{}", again.id);
    let done = stage.kernel.send(Method::DELETE, &path, None).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    stage.world.broker.finish(Duration::from_secs(5)).await;
    let told = stage.world.provider.hits(Endpoint::Revocation) - before;
    assert_eq!(told, if seen.revokes() { 2 } else { 0 });
}

async fn whole_life(name: &str) {
    let seen = ScriptedProvider::read(name).unwrap();
    let stage = connected(&seen).await;
    is_refreshed(&stage).await;
    says_whose_account(&stage).await;
    gives_fewer_scopes(&stage).await;
    a_dead_refresh_token_leads_to_a_sign_in(&stage).await;
    a_sign_out_revokes_what_can_be_revoked(&stage, &seen).await;
}

macro_rules! lives {
    ($($test:ident: $name:literal;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                whole_life($name).await;
            }
        )*
    };
}

lives! {
    a_whole_life_at_entra: "entra";
    a_whole_life_at_auth0: "auth0";
    a_whole_life_at_google: "google";
    a_whole_life_at_dex: "dex";
    a_whole_life_at_a_server_built_on_authlib: "authlib";
    a_whole_life_at_cognito: "cognito";
}
