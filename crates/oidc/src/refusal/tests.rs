//! What answers say, by who gives them: docs/reference/provider-refusals.md is this table for people.

use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Question, RefusalKind, error_word, judge};
use crate::http_client::Answer;

fn answered(status: u16, headers: &[(&'static str, &'static str)], body: &[u8]) -> Answer {
    let headers = headers.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers.collect(),
        body: Zeroizing::new(body.to_vec()),
    }
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let json = [("content-type", "application/json")];
    answered(status, &json, body.to_string().as_bytes())
}

fn page(status: u16) -> Answer {
    answered(status, &[("content-type", "text/html")], b"<html>no</html>")
}

#[test]
fn what_a_refresh_is_refused_with_by_who_was_seen_to_do_so() {
    use RefusalKind::{Later, NotPermitted, Registration, TokenDead, Unknown};
    let error = |status, code: &str| json_answer(status, &json!({ "error": code }));
    let fitbit = json!({"errors": [{"errorType": "invalid_grant"}], "success": false});
    let slack = json!({"ok": false, "error": "invalid_grant"});
    let google = json!({"error": {"code": 401, "status": "UNAUTHENTICATED"}});
    let okta = json!({"errorCode": "invalid_client", "errorSummary": "Invalid value"});
    for (who, answer, kind) in [
        ("RFC 6749", error(400, "invalid_grant"), TokenDead),
        ("Auth0", error(403, "invalid_grant"), TokenDead),
        ("GitHub", error(200, "bad_refresh_token"), TokenDead),
        ("Fitbit", json_answer(400, &fitbit), TokenDead),
        ("Slack", json_answer(200, &slack), TokenDead),
        (
            "a server that fails",
            error(500, "invalid_grant"),
            TokenDead,
        ),
        ("Keycloak", error(401, "unauthorized_client"), Registration),
        ("RFC 6749", error(401, "invalid_client"), Registration),
        ("Okta", json_answer(401, &okta), Registration),
        ("Entra", error(400, "interaction_required"), NotPermitted),
        ("RFC 8707", error(400, "invalid_target"), NotPermitted),
        ("Auth0", error(429, "too_many_requests"), Later),
        ("RFC 6749", error(400, "temporarily_unavailable"), Later),
        ("a proxy", page(503), Later),
        ("Dex", error(400, "invalid_request"), Unknown),
        ("Cloud Foundry", error(401, "invalid_token"), Unknown),
        ("Google", json_answer(401, &google), Unknown),
        ("a firewall", page(403), Unknown),
        ("a proxy", page(502), Unknown),
        ("a server that fails", error(500, "server_error"), Unknown),
        ("a sign-in page", page(200), Unknown),
    ] {
        let judged = judge(Question::Refresh, &answer);
        assert_eq!(judged.kind, kind, "{who}: {:?}", judged.refusal);
    }
}

#[test]
fn the_same_answer_says_another_thing_to_another_question() {
    use Question::{Code, Exchange, PushedAuthorization, Refresh, Resource, Revocation};
    use RefusalKind::{Later, NotPermitted, Registration, TokenDead, Unknown};
    let all = [
        Code,
        Refresh,
        Exchange,
        PushedAuthorization,
        Resource,
        Revocation,
    ];
    let kinds = |answer: &Answer| all.map(|question| judge(question, answer).kind);
    assert_eq!(
        kinds(&page(401)),
        [
            Registration,
            Unknown,
            Unknown,
            Registration,
            TokenDead,
            Registration
        ]
    );
    assert_eq!(
        kinds(&page(403)),
        [
            Registration,
            Unknown,
            Unknown,
            Registration,
            NotPermitted,
            Registration
        ]
    );
    // A failure of the server may have used up what is asked once.
    assert_eq!(
        kinds(&page(500)),
        [Unknown, Unknown, Later, Later, Later, Later]
    );
    let request = json_answer(400, &json!({"error": "invalid_request"}));
    assert_eq!(
        kinds(&request),
        [Unknown, Unknown, TokenDead, Unknown, Unknown, Unknown]
    );
}

/// RFC 6750 section 3 is about access tokens; what a gateway says beside another answer ends no grant.
#[test]
fn the_challenge_counts_where_an_access_token_is_used() {
    use Question::{Refresh, Resource};
    use RefusalKind::{TokenDead, Unknown};
    let challenged = [(
        "www-authenticate",
        r#"Bearer realm="x", error="invalid_token""#,
    )];
    let by_challenge = answered(400, &challenged, b"");
    assert_eq!(judge(Resource, &by_challenge).kind, TokenDead);
    let unquoted = [("www-authenticate", "Bearer error=invalid_token, realm=x")];
    assert_eq!(
        judge(Resource, &answered(400, &unquoted, b"")).kind,
        TokenDead
    );
    let gateway = answered(
        400,
        &[("www-authenticate", r#"Bearer error="invalid_grant""#)],
        b"",
    );
    assert_eq!(judge(Refresh, &gateway).kind, Unknown);
    let bare = answered(400, &[("www-authenticate", "Bearer")], b"");
    assert_eq!(judge(Resource, &bare).kind, Unknown);
}

#[test]
fn nothing_of_the_providers_own_text_is_kept() {
    let canary = json!({"error": "canary", "error_description": "canary", "canary": 1});
    let judged = judge(Question::Refresh, &json_answer(400, &canary));
    assert!(!format!("{judged:?}").contains("canary"), "{judged:?}");
}

#[test]
fn the_word_of_an_error_is_found_where_providers_write_it() {
    for (document, word) in [
        (json!({"error": "invalid_grant"}), Some("invalid_grant")),
        (
            json!({"error": {"code": "invalid_grant"}}),
            Some("invalid_grant"),
        ),
        (json!({"error": {"message": "no"}}), Some("")),
        (json!({"error": 1}), Some("")),
        (json!({"errors": ["invalid_grant"]}), Some("invalid_grant")),
        (json!({"errors": [1]}), Some("")),
        (json!({"errorCode": "E0000011"}), Some("E0000011")),
        (json!({"ok": false}), Some("")),
        // They say that there is no error.
        (json!({"error": null}), None),
        (json!({"error": ""}), None),
        (json!({"errors": []}), None),
        (json!({"ok": true}), None),
        (json!({"access_token": "x"}), None),
        (
            json!({"access_token": "x", "errors": ["old scope"], "errorCode": "0", "ok": false}),
            None,
        ),
        (
            json!({"access_token": "", "errors": [{"errorType": "invalid_grant"}]}),
            Some("invalid_grant"),
        ),
        (json!({"access_token": null, "ok": false}), Some("")),
        (
            json!({"access_token": "x", "error": "invalid_grant"}),
            Some("invalid_grant"),
        ),
    ] {
        assert_eq!(
            error_word(document.as_object().unwrap()),
            word,
            "{document}"
        );
    }
}
