//! No document makes the reader panic, and only one that names its issuer is believed.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

const ISSUER: &str = "https://op.example";

fn rules() -> Rules {
    let issuer = Url::parse(ISSUER).unwrap();
    Rules {
        provider: ProviderId::parse("op").unwrap(),
        policy: Arc::new(EgressPolicy::new(
            &hubkey_domain::provider::OutboundRules::default(),
            &issuer,
        )),
        hosts: vec!["op.example".into()],
        algorithms: Vec::new(),
        parameters: vec!["prompt".into()],
        userinfo: None,
        revocation: None,
    }
}

fn honest() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://op.example/authorize",
        "token_endpoint": "https://op.example/token",
        "jwks_uri": "https://op.example/jwks",
        "userinfo_endpoint": "https://op.example/userinfo",
        "revocation_endpoint": "https://op.example/revoke",
        "id_token_signing_alg_values_supported": ["RS256", "none", "HS256", "ES512"],
        "code_challenge_methods_supported": ["S256", "plain"],
        "authorization_response_iss_parameter_supported": true,
    })
}

fn judged(document: Value) -> Option<Metadata> {
    let document = serde_json::from_value(document).ok()?;
    rules().accept(document, ISSUER).ok()
}

#[test]
fn an_honest_document_is_believed() {
    let metadata = judged(honest()).unwrap();
    assert_eq!(metadata.algorithms, [Algorithm::Rs256]);
    assert!(metadata.names_issuer);
}

#[test]
fn found_h10_what_the_operator_sets_stands_in_place_of_the_metadata() {
    let at = |path: &str| Url::parse(&format!("https://op.example{path}")).unwrap();
    let judged = |document: Value, userinfo: Option<Url>, revocation: Option<Url>| {
        let document = serde_json::from_value(document).unwrap();
        let rules = Rules {
            userinfo,
            revocation,
            ..rules()
        };
        rules.accept(document, ISSUER)
    };
    let mut poor = honest();
    poor.as_object_mut().unwrap().remove("userinfo_endpoint");
    poor["revocation_endpoint"] = Value::Null;
    for document in [honest(), poor] {
        let given = (Some(at("/me")), Some(at("/forget")));
        let metadata = judged(document, given.0, given.1).unwrap();
        assert_eq!(metadata.userinfo, Some(at("/me")));
        assert_eq!(metadata.revocation, Some(at("/forget")));
    }
    let metadata = judged(honest(), None, Some(at("/forget"))).unwrap();
    assert_eq!(metadata.userinfo, Some(at("/userinfo")));
    assert_eq!(metadata.revocation, Some(at("/forget")));
    // The rules for hosts hold for what is set as for what is published.
    let elsewhere = Url::parse("https://elsewhere.example/forget").unwrap();
    let refused = judged(honest(), None, Some(elsewhere)).err();
    assert_eq!(
        refused,
        Some(IdpError::RuleBroken(ProviderRule::EndpointHost))
    );
}

#[test]
fn found_b1_found_b2_a_member_that_is_null_is_absent() {
    for name in [
        "userinfo_endpoint",
        "revocation_endpoint",
        "pushed_authorization_request_endpoint",
        "id_token_signing_alg_values_supported",
        "code_challenge_methods_supported",
        "authorization_response_iss_parameter_supported",
        "require_pushed_authorization_requests",
    ] {
        let mut document = honest();
        document[name] = Value::Null;
        assert!(judged(document).is_some(), "{name}");
    }
    let mut document = honest();
    document["authorization_response_iss_parameter_supported"] = Value::Null;
    assert!(!judged(document.clone()).unwrap().names_issuer);
    // Who has to name the issuer of each answer does not do so in other words.
    document["authorization_response_iss_parameter_supported"] = json!("true");
    assert!(judged(document).is_none());
}

#[test]
fn found_b1_members_that_nobody_reads_are_of_any_type() {
    for odd in [
        json!(null),
        json!(1),
        json!("x"),
        json!([{}]),
        json!({"a": [1]}),
    ] {
        let mut document = honest();
        for name in [
            "scopes_supported",
            "response_types_supported",
            "subject_types_supported",
            "claims_supported",
            "end_session_endpoint",
            "token_endpoint_auth_methods_supported",
            "backchannel_logout_supported",
            "mtls_endpoint_aliases",
            "op_policy_uri",
        ] {
            document[name] = odd.clone();
        }
        assert!(judged(document).is_some(), "{odd}");
    }
}

#[test]
fn the_well_known_path_replaces_a_slash_at_the_end() {
    for issuer in [
        "https://op.example/realms/x",
        "https://op.example/realms/x/",
    ] {
        let url = well_known(issuer).unwrap();
        assert_eq!(
            url.as_str(),
            "https://op.example/realms/x/.well-known/openid-configuration"
        );
    }
}

#[test]
fn an_issuer_has_neither_query_nor_fragment() {
    for issuer in [
        "https://op.example/?x",
        "https://op.example/#x",
        "op.example",
        "mailto:x",
        "",
    ] {
        assert!(issuer_url(issuer).is_err(), "{issuer}");
    }
}

proptest! {
    #[test]
    fn security_p71_no_endpoint_of_a_believed_document_lies_elsewhere(
        member in prop::sample::select(vec![
            "issuer", "authorization_endpoint", "token_endpoint", "jwks_uri",
            "userinfo_endpoint", "revocation_endpoint", "code_challenge_methods_supported",
            "id_token_signing_alg_values_supported",
        ]),
        value in prop_oneof![
            "\\PC{0,30}".prop_map(Value::from),
            "(https?|file|ftp)://[a-z0-9.@:\\[\\]]{1,20}/[a-z?#&=]{0,8}".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            prop::collection::vec("[A-Z0-9]{0,6}".prop_map(Value::from), 0..3).prop_map(Value::from),
            Just(Value::Null),
            Just(Value::Object(Map::new())),
        ],
    ) {
        let mut document = honest();
        document[member] = value;
        if let Some(metadata) = judged(document) {
            prop_assert_eq!(metadata.issuer, ISSUER);
            let optional = metadata.userinfo.iter().chain(&metadata.revocation);
            let required = [&metadata.authorization, &metadata.token, &metadata.jwks];
            for url in optional.chain(required) {
                prop_assert_eq!(url.scheme(), "https");
                prop_assert_eq!(url.host_str(), Some("op.example"));
            }
        }
    }
}
