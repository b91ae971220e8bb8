//! The table of rules, gone through: each is broken by itself, at a provider that is honest in all else, and refused by its
//! own name.

mod lies;

use std::{collections::HashSet, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use http::StatusCode;
use hubkey_domain::provider::ProviderConfig;
use hubkey_fakes::{
    fake_http::Reply,
    hostile_provider::{Endpoint, HostileProvider, Pushed},
};
use hubkey_oidc::{IdentityProvider, IdpError};
use hubkey_protocol::{
    provider_rules::{ProviderRule as Rule, RuleGroup},
    secret::LogoutToken,
};
use serde_json::json;

use crate::{
    oauth2::Plain,
    rules::lies::{
        ANSWERS, ASKED_FOR, Broken, ID_TOKENS, LOGOUT_TOKENS, LogoutLie, METADATA, USERINFO,
    },
    support::{Setup, Transaction},
};

/// Judged by the broker, which knows the sessions: `tests/api/connections/backchannel_logout.rs` there.
const IN_THE_BROKER: [Rule; 3] = [
    Rule::LogoutTokenReplayed,
    Rule::LogoutTokenForeignSession,
    Rule::LogoutTokenForeignAlgorithm,
];

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What a sign-in was refused for.
fn rule<T: std::fmt::Debug>(result: Result<T, IdpError>) -> Option<Rule> {
    use hubkey_oidc::UserinfoError::{SubjectMismatch, Unreadable};
    match result.unwrap_err() {
        IdpError::RuleBroken(rule) | IdpError::Userinfo(Unreadable(rule)) => Some(rule),
        IdpError::Userinfo(SubjectMismatch) => Some(Rule::UserinfoSubject),
        _ => None,
    }
}

fn unchanged(_: &mut ProviderConfig) {}

fn strict(config: &mut ProviderConfig) {
    config.extra_authorization_parameters = [
        ("acr_values".to_owned(), "mfa".to_owned()),
        ("max_age".to_owned(), "600".to_owned()),
    ]
    .into();
}

async fn each_is_refused(settings: fn(&mut ProviderConfig), cases: &[Broken]) {
    join_all(cases.iter().map(async |(broken, lie)| {
        let setup = Setup::with(settings).await;
        lie(&setup.op);
        assert_eq!(rule(setup.sign_in().await), Some(*broken), "{broken:?}");
    }))
    .await;
}

#[tokio::test]
async fn found_b1_each_rule_for_metadata_and_redirects_refuses_by_itself() {
    Setup::new().await.sign_in_honestly().await;
    each_is_refused(unchanged, METADATA).await;
}

#[tokio::test]
async fn found_b1_each_rule_for_answers_and_keys_refuses_by_itself() {
    let pushing = Setup::new().await;
    pushing
        .op
        .capabilities()
        .take_pushed_requests(Pushed::Offered);
    pushing.sign_in_honestly().await;
    each_is_refused(unchanged, ANSWERS).await;
}

#[tokio::test]
async fn found_b1_each_rule_for_id_tokens_refuses_by_itself() {
    each_is_refused(unchanged, ID_TOKENS).await;
    let setup = Setup::with(strict).await;
    setup.op.id_tokens(|token| token.claim("acr", "mfa"));
    setup.sign_in_honestly().await;
    each_is_refused(strict, ASKED_FOR).await;
}

#[tokio::test]
async fn found_b1_each_rule_for_userinfo_refuses_by_itself() {
    let signed = Setup::new().await;
    signed.op.capabilities().sign_userinfo();
    signed.sign_in_honestly().await;
    each_is_refused(unchanged, USERINFO).await;
}

#[tokio::test]
async fn found_b1_each_rule_for_logout_tokens_refuses_by_itself() {
    for (broken, lie) in [(None, (|_| ()) as LogoutLie)].into_iter().chain(
        LOGOUT_TOKENS
            .iter()
            .map(|(broken, lie)| (Some(*broken), *lie)),
    ) {
        let setup = Setup::new().await;
        let now = jsonwebtoken::get_current_timestamp();
        let claims = json!({
            "iss": setup.op.issuer(), "aud": "hubkey", "iat": now, "exp": now + 120,
            "jti": "j", "sub": "op-alice", "events": { EVENT: {} },
        });
        let token = setup.op.logout_token(claims, lie);
        let judged = setup.client.logout(&LogoutToken::new(token)).await;
        match broken {
            None => assert_eq!(judged.unwrap().subject.as_deref(), Some("op-alice")),
            Some(broken) => assert_eq!(rule(judged), Some(broken), "{broken:?}"),
        }
    }
}

/// A rule that wants more than a lie in one place, and what is refused when it is broken.
type Way = fn() -> BoxFuture<'static, Option<Rule>>;

const BY_THEMSELVES: [(Rule, Way); 5] = [
    (Rule::AddressNotPermitted, || never_asked().boxed()),
    (Rule::IssuerChanged, || changed_meanwhile().boxed()),
    (Rule::TokenEndpointHostChanged, || moved_meanwhile().boxed()),
    (Rule::TokenForm, || twice_in_a_form().boxed()),
    (Rule::UserinfoSubjectField, || no_subject().boxed()),
];

async fn never_asked() -> Option<Rule> {
    let op = HostileProvider::start().await.unwrap();
    let private = crate::support::config("https://10.1.2.3");
    rule(Setup::of(op, private).url(&Transaction::new()).await)
}

async fn changed_meanwhile() -> Option<Rule> {
    let setup = Setup::new().await;
    setup.sign_in_honestly().await;
    let transaction = Transaction::new();
    let code = setup.authorize(&transaction).await.unwrap().code.unwrap();
    let mut redemption = setup.redemption(&code, transaction);
    redemption.issuer = "https://op.evil.example".to_owned();
    let refused = rule(setup.client.redeem(redemption).await);
    assert_eq!(setup.hits(Endpoint::Token), 0);
    refused
}

async fn moved_meanwhile() -> Option<Rule> {
    let setup =
        Setup::with(|config| config.outbound.allowed_endpoint_hosts = vec!["localhost".into()])
            .await;
    setup.sign_in_honestly().await;
    let elsewhere = setup.op.url_at("localhost");
    setup.op.metadata(move |metadata| {
        metadata["token_endpoint"] = format!("{elsewhere}/token").into();
    });
    setup.later(Duration::from_hours(2));
    rule(setup.sign_in().await)
}

async fn twice_in_a_form() -> Option<Rule> {
    let plain = Plain::new().await;
    plain.sign_in().await.unwrap();
    plain.op.next_reply(Endpoint::Token, |reply| {
        *reply = Reply::new(StatusCode::OK)
            .typed("application/x-www-form-urlencoded")
            .with_body("access_token=a&access_token=b&token_type=bearer");
    });
    rule(plain.sign_in().await)
}

async fn no_subject() -> Option<Rule> {
    let plain = Plain::new().await;
    plain.op.next_reply(Endpoint::UserInfo, |reply| {
        reply.edit_json(|user| user["id"] = json!(1.5));
    });
    rule(plain.sign_in().await)
}

#[tokio::test]
async fn found_b1_each_rule_that_wants_more_than_a_lie_refuses_by_itself() {
    for (broken, way) in BY_THEMSELVES {
        assert_eq!(way().await, Some(broken), "{broken:?}");
    }
}

#[test]
fn found_b1_no_rule_of_the_table_goes_without_a_case() {
    let lies = [METADATA, ANSWERS, ID_TOKENS, ASKED_FOR, USERINFO];
    let lies = lies.into_iter().flatten().map(|(rule, _)| *rule);
    let logouts = LOGOUT_TOKENS.iter().map(|(rule, _)| *rule);
    let tried: Vec<Rule> = lies
        .chain(logouts)
        .chain(BY_THEMSELVES.map(|(rule, _)| rule))
        .chain(IN_THE_BROKER)
        .collect();
    let once: HashSet<Rule> = tried.iter().copied().collect();
    let all: HashSet<Rule> = Rule::ALL.iter().copied().collect();
    assert_eq!(once, all, "each rule has a case");
    assert_eq!(tried.len(), all.len(), "and one only");
    let broker = |rule: &Rule| rule.row().group == RuleGroup::LogoutToken;
    assert!(IN_THE_BROKER.iter().all(broker));
}
