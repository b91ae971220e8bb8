use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::tests::get;
use super::super::{AuthorizationResponse, Draft, Endpoint, HostileProvider};
use super::{authorization, id_token, jwks, metadata, reply, token_response};
use crate::fake_http::{Pace, Reply};

#[tokio::test]
async fn every_case_differs_from_what_an_honest_provider_says() {
    let provider = HostileProvider::start().await.unwrap();
    for case in id_token::all() {
        assert!(case.row.starts_with('p') && !case.name.is_empty());
        if case.name.starts_with("a good") {
            continue;
        }
        let mut draft = Draft::new(
            provider.signing_keys().all().remove(0),
            json!({ "iss": "i", "sub": "s", "aud": "a", "exp": 9000, "iat": 8000, "nonce": "n",
                    "at_hash": "h" }),
        );
        (case.alter)(&mut draft);
        let honest = Draft::new(provider.signing_keys().all().remove(0), draft_claims()).compact();
        assert_ne!(draft.compact(), honest, "{} {}", case.row, case.name);
    }
}

fn draft_claims() -> Value {
    json!({ "iss": "i", "sub": "s", "aud": "a", "exp": 9000, "iat": 8000, "nonce": "n",
            "at_hash": "h" })
}

#[tokio::test]
async fn padding_shows_in_padded_tokens_and_the_other_alphabet_in_others() {
    let provider = HostileProvider::start().await.unwrap();
    let mint = |name: &str| {
        let case = id_token::of("p45")
            .into_iter()
            .find(|case| case.name == name)
            .unwrap();
        provider.next_id_token(case.alter);
        provider.signing_keys().mint_id_token("hubkey", "n")
    };
    assert!(
        mint("padded base64")
            .split('.')
            .nth(1)
            .unwrap()
            .ends_with('=')
    );
    assert!(mint("base64 of the other alphabet").contains(['+', '/']));
}

#[tokio::test]
async fn every_wrong_metadata_and_key_set_differs_from_the_honest_one() {
    let provider = HostileProvider::start().await.unwrap();
    let discovery = "/.well-known/openid-configuration";
    for case in metadata::ALL {
        provider.be_honest();
        let honest = get(&provider, discovery)
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        provider.metadata(case.alter);
        let told = get(&provider, discovery)
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert_ne!(told, honest, "{}", case.name);
    }
    for case in jwks::ALL {
        provider.be_honest();
        let honest = get(&provider, "/jwks").await.unwrap().text().await.unwrap();
        provider.jwks(case.alter);
        assert_ne!(
            get(&provider, "/jwks").await.unwrap().text().await.unwrap(),
            honest
        );
    }
}

#[tokio::test]
async fn spoiled_replies_are_spoiled_as_they_say() {
    let provider = HostileProvider::start().await.unwrap();
    let ask = async |pace: Pace| {
        provider.answer(
            Endpoint::Jwks,
            Reply::json(&json!({ "keys": [] })).paced(pace),
        );
        get(&provider, "/jwks").await?.text().await
    };
    assert!(ask(Pace::Never).await.unwrap_err().is_timeout());
    assert!(ask(Pace::CutAfter(3)).await.is_err());
    assert!(ask(Pace::Endless).await.unwrap_err().is_timeout());
    let slow = Pace::Drip {
        bytes: 1,
        every: Duration::from_millis(10),
    };
    let begun = Instant::now();
    assert_eq!(ask(slow).await.unwrap(), r#"{"keys":[]}"#);
    assert!(begun.elapsed() > Duration::from_millis(100));

    provider.be_honest();
    for case in reply::of("p77") {
        provider.next_reply(Endpoint::Jwks, case.alter);
        let spoiled = get(&provider, "/jwks").await.unwrap();
        let kind = spoiled.headers().get("content-type").cloned();
        let json = serde_json::from_slice::<Value>(&spoiled.bytes().await.unwrap());
        let honest = json.is_ok_and(|value| value.is_object())
            && kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        assert_eq!(honest, !case.refused, "{}", case.name);
    }
    let bomb = reply::gzip_bomb();
    assert!(bomb.body.len() < 200_000 && bomb.body.starts_with(&[0x1f, 0x8b]));
}

#[test]
fn every_wrong_answer_and_redirect_differs_from_the_honest_one() {
    let honest = json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 300,
        "scope": "openid read", "id_token": "x.y.z" });
    for case in token_response::ALL {
        let mut answer = honest.clone();
        (case.alter)(&mut answer);
        assert_ne!(answer, honest, "{}", case.name);
    }
    let mut honest = AuthorizationResponse::default();
    for name in ["code", "state", "iss"] {
        honest.set(name, name);
    }
    for case in authorization::ALL {
        let mut response = honest.clone();
        (case.alter)(&mut response);
        assert_ne!(response.params, honest.params, "{}", case.name);
    }
}
