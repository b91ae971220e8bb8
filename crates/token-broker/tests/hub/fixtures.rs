//! Which answers of the Hub are a kernel's proof and which are not.

use hubkey_domain::identity::ServerIdentity;
use hubkey_fakes::fake_http::Reply;
use hubkey_fakes::scripted_hub::models;
use hubkey_protocol::secret::ServerToken;
use hubkey_token_broker::hub::KernelError;
use serde_json::{Value, json};

use crate::stage::{Stage, index, of, owned, refusal};

const SCOPES_OF_ALICES_OAUTH: [&str; 2] =
    ["read:users:groups!user=alice", "read:users:name!user=alice"];

/// As a real Hub 6.1.1 answered, plain configuration.
fn plain_server_token() -> Value {
    json!({"kind":"user","name":"alice","admin":false,"groups":[],"session_id":null,"token_id":"a5","scopes":[
        "access:servers!server=alice/","read:users:activity!user=alice","read:users:groups!user=alice",
        "read:users:name!user=alice","users:activity!user=alice"]})
}

/// As a real Hub 6.1.1 answered, with the configuration that hubkey ships, for the named server `gpu`.
fn shipped_server_token() -> Value {
    json!({"kind":"user","name":"alice","session_id":null,"token_id":"a10","scopes":[
        "access:servers!server=alice/gpu","access:services!service=hubkey","custom:hubkey:kernel!user=alice",
        "read:users:activity!user=alice","read:users:groups!user=alice","read:users:name!user=alice",
        "users:activity!user=alice"]})
}

fn oauth(session: &str, access: &str) -> Value {
    let scopes = [[access].as_slice(), &SCOPES_OF_ALICES_OAUTH].concat();
    json!({"kind":"user","name":"alice","session_id":session,"token_id":"a7","scopes":scopes})
}

fn visitor(name: &str, admin: bool) -> Value {
    json!({"kind":"user","name":name,"admin":admin,"session_id":"98b9","scopes":["access:servers!server=alice/",
        format!("read:users:groups!user={name}"), format!("read:users:name!user={name}")]})
}

async fn authenticate(stage: &Stage, model: Value) -> Result<ServerIdentity, KernelError> {
    stage.asked(&stage.hub.token_of(model)).await
}

async fn authenticate_reply(stage: &Stage, reply: Reply) -> Result<ServerIdentity, KernelError> {
    stage.asked(&stage.hub.token_with_reply(reply)).await
}

#[tokio::test]
async fn security_k1_only_the_token_of_a_server_is_a_kernels() {
    let stage = Stage::set().await;
    let kernel = authenticate(&stage, shipped_server_token()).await;
    assert_eq!(of(kernel), owned("alice", "gpu"));

    let token = stage.hub.server_token("alice", "");
    let kernel = stage.asked(&token).await.unwrap();
    assert!(
        kernel
            .fingerprint
            .matches(&index().fingerprint(&ServerToken::new(token)))
    );
    assert_eq!(of(Ok(kernel)), owned("alice", ""));
}

/// As a real Hub 6.1.1 answers under the configuration that hubkey ships, which shows a token its owner's model.
#[tokio::test]
async fn found_e1_with_its_owners_model_a_token_is_taken_for_what_it_was_before() {
    let stage = Stage::set().await;
    let whole = |mut model: Value| {
        let name = model["name"].as_str().unwrap().to_owned();
        let scopes = model["scopes"].as_array_mut().unwrap();
        scopes.push(json!(models::own_model(&name)));
        let more = json!({"created": "2026-11-24T20:00:07.123456Z", "roles": ["user"], "server": "/user/alice/",
            "pending": null, "user_info": {}});
        let (Value::Object(model), Value::Object(more)) = (&mut model, more) else {
            panic!("objects");
        };
        model.extend(more);
        json!(model)
    };
    let kernel = authenticate(&stage, whole(shipped_server_token()))
        .await
        .unwrap();
    assert!(kernel.user.created().is_some());
    assert_eq!(of(Ok(kernel)), owned("alice", "gpu"));
    for (whose, model) in models::rejects() {
        let before = refusal(authenticate(&stage, model.clone()).await);
        assert!(before.is_some(), "{whose}");
        assert_eq!(
            refusal(authenticate(&stage, whole(model)).await),
            before,
            "{whose}"
        );
    }
}

#[tokio::test]
async fn security_k1_alices_oauth_tokens_in_other_hands_are_refused() {
    let stage = Stage::set().await;
    let table = [
        ("page config", oauth("dfde", "access:servers!server=alice/")),
        (
            "mallory's shared server",
            oauth("64c2", "access:servers!server=mallory/"),
        ),
        (
            "service evil",
            oauth("64c2", "access:services!service=evil"),
        ),
        (
            "hubkey itself",
            oauth("64c2", "access:services!service=hubkey"),
        ),
    ];
    for (holder, model) in table {
        let answer = authenticate(&stage, model).await;
        assert_eq!(
            refusal(answer),
            Some(KernelError::NotAServerToken),
            "{holder}"
        );
    }
}

#[tokio::test]
async fn security_k2_tokens_of_visitors_services_and_wide_ones_are_refused() {
    let stage = Stage::set().await;
    let inherit = json!({"kind":"user","name":"alice","session_id":null,"token_id":"a8","roles":["user"],"scopes":[
        "access:servers!user=alice","access:services","custom:hubkey:kernel!user=alice","servers!user=alice",
        "tokens!user=alice","users:activity!user=alice"]});
    let service = json!({"kind":"service","name":"setup","admin":false,"session_id":null,"token_id":"a4",
        "scopes":["admin:users","tokens"]});
    let mut service_like_a_server = shipped_server_token();
    service_like_a_server["kind"] = json!("service");
    let mut with_session = shipped_server_token();
    with_session["session_id"] = json!("64c2");
    let table = [
        ("mallory on alice's server", visitor("mallory", false)),
        ("an admin on alice's server", visitor("root_admin", true)),
        ("inherit", inherit),
        ("by group", models::by_group("alice", "lab")),
        ("a service", service),
        ("a service called alice", service_like_a_server),
        ("a server's scopes, out of a browser", with_session),
    ];
    for (whose, model) in table {
        let answer = authenticate(&stage, model).await;
        assert_eq!(
            refusal(answer),
            Some(KernelError::NotAServerToken),
            "{whose}"
        );
    }
    for (whose, model) in models::rejects() {
        assert!(authenticate(&stage, model).await.is_err(), "{whose}");
    }
}

#[tokio::test]
async fn security_k3_a_server_token_without_the_kernel_scope_is_told_so() {
    let stage = Stage::set().await;
    let mut foreign = shipped_server_token();
    foreign["scopes"][2] = json!("custom:hubkey:kernel!user=mallory");
    for model in [plain_server_token(), foreign] {
        let answer = authenticate(&stage, model).await;
        assert_eq!(refusal(answer), Some(KernelError::MissingKernelScope));
    }

    let lenient = Stage::set_with(|config| config.server_scope.clear()).await;
    let kernel = authenticate(&lenient, plain_server_token()).await;
    assert_eq!(of(kernel), owned("alice", ""));
    let oauth = oauth("dfde", "access:servers!server=alice/");
    let answer = authenticate(&lenient, oauth).await;
    assert_eq!(refusal(answer), Some(KernelError::NotAServerToken));
}

#[tokio::test]
async fn a_token_minted_with_exactly_a_servers_scopes_is_accepted() {
    // Documented as a residual risk: whoever can mint it can run code in the server anyway.
    let stage = Stage::set().await;
    let minted = json!({"kind":"user","name":"alice","session_id":null,"token_id":"a12","scopes":[
        "access:servers!server=alice/","custom:hubkey:kernel!user=alice","users:activity!user=alice"]});
    assert_eq!(of(authenticate(&stage, minted).await), owned("alice", ""));
}

#[tokio::test]
async fn security_k5_answers_without_or_with_odd_members_are_no_kernels() {
    let stage = Stage::set().await;
    let mut without_session = shipped_server_token();
    without_session
        .as_object_mut()
        .unwrap()
        .remove("session_id");
    let answer = authenticate(&stage, without_session).await;
    assert_eq!(refusal(answer), Some(KernelError::NotAServerToken));

    let edits: [(&str, Value); 12] = [
        ("scopes", json!("access:servers!server=alice/gpu")),
        ("scopes", json!({"0": "access:servers!server=alice/gpu"})),
        ("scopes", json!(null)),
        ("scopes", json!([["access:servers!server=alice/gpu"]])),
        ("name", json!(null)),
        ("name", json!("")),
        ("name", json!(7)),
        ("name", json!("a".repeat(4096))),
        ("kind", json!(null)),
        ("kind", json!(["user"])),
        ("session_id", json!(false)),
        ("session_id", json!("")),
    ];
    for (member, odd) in edits {
        let mut model = shipped_server_token();
        model[member] = odd.clone();
        let answer = authenticate(&stage, model).await;
        assert_eq!(
            refusal(answer),
            Some(KernelError::HubUnavailable),
            "{member}: {odd:.40}"
        );
    }
    for member in ["scopes", "name", "kind"] {
        let mut model = shipped_server_token();
        model.as_object_mut().unwrap().remove(member);
        let answer = authenticate(&stage, model).await;
        assert_eq!(
            refusal(answer),
            Some(KernelError::HubUnavailable),
            "without {member}"
        );
    }
}

#[tokio::test]
async fn security_k5_what_is_no_model_is_no_kernel() {
    let stage = Stage::set().await;
    let honest = shipped_server_token().to_string();
    let twice = |member: &str| honest.replacen('{', &format!("{{{member},"), 1);
    let texts = [
        twice(r#""name":"mallory""#),
        twice(r#""session_id":"64c2""#),
        twice(r#""scopes":[]"#),
        twice(r#""kind":"service""#),
        format!("{honest}{honest}"),
        format!("{honest},"),
        honest[..honest.len() - 1].to_owned(),
        format!("[{honest}]"),
        format!("{}{honest}", "[".repeat(20_000)),
        honest.replace("alice/gpu", "alice/\u{0}gpu"),
        String::new(),
        "null".to_owned(),
        "NaN".to_owned(),
    ];
    for text in texts {
        let answer = authenticate_reply(&stage, Reply::json_text(text.clone())).await;
        assert_eq!(
            refusal(answer),
            Some(KernelError::HubUnavailable),
            "{text:.60}"
        );
    }
    let invalid = [honest.as_bytes(), b"\xff"].concat();
    for reply in [
        Reply::html("<!doctype html><title>Log in</title>"),
        Reply::json_text(invalid),
    ] {
        let answer = authenticate_reply(&stage, reply).await;
        assert_eq!(refusal(answer), Some(KernelError::HubUnavailable));
    }
}

#[tokio::test]
async fn security_k6_what_cannot_be_a_token_is_refused_without_asking_the_hub() {
    let stage = Stage::set().await;
    let good = stage.hub.server_token("alice", "");
    let odd = [
        String::new(),
        "a".repeat(15),
        "a".repeat(257),
        "a".repeat(64 * 1024),
        format!("{good}\0"),
        format!("{good}\r\nX-Injected: 1"),
        format!(" {good}"),
        format!("{good},{good}"),
        format!("{}é", &good[..31]),
        good.replace(&good[..1], "%"),
        format!("{good}="),
        format!("{good}/"),
    ];
    for token in odd {
        assert_eq!(
            refusal(stage.asked(&token).await),
            Some(KernelError::Malformed),
            "{token:.40?}"
        );
    }
    assert_eq!(stage.questions(), 0);

    for length in [16, 256] {
        let token = "aB_-".repeat(length / 4);
        stage.hub.set_model(&token, shipped_server_token());
        assert!(stage.asked(&token).await.is_ok(), "{length} characters");
    }
}
