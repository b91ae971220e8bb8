//! Whom a real Hub means by a name: after a rename, and after it made somebody else of that name.

use hubkey_domain::identity::HubUser;
use hubkey_protocol::secret::{HubAccessToken, Secret as _};
use hubkey_token_broker::hub::{BrowserAuthenticator as _, KernelError};
use reqwest::Method;
use serde_json::json;

use crate::browser::{VERIFIER, code, redeem};
use crate::person::Person;
use crate::stage::{Stage, on_stage};

/// The owner of this token, as a kernel's.
async fn owner(stage: &Stage, token: &str) -> HubUser {
    let kernel = stage.authenticate(token).await.unwrap();
    assert!(kernel.user.created().is_some(), "the Hub does not say it");
    kernel.user
}

/// A person of this name in a browser, and what the broker asks the Hub with.
async fn in_a_browser(stage: &Stage, name: &str) -> (HubUser, HubAccessToken) {
    let person = Person::logged_in(stage, name).await;
    redeem(stage, code(stage, &person).await, VERIFIER)
        .await
        .unwrap()
}

async fn answer(stage: &Stage, method: Method, name: &str, body: Option<serde_json::Value>) {
    let path = format!("/users/{name}");
    stage.hub.api(method, &path, body).await.unwrap();
}

#[test]
fn found_e1_a_real_hub_says_the_same_of_a_server_and_of_its_owners_browser() {
    on_stage(async |stage| {
        let server = owner(stage, &stage.token_in_kernel("dora", "").await).await;
        let (browser, token) = in_a_browser(stage, "dora").await;
        assert!(browser.is(&server), "{browser:?} {server:?}");
        let again = stage.browsers.recheck(&token).await.unwrap();
        assert!(again.is(&server));
        // And still no token is taken for what it is not.
        let kernel = stage.authenticate(token.expose()).await;
        assert_eq!(kernel.err(), Some(KernelError::NotAServerToken));
    });
}

#[test]
fn found_e1_a_rename_of_a_real_user_keeps_the_time_and_ends_the_server_token() {
    on_stage(async |stage| {
        let token = stage.token_in_kernel("erin", "").await;
        let before = owner(stage, &token).await;
        let (_, browser) = in_a_browser(stage, "erin").await;
        let name = json!({"name": "erin2"});
        answer(stage, Method::PATCH, "erin", Some(name)).await;

        // The Hub names the renamed user for it, and gives it no server any more.
        let model = stage.model(&token).await;
        assert_eq!(model["name"], "erin2", "{model}");
        let scopes: Vec<_> = model["scopes"].as_array().unwrap().iter().collect();
        assert!(
            scopes.contains(&&json!("custom:hubkey:kernel!user=erin2")),
            "{model}"
        );
        assert!(!model.to_string().contains("access:servers"), "{model}");
        let kernel = stage.authenticate(&token).await;
        assert_eq!(kernel.err(), Some(KernelError::NotAServerToken));
        let after = stage.browsers.recheck(&browser).await.unwrap();
        assert_eq!(after.as_str(), "erin2");
        assert_eq!(after.created(), before.created());
        assert!(!after.may_be(&before));

        // Whoever gets the name is somebody else.
        let next = owner(stage, &stage.token_in_kernel("erin", "next").await).await;
        assert_eq!(next.as_str(), "erin");
        assert!(!next.may_be(&before), "{next:?} {before:?}");
    });
}

#[test]
fn found_e1_a_real_user_who_was_deleted_and_made_again_is_another() {
    on_stage(async |stage| {
        let token = stage.token_in_kernel("fay", "").await;
        let before = owner(stage, &token).await;
        let (_, browser) = in_a_browser(stage, "fay").await;
        stage.stopped("fay", "").await;
        answer(stage, Method::DELETE, "fay", None).await;
        let after = owner(stage, &stage.token_in_kernel("fay", "").await).await;
        assert!(!after.may_be(&before), "{after:?} {before:?}");
        assert_eq!(
            stage.authenticate(&token).await.err(),
            Some(KernelError::Unknown)
        );
        assert!(stage.browsers.recheck(&browser).await.is_err());
        let (person, _) = in_a_browser(stage, "fay").await;
        assert!(person.is(&after));
    });
}
