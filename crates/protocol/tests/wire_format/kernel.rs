//! What kernels and the broker say to each other.

use hubkey_protocol::{
    AccessTokenHash, Account, Connection, ConnectionId, ConnectionList, CreateSignIn,
    CreateSignInAnswer, ErrorCode, ErrorReference, ExchangeRequest, Nonce, Problem, Provider,
    ProviderId, ProviderList, ProviderStatus, Scopes, ServerStopped, ShortId, SignInFailure,
    SignInOpened, SignInStatus, TokenAnswer, TokenRequest,
    secret::{AccessToken, PollSecret, Secret as _, SecretUrl, ServerToken},
};

use crate::line::line;

fn short() -> ShortId {
    ShortId::parse("abcdef").expect("a short id")
}

fn provider() -> ProviderId {
    ProviderId::parse("lab-api").expect("an id")
}

fn scopes(text: &str) -> Scopes {
    Scopes::parse(text).expect("scopes")
}

fn connection() -> Connection {
    Connection {
        id: ConnectionId::from_random(&short(), [1; 16]),
        provider: provider(),
        display_name: "Lab API".to_owned(),
        account: Account {
            sub: "1234".to_owned(),
            name: Some("Alice".to_owned()),
            email: Some("alice@example.org".to_owned()),
        },
        scopes: scopes("projects:read openid"),
        audience: Some("https://api.example.org".to_owned()),
        resource: Some("https://api.example.org/v1".to_owned()),
        expires_at: Some(1_795_600_000),
        expires_in: Some(300),
        refreshable: true,
        api_origins: vec!["https://api.example.org".to_owned()],
        token_type: "Bearer".to_owned(),
    }
}

fn bare_connection() -> Connection {
    Connection {
        account: Account {
            sub: "1234".to_owned(),
            name: None,
            email: None,
        },
        audience: None,
        resource: None,
        expires_at: None,
        expires_in: None,
        refreshable: false,
        api_origins: Vec::new(),
        ..connection()
    }
}

fn token(expires_at: Option<u64>) -> TokenAnswer {
    TokenAnswer {
        access_token: AccessToken::new("at-1"),
        token_type: "Bearer".to_owned(),
        expires_at,
        expires_in: expires_at.map(|_| 300),
        scopes: scopes("openid projects:read"),
        api_origins: Vec::new(),
    }
}

fn exchanged() -> TokenAnswer {
    TokenAnswer {
        api_origins: vec!["https://other.example.org".to_owned()],
        ..token(Some(1_795_600_000))
    }
}

fn opened() -> SignInOpened {
    SignInOpened {
        nonce: Nonce::from_random(&short(), [2; 16]),
        poll_secret: PollSecret::new("poll-1"),
        sign_in_url: SecretUrl::new("https://hubkey.example.org/start/abcdef.ticket"),
        expires_in: 600,
        provider: provider(),
        display_name: "Lab API".to_owned(),
        user: "alice".to_owned(),
        more_scopes: None,
        cause: None,
    }
}

fn wish() -> CreateSignIn {
    CreateSignIn {
        provider: Some(provider()),
        scopes: Some(scopes("openid projects:read")),
        audience: Some("https://api.example.org".to_owned()),
        resource: Some("https://api.example.org/v1".to_owned()),
        account: Some("alice@lab.example".to_owned()),
        interactive: false,
    }
}

fn narrow() -> TokenRequest {
    TokenRequest {
        min_valid_seconds: 60,
        scopes: Some(scopes("projects:read")),
        audience: Some("https://api.example.org".to_owned()),
        resource: Some("https://api.example.org/v1".to_owned()),
        rejected_ath: Some(AccessTokenHash::of(&AccessToken::new("an-access-token"))),
    }
}

fn exchange() -> ExchangeRequest {
    ExchangeRequest {
        audience: Some("other-api".to_owned()),
        resource: Some("https://other.example.org".to_owned()),
        scopes: Some(scopes("projects:read")),
        requested_issuer: Some("github".to_owned()),
        min_valid_seconds: 60,
        rejected_ath: None,
    }
}

#[test]
fn what_a_kernel_asks() {
    let lines = [
        line("CreateSignIn", &wish()),
        line("CreateSignIn, empty", &CreateSignIn::default()),
        line("TokenRequest", &narrow()),
        line("TokenRequest, empty", &TokenRequest::default()),
        line("ExchangeRequest", &exchange()),
        line("ExchangeRequest, empty", &ExchangeRequest::default()),
        line("TokenAnswer, exchanged", &exchanged()),
    ];
    insta::assert_snapshot!(lines.join("\n"));
    for empty in [
        serde_json::from_str::<CreateSignIn>("{}").map(|_| ()),
        serde_json::from_str::<TokenRequest>("{}").map(|_| ()),
        serde_json::from_str::<ExchangeRequest>("{}").map(|_| ()),
    ] {
        assert!(empty.is_ok(), "every field may be left out");
    }
}

#[test]
fn how_a_request_for_a_sign_in_is_answered() {
    let connected = CreateSignInAnswer::Connected {
        connection: connection(),
        token: token(Some(1_795_600_000)),
    };
    let lines = [
        line("CreateSignInAnswer, connected", &connected),
        line(
            "CreateSignInAnswer, opened",
            &CreateSignInAnswer::Opened(opened()),
        ),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn how_a_poll_is_answered() {
    let ready = |connection: Connection, expires_at| SignInStatus::Connected {
        connection: connection.repeatable(),
        token: token(expires_at).repeatable(),
    };
    let pending = SignInStatus::Pending { retry_after_ms: 0 };
    let mut lines = vec![
        line("pending", &pending),
        line("connected", &ready(connection(), Some(1_795_600_000))),
        line(
            "connected, with nothing that may be absent",
            &ready(bare_connection(), None),
        ),
        line("denied", &SignInStatus::Denied),
        line("expired", &SignInStatus::Expired),
    ];
    lines.extend(SignInFailure::ALL.iter().map(|reason| {
        let failed = SignInStatus::Failed {
            reason: *reason,
            reference: ErrorReference::from_random([7; 8]),
        };
        line("failed", &failed)
    }));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_connections_and_providers_look_like() {
    let list = ConnectionList {
        connections: vec![connection(), bare_connection()],
    };
    let provider = |status| Provider {
        id: provider(),
        display_name: "Lab API".to_owned(),
        default_scopes: scopes("openid"),
        allowed_scopes: scopes("openid projects:read"),
        api_origins: vec!["https://api.example.org".to_owned()],
        status,
    };
    let states = [
        ProviderStatus::Ready,
        ProviderStatus::Unknown,
        ProviderStatus::Unavailable,
    ];
    let providers = ProviderList {
        providers: states.map(provider).into(),
    };
    let lines = [
        line("ConnectionList", &list),
        line("TokenAnswer", &token(Some(1_795_600_000))),
        line("TokenAnswer, without an end", &token(None)),
        line("ProviderList", &providers),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_a_failure_looks_like() {
    let problem = |retry_after| Problem {
        status: 503,
        code: ErrorCode::HubUnavailable,
        title: "The Hub did not answer.".to_owned(),
        detail: "Try again in a moment.".to_owned(),
        retry_after,
    };
    let lines = [
        line("Problem", &problem(None)),
        line("Problem, transient", &problem(Some(1))),
    ];
    insta::assert_snapshot!(lines.join("\n"));
    let newer: ErrorCode = serde_json::from_str(r#""of_a_later_version""#).expect("a code");
    assert_eq!(newer, ErrorCode::Unknown, "an old client reads a new code");
}

#[test]
fn found_e1_the_end_of_a_server_says_whose_it_was_and_no_debug_shows_its_token() {
    let ended = |text: &str| serde_json::from_str::<ServerStopped>(text);
    let before = ended(r#"{"user":"alice","server":""}"#).expect("a Hub with an older hook");
    assert!(before.created.is_none() && before.token.is_none());
    let unknown = r#"{"user":"alice","server":"","created":null,"token":null}"#;
    assert!(
        ended(unknown)
            .expect("a Hub that was restarted")
            .token
            .is_none()
    );
    let whole = ServerStopped {
        created: Some("2026-11-24T20:00:07Z".to_owned()),
        token: Some(ServerToken::new("canary-token")),
        ..before
    };
    let text = serde_json::to_string(&whole).expect("JSON");
    let again = ended(&text).expect("the same");
    assert_eq!(again.token.expect("a token").expose(), "canary-token");
    assert!(!format!("{whole:?}").contains("canary"));
}
