//! Who a real browser is, and with whom a real server is shared.

use hubkey_domain::identity::{HubUser, ServerName};
use hubkey_protocol::secret::{
    AuthorizationCode, HubAccessToken, PkceVerifier, Secret as _, State,
};
use hubkey_token_broker::hub::{BrowserAuthenticator, BrowserError, KernelError, Visitor};

use crate::person::{Landing, Person};
use crate::stage::{PUBLIC_URL, Stage, on_stage};

pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Walks a person through the Hub's OAuth as far as hubkey's callback.
pub(crate) async fn code(stage: &Stage, person: &Person) -> AuthorizationCode {
    let sent = State::new("abcdef.some-random-state");
    let verifier = PkceVerifier::new(VERIFIER);
    let url = stage.browsers.authorize_url(&sent, &verifier);
    let Landing::Elsewhere(back) = person.visit(&url.expose().parse().unwrap()).await else {
        panic!("the Hub asked although it need not");
    };
    let (address, query) = back.as_str().split_once('?').unwrap();
    assert_eq!(address, format!("{PUBLIC_URL}/oauth_callback"));
    let value = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    };
    assert_eq!(value("state").as_deref(), Some(sent.expose()));
    AuthorizationCode::new(value("code").unwrap())
}

pub(crate) async fn redeem(
    stage: &Stage,
    code: AuthorizationCode,
    verifier: &str,
) -> Result<(HubUser, HubAccessToken), BrowserError> {
    let verifier = PkceVerifier::new(verifier);
    let turn = stage.browsers.acquire(Visitor::SignIn).await?;
    stage.browsers.redeem(turn, code, verifier).await
}

#[test]
fn security_k1_a_real_browsers_token_proves_the_browser_and_no_kernel() {
    on_stage(async |stage| {
        let alice = Person::logged_in(stage, "alice").await;
        let code = code(stage, &alice).await;
        let (user, token) = redeem(stage, code, VERIFIER).await.unwrap();
        assert_eq!(user.as_str(), "alice");
        let again = stage.browsers.recheck(&token).await.unwrap();
        assert_eq!(again.as_str(), "alice");
        let kernel = stage.authenticate(token.expose()).await;
        assert_eq!(kernel.err(), Some(KernelError::NotAServerToken));
    });
}

#[test]
fn security_b3_a_real_logout_of_the_hub_ends_the_browsers_proof() {
    on_stage(async |stage| {
        let mallory = Person::logged_in(stage, "mallory").await;
        let code = code(stage, &mallory).await;
        let (_, token) = redeem(stage, code, VERIFIER).await.unwrap();
        assert!(stage.browsers.recheck(&token).await.is_ok());
        mallory.log_out().await;
        let again = stage.browsers.recheck(&token).await;
        assert_eq!(again.err(), Some(BrowserError::Refused));
    });
}

#[test]
fn a_real_code_is_redeemed_once_and_with_its_own_verifier() {
    on_stage(async |stage| {
        let alice = Person::logged_in(stage, "alice").await;
        let first = code(stage, &alice).await;
        let again = AuthorizationCode::new(first.expose());
        redeem(stage, first, VERIFIER).await.unwrap();
        let answer = redeem(stage, again, VERIFIER).await;
        assert_eq!(answer.err(), Some(BrowserError::Refused));

        let stolen = code(stage, &alice).await;
        let answer = redeem(stage, stolen, &VERIFIER.replace('d', "e")).await;
        assert_eq!(answer.err(), Some(BrowserError::Refused));
    });
}

#[test]
fn security_k1_a_real_kernels_token_is_no_browser() {
    on_stage(async |stage| {
        let token = HubAccessToken::new(stage.token_in_kernel("alice", "").await);
        let answer = stage.browsers.recheck(&token).await;
        assert_eq!(answer.err(), Some(BrowserError::Refused));
    });
}

#[test]
fn security_b10_a_real_hub_tells_which_servers_are_shared() {
    on_stage(async |stage| {
        let alice = HubUser::parse("alice").unwrap();
        let shared = async |name: &str| {
            let server = ServerName::parse(name).unwrap();
            stage.browsers.is_shared(&alice, &server).await.unwrap()
        };
        stage.running("alice", "gpu").await;
        assert_eq!(shared("gpu").await, Some(false));
        stage.share("alice", "gpu", "bob").await;
        assert_eq!(shared("gpu").await, Some(true));
        assert_eq!(shared("never-was").await, None);
    });
}
