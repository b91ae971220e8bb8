//! What callback-server and the broker say to each other.

use hubkey_protocol::{
    ErrorReference, ProviderId, ShortId, SignInFailure,
    internal::{
        BackchannelLogout, BrowserAnswer, BrowserReply, ConfirmPage, Decision, DonePage, EndedPage,
        GetPage, HubCallback, LogoutOutcome, LogoutReply, OpenLink, Page, ProviderCallback,
        ProviderLabel, Refusal, ScopeLabel, SetFlowCookie, SiteInfo, StartPage, SubmitDecision,
        TooLong,
    },
    secret::{AuthorizationCode, CsrfToken, FlowCookie, LogoutToken, SecretUrl, State, Ticket},
};

use crate::line::line;

fn flow() -> ShortId {
    ShortId::parse("abcdef").expect("a short id")
}

fn reference() -> ErrorReference {
    ErrorReference::parse("7QK2-M4TX").expect("a reference")
}

fn cookie() -> FlowCookie {
    FlowCookie::new("cookie-1")
}

fn source() -> String {
    "192.0.2.7".to_owned()
}

fn provider() -> ProviderLabel {
    ProviderLabel {
        id: ProviderId::parse("lab-api").expect("an id"),
        display_name: "Lab API".to_owned(),
    }
}

fn scopes() -> Vec<ScopeLabel> {
    vec![
        ScopeLabel {
            scope: "openid".to_owned(),
            description: None,
        },
        ScopeLabel {
            scope: "projects:read".to_owned(),
            description: Some("Read your projects".to_owned()),
        },
    ]
}

fn hub_callback() -> HubCallback {
    HubCallback {
        flow_cookie: Some(cookie()),
        code: Some(AuthorizationCode::new("code-1")),
        state: State::new("abcdef.state"),
        source: Some(source()),
        peer: Some([192, 0, 2, 7].into()),
    }
}

fn provider_callback() -> ProviderCallback {
    ProviderCallback {
        flow_cookie: Some(cookie()),
        state: State::new("abcdef.state"),
        code: Some(AuthorizationCode::new("code-1")),
        iss: Some("https://login.example.org".to_owned()),
        error: None,
        too_long: None,
        source: Some(source()),
    }
}

fn decide(decision: Decision) -> SubmitDecision {
    SubmitDecision {
        flow: flow(),
        flow_cookie: Some(cookie()),
        csrf: CsrfToken::new("csrf-1"),
        decision,
        source: Some(source()),
    }
}

#[test]
fn what_callback_server_asks() {
    let start = OpenLink {
        ticket: Ticket::new("abcdef.ticket"),
        source: None,
    };
    let view = GetPage {
        flow: flow(),
        flow_cookie: None,
        source: Some(source()),
    };
    let lines = [
        line("OpenLink", &start),
        line("HubCallback", &hub_callback()),
        line("GetPage", &view),
        line("ProviderCallback", &provider_callback()),
        line(
            "ProviderCallback",
            &ProviderCallback {
                code: None,
                iss: None,
                too_long: Some(TooLong::Code),
                ..provider_callback()
            },
        ),
        line("SubmitDecision", &decide(Decision::Accept)),
        line("SubmitDecision", &decide(Decision::Cancel)),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

fn reply(answer: BrowserAnswer) -> BrowserReply {
    BrowserReply {
        answer,
        set_cookie: None,
        clear_cookie: None,
    }
}

#[test]
fn how_a_browser_is_answered() {
    let location = || SecretUrl::new("https://login.example.org/authorize?state=abcdef.state");
    let redirect = BrowserReply {
        set_cookie: Some(SetFlowCookie {
            flow: flow(),
            value: cookie(),
            max_age: 600,
        }),
        ..reply(BrowserAnswer::Redirect {
            location: location(),
        })
    };
    let leave = reply(BrowserAnswer::RedirectPage {
        location: location(),
        provider: "Lab API".to_owned(),
    });
    let view = BrowserReply {
        clear_cookie: Some(flow()),
        ..reply(BrowserAnswer::View { flow: flow() })
    };
    let mut lines = vec![
        line("redirect", &redirect),
        line("redirect_page", &leave),
        line("view", &view),
    ];
    let refusals = [
        Refusal::InvalidLink,
        Refusal::Forbidden,
        Refusal::Malformed,
        Refusal::TooLong,
        Refusal::RateLimited,
        Refusal::Unavailable,
    ];
    lines.extend(refusals.map(|refusal| {
        let reference = reference();
        line(
            "refused",
            &reply(BrowserAnswer::Refused { refusal, reference }),
        )
    }));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_a_page_is_made_of() {
    let start = StartPage {
        flow: flow(),
        csrf: CsrfToken::new("csrf-1"),
        provider: provider(),
        user: "alice".to_owned(),
        server: "gpu".to_owned(),
        scopes: scopes(),
    };
    let confirm = ConfirmPage {
        flow: flow(),
        csrf: CsrfToken::new("csrf-1"),
        provider: provider(),
        provider_host: "login.example.org".to_owned(),
        account: "alice@example.org".to_owned(),
        user: "alice".to_owned(),
        server: String::new(),
        scopes: scopes(),
        replaces_account: false,
        shared_server: true,
        asked_at: 1_795_600_000,
    };
    let done = DonePage {
        provider: provider(),
        account: "alice@example.org".to_owned(),
    };
    let pages = [Page::Start(start), Page::Confirm(confirm), Page::Done(done)];
    let lines = pages.map(|page| line("page", &reply(BrowserAnswer::Page { page })));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn how_a_sign_in_ends_without_a_connection() {
    let lines = SignInFailure::ALL.iter().map(|reason| {
        let page = Page::Ended(EndedPage {
            provider: provider(),
            reason: *reason,
            reference: reference(),
        });
        line("page", &page)
    });
    let lines: Vec<String> = lines.collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_the_pages_look_like() {
    let site = SiteInfo {
        hub_name: "hub.example.org".to_owned(),
        hub_url: "https://hub.example.org".to_owned(),
        accent_color: Some("#1a5fb4".to_owned()),
        support_url: None,
        public_url: "https://hubkey.example.org".to_owned(),
        shared_origin: false,
        key_sets: [(provider().id, serde_json::json!({ "keys": [] }))].into(),
    };
    insta::assert_snapshot!(line("SiteInfo", &site));
}

#[test]
fn what_callback_server_hands_on_of_a_logout() {
    let logout = BackchannelLogout {
        logout_token: LogoutToken::new("a.b.c"),
        source: Some(source()),
    };
    let outcomes = [
        LogoutOutcome::Done,
        LogoutOutcome::Refused,
        LogoutOutcome::TooMany,
    ];
    let replies = outcomes.map(|outcome| line("reply", &LogoutReply { outcome }));
    assert_eq!(
        line("logout", &logout),
        r#"logout: {"logout_token":"a.b.c","source":"192.0.2.7"}"#
    );
    assert_eq!(
        replies,
        [
            r#"reply: {"outcome":"done"}"#,
            r#"reply: {"outcome":"refused"}"#,
            r#"reply: {"outcome":"too_many"}"#,
        ]
    );
}
