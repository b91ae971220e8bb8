//! What a stolen callback-server could learn from the broker.

use std::collections::BTreeSet;

use hubkey_protocol::internal::{BrowserReply, SetFlowCookie};
use hubkey_protocol::secret::FlowCookie;
use serde_json::Value;

use crate::support::{every_answer, short};

fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                found.insert(name.clone());
                names(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn security_x5_no_answer_of_the_broker_has_a_place_for_a_token() {
    let mut found = BTreeSet::new();
    for (_, answer) in every_answer() {
        let set_cookie = Some(SetFlowCookie {
            flow: short(),
            value: FlowCookie::new("v"),
            max_age: 1,
        });
        let reply = BrowserReply {
            answer,
            set_cookie,
            clear_cookie: Some(short()),
        };
        names(&serde_json::to_value(&reply).unwrap(), &mut found);
    }
    let names = found.into_iter().collect::<Vec<_>>().join(" ");
    insta::assert_snapshot!(names, @"account answer asked_at clear_cookie connections count csrf description display_name ended flow id just_ended kind last_used location max_age page provider provider_host reason reference refusal replaces_account scope scopes server servers set_cookie shared_server since user value");
}

#[test]
fn security_x4_no_question_to_the_broker_names_a_person_and_no_message_holds_a_token() {
    let source = concat!(
        include_str!("../../../protocol/src/internal.rs"),
        include_str!("../../../protocol/src/label.rs"),
        include_str!("../../../protocol/src/connections_page.rs")
    );
    for kind in [
        "AccessToken",
        "RefreshToken",
        "ServerToken",
        "HubAccessToken",
        "ClientSecret",
        "PollSecret",
        "PkceVerifier",
        "OidcNonce",
    ] {
        assert!(
            !source.contains(kind),
            "{kind} in a message between callback-server and the broker"
        );
    }
    for question in [
        "OpenLink",
        "HubCallback",
        "GetPage",
        "ProviderCallback",
        "SubmitDecision",
        "OpenConnectionsPage",
        "EndConnections",
    ] {
        let (_, rest) = source
            .split_once(&format!("pub struct {question} {{"))
            .unwrap();
        let (fields, _) = rest.split_once("\n}").unwrap();
        for person in ["user", "account", "server", "subject", "sub:"] {
            assert!(
                !fields.contains(&format!("pub {person}")),
                "{question} lets callback-server assert who somebody is"
            );
        }
    }
}
