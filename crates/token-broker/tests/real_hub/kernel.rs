//! Which of the real tokens that name alice are her kernel's.

use hubkey_token_broker::hub::KernelError;
use serde_json::{Value, json};
use url::Url;

use crate::person::{Landing, Person};
use crate::stage::{EVIL_CALLBACK, EVIL_SECRET, Stage, on_stage};

/// The server, if the token is taken for its.
async fn server_of(stage: &Stage, token: &str) -> Result<(String, String), KernelError> {
    let kernel = stage.authenticate(token).await?;
    Ok((
        kernel.user.as_str().to_owned(),
        kernel.server.as_str().to_owned(),
    ))
}

/// Refused, although the Hub says exactly what makes it dangerous.
async fn is_refused(stage: &Stage, token: &str, name: &str, access: &str) {
    let model = stage.model(token).await;
    assert_eq!(model["name"], name, "{model}");
    let scopes = model["scopes"].as_array().unwrap();
    assert!(scopes.contains(&json!(access)), "{model}");
    let verdict = server_of(stage, token).await;
    assert_eq!(verdict, Err(KernelError::NotAServerToken), "{model}");
}

/// The token that the service evil gets when alice uses it.
async fn token_of_evil(stage: &Stage, alice: &Person) -> String {
    let mut url: Url = format!("{}/hub/api/oauth2/authorize", stage.hub.url())
        .parse()
        .unwrap();
    url.query_pairs_mut()
        .append_pair("client_id", "service-evil")
        .append_pair("redirect_uri", EVIL_CALLBACK)
        .append_pair("response_type", "code")
        .append_pair("state", "evil");
    let Landing::Elsewhere(back) = alice.visit(&url).await else {
        panic!("the Hub asked although it need not");
    };
    let code = back
        .query_pairs()
        .find_map(|(name, value)| (name == "code").then(|| value.into_owned()));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "service-evil"),
        ("client_secret", EVIL_SECRET),
        ("redirect_uri", EVIL_CALLBACK),
        ("code", &code.unwrap()),
    ];
    let url = format!("{}/oauth2/token", stage.hub.api_url());
    let request = reqwest::Client::builder().build().unwrap().post(url);
    let answer: Value = request
        .form(&form)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn security_k1_a_real_kernels_token_is_accepted_and_tells_named_servers_apart() {
    on_stage(async |stage| {
        let default = stage.token_in_kernel("alice", "").await;
        let named = stage.token_in_kernel("alice", "gpu").await;
        let owned = |server: &str| Ok(("alice".to_owned(), server.to_owned()));
        assert_eq!(server_of(stage, &default).await, owned(""));
        assert_eq!(server_of(stage, &named).await, owned("gpu"));
        let [default, named] = [
            stage.authenticate(&default).await.unwrap(),
            stage.authenticate(&named).await.unwrap(),
        ];
        assert!(!default.fingerprint.matches(&named.fingerprint));
    });
}

#[test]
fn security_k1_alices_real_token_in_her_own_page_is_refused() {
    on_stage(async |stage| {
        stage.running("alice", "").await;
        let alice = Person::logged_in(stage, "alice").await;
        let token = alice.token_in_page(stage, "alice", "").await;
        is_refused(stage, &token, "alice", "access:servers!server=alice/").await;
    });
}

#[test]
fn security_k1_alices_real_token_held_by_another_service_is_refused() {
    on_stage(async |stage| {
        let alice = Person::logged_in(stage, "alice").await;
        let token = token_of_evil(stage, &alice).await;
        is_refused(stage, &token, "alice", "access:services!service=evil").await;
    });
}

#[test]
fn security_k1_alices_real_token_on_mallorys_shared_server_is_refused() {
    on_stage(async |stage| {
        stage.running("mallory", "").await;
        stage.share("mallory", "", "alice").await;
        let alice = Person::logged_in(stage, "alice").await;
        let token = alice.token_in_page(stage, "mallory", "").await;
        is_refused(stage, &token, "alice", "access:servers!server=mallory/").await;
    });
}

#[test]
fn security_k2_real_tokens_of_visitors_on_alices_server_are_refused() {
    on_stage(async |stage| {
        stage.running("alice", "").await;
        stage.share("alice", "", "mallory").await;
        for visitor in ["mallory", "admin"] {
            let person = Person::logged_in(stage, visitor).await;
            let token = person.token_in_page(stage, "alice", "").await;
            is_refused(stage, &token, visitor, "access:servers!server=alice/").await;
        }
    });
}

#[test]
fn security_k2_real_tokens_of_services_and_wide_ones_are_refused() {
    on_stage(async |stage| {
        let inherit = stage.hub.user_token("alice", &[]).await.unwrap();
        is_refused(stage, &inherit, "alice", "access:servers!user=alice").await;
        let narrow = "access:servers!server=alice/";
        let common = [
            "users:activity!user=alice",
            "custom:hubkey:kernel!user=alice",
        ];
        for access in ["access:servers!user=alice", "access:servers!server=alice/x"] {
            let scopes = [[narrow, access].as_slice(), &common].concat();
            let token = stage.hub.user_token("alice", &scopes).await.unwrap();
            is_refused(stage, &token, "alice", access).await;
        }
        is_refused(stage, stage.hub.tests_token(), "tests", "access:servers").await;
    });
}

#[test]
fn security_k3_a_real_token_without_the_kernel_scope_is_refused() {
    on_stage(async |stage| {
        let scopes = ["access:servers!server=alice/", "users:activity!user=alice"];
        let token = stage.hub.user_token("alice", &scopes).await.unwrap();
        assert_eq!(
            server_of(stage, &token).await,
            Err(KernelError::MissingKernelScope)
        );
    });
}

#[test]
fn security_k8_a_real_token_dies_with_its_server_and_not_with_a_logout() {
    on_stage(async |stage| {
        let before = stage.token_in_kernel("bob", "").await;
        let old = stage.authenticate(&before).await.unwrap();

        let bob = Person::logged_in(stage, "bob").await;
        bob.log_out().await;
        assert!(stage.authenticate(&before).await.is_ok());

        stage.stopped("bob", "").await;
        let verdict = server_of(stage, &before).await;
        assert_eq!(verdict, Err(KernelError::Unknown));

        let after = stage.token_in_kernel("bob", "").await;
        let new = stage.authenticate(&after).await.unwrap();
        assert!(!new.fingerprint.matches(&old.fingerprint));
        let verdict = server_of(stage, &before).await;
        assert_eq!(verdict, Err(KernelError::Unknown));
    });
}
