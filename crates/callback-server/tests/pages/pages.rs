//! The words and the markup of each page.

use hubkey_protocol::{
    SignInFailure,
    internal::{Page, Refusal},
};

use crate::support::{
    Answer, NOW, Server, Visit, confirm_page, done_page, ended_page, every_answer, leave, refused,
    start_page,
};

/// What a person reads on a page, a line for each block.
pub(crate) fn text(answer: &Answer) -> String {
    let (_, body) = answer.body.split_once("<body>").unwrap();
    let body = body
        .split_once("<script>")
        .map_or(body, |(before, _)| before);
    let mut text = String::new();
    for part in body.split('<') {
        let (tag, rest) = part.split_once('>').unwrap_or(("", part));
        let is_block = [
            "/p", "/caption", "/td", "/th", "/h1", "/h2", "/li", "/dt", "/dd", "/button", "/header",
        ]
        .contains(&tag);
        text.push_str(if is_block { "\n" } else { "" });
        text.push_str(&rest.replace('\n', " "));
    }
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

pub(crate) async fn shown(page: Page) -> Answer {
    let server = Server::own().await;
    server.broker.shows(page);
    server.open("/sign-in/abcdef").await
}

#[tokio::test]
async fn start_asks_before_going_to_the_provider() {
    let answer = shown(Page::Start(start_page())).await;
    insta::assert_snapshot!(text(&answer), @"
    hub.example.org
    Sign in to Lab API?
    A notebook of yours wants to use your account there.
    You on this hub
    alice
    default server
    Service
    Lab API
    You choose the account there
    Your notebooks may then
    Read your projects projects:read
    Know your e-mail address email
    samples.export
    You sign in at Lab API itself. Your password stays there.
    Cancel
    Go to Lab API
    If you did not start this from a notebook of yours, choose Cancel.
    ");
}

#[tokio::test]
async fn confirm_names_both_accounts() {
    let answer = shown(Page::Confirm(confirm_page())).await;
    insta::assert_snapshot!(answer.markup(), @r#"
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex, nofollow">
    <title>Connect these two accounts?</title>
    <style>…</style>
    </head>
    <body>
    <header><svg width="22" height="22" viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" aria-hidden="true"><circle cx="6.5" cy="13.5" r="3.75"/><path d="M9.25 10.75 17 3m-3.25 3.25 2 2m-4.5.5 1.5 1.5"/></svg><span><bdi>hub.example.org</bdi></span></header>
    <main>
    <h1>Connect these two accounts?</h1>
    <p>You have signed in at <strong><bdi>Lab API</bdi></strong>. Notebooks of your server will act there as this account.</p>
    <div class="pair">
    <dl class="account"><dt>You on this hub</dt><dd class="name"><bdi>alice</bdi></dd><dd class="quiet">server “<bdi>gpu</bdi>”</dd></dl>
    <span class="joint" role="img" aria-label="will act as"><svg width="18" height="18" viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M3 9h12m-4.5-4.5L15 9l-4.5 4.5"/></svg></span>
    <dl class="account"><dt>Account at <bdi>Lab API</bdi></dt><dd class="name"><bdi>alice.<wbr>liddell@<wbr>lab.<wbr>example<wbr></bdi></dd><dd class="quiet"><bdi>login.lab.example</bdi></dd></dl>
    </div>
    <h2>Your notebooks may then</h2>
    <ul class="may">
    <li><span><bdi>Read your projects</bdi></span> <code><bdi>projects:read</bdi></code></li>
    <li><span><bdi>Know your e-mail address</bdi></span> <code><bdi>email</bdi></code></li>
    <li><code><bdi>samples.export</bdi></code></li>
    </ul>
    <p class="quiet">Asked for by a notebook <time datetime="2026-11-24T20:30:20Z" title="2026-11-24 20:30 UTC">2 minutes ago</time>. Your password stays at <bdi>Lab API</bdi>. You can end this any time under My connections.</p>
    <form class="actions" method="post" action="/confirm/abcdef">
    <input type="hidden" name="csrf" value="form-token">
    <button type="submit" name="decision" value="cancel">Cancel</button>
    <button class="go" type="submit" name="decision" value="accept">Connect</button>
    </form>
    </main>
    <footer>
    <p>If you did not start this from a notebook of yours, choose Cancel.</p>
    </footer>
    </body>
    </html>
    "#);
}

#[tokio::test]
async fn confirm_warns_of_a_shared_server_and_of_another_account() {
    let mut page = confirm_page();
    page.shared_server = true;
    page.replaces_account = true;
    page.scopes.clear();
    page.server.clear();
    page.asked_at = u64::try_from(NOW.unix_timestamp()).unwrap();
    insta::assert_snapshot!(text(&shown(Page::Confirm(page)).await), @"
    hub.example.org
    Connect these two accounts?
    You have signed in at Lab API. Notebooks of your server will act there as this account.
    You on this hub
    alice
    default server
    Account at Lab API
    alice.liddell@lab.example
    login.lab.example
    This is another account than before. If you connect it, new sign-ins at Lab API use this one.
    This server is shared. Other people who can open it can then use this account too.
    Asked for by a notebook just now. Your password stays at Lab API. You can end this any time under My connections.
    Cancel
    Connect
    If you did not start this from a notebook of yours, choose Cancel.
    ");
}

#[tokio::test]
async fn done_says_who_signed_in_where() {
    insta::assert_snapshot!(text(&shown(Page::Done(done_page())).await), @"
    hub.example.org
    Signed in to Lab API as alice.liddell@lab.example
    Your notebook goes on by itself. You can close this tab.
    ");
}

#[tokio::test]
async fn leave_offers_the_link_too() {
    let server = Server::own().await;
    server
        .broker
        .says(leave("https://login.lab.example/authorize?a=b&state=c"));
    let answer = server
        .press("/continue/abcdef", "csrf=a&decision=accept")
        .await;
    insta::assert_snapshot!(text(&answer), @"
    hub.example.org
    Going to Lab API
    The sign-in goes on there. If nothing happens, use this link.
    Go to Lab API
    ");
}

/// What the page says for each reason.
async fn every_reason(reasons: &[SignInFailure]) -> String {
    let mut all = Vec::new();
    for reason in reasons {
        let answer = shown(Page::Ended(ended_page(*reason))).await;
        all.push(format!("{reason:?}\n{}", text(&answer)));
    }
    all.join("\n\n").replace("hub.example.org\n", "")
}

#[tokio::test]
async fn ended_says_why_in_our_words() {
    insta::assert_snapshot!(every_reason(&SignInFailure::ALL[..9]).await);
}

#[tokio::test]
async fn ended_says_what_is_wrong_here() {
    insta::assert_snapshot!(every_reason(&SignInFailure::ALL[9..]).await);
}

/// The status and the words of an answer, without the hub's name and a reference of our own.
fn words(answer: &Answer) -> String {
    let text = format!(
        "{}\n{}",
        answer.status.as_u16(),
        text(answer).replace("hub.example.org\n", "")
    );
    match text.split_once("Reference ") {
        Some((before, after)) => format!("{before}Reference ####-####{}", &after[9..]),
        None => text,
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let server = Server::own().await;
    let mut all = Vec::new();
    for refusal in crate::support::REFUSALS {
        server.broker.says(refused(refusal));
        all.push(words(&server.open("/sign-in/abcdef").await));
    }
    insta::assert_snapshot!(all.join("\n\n"), @"
    410
    This sign-in link does not work
    It is too old, was used already, or was made for somebody else.
    From your own notebook Run the cell again and open the new link in this browser, where you are signed in to the hub.
    From a message or another person Do not use it. Such a link can be an attempt to use your account.
    Reference ####-####, for your hub’s operators

    403
    This sign-in cannot go on here
    It is finished already, or was started in another browser, or the person who is signed in to the hub has changed. This page changed nothing.
    If your notebook goes on Close this tab. You came back to a step that is over.
    If your notebook still waits Run the cell again and open the new link in the browser in which you use the hub.
    If you did not start it Close this tab.
    Reference ####-####, for your hub’s operators

    400
    This address is not complete
    A part of it is missing, or stands there twice.
    Go back to your notebook, run the cell again and click on the new link.
    Reference ####-####, for your hub’s operators

    400
    What your browser sent is too long
    The address, or the cookies of this site, hold more than this hub takes. Nothing was connected.
    If you came back from signing in Run the cell again. If this page comes back, give the reference below to your hub’s operators.
    If every page of this site says so Delete the cookies of this site in your browser, sign in to the hub again, and run the cell again.
    Reference ####-####, for your hub’s operators

    429
    Too many tries in a short time
    Signing in is paused for a moment.
    Wait a minute, then load this page again. If it does not go on, open the link in your notebook once more.
    Reference ####-####, for your hub’s operators

    503
    Signing in does not work right now
    A part of this hub does not answer. Nothing was connected.
    Wait a minute, then open the link in your notebook again. If the link has run out by then, run the cell again.
    Reference ####-####, for your hub’s operators
    ");
}

#[tokio::test]
async fn what_never_reaches_the_broker_says_what_to_do_too() {
    let server = Server::own().await;
    let mut all = Vec::new();
    for visit in [
        Visit::open("/nowhere"),
        Visit::open("/confirm/abcdef"),
        Visit::open("/").with("sec-fetch-dest", "iframe"),
        Visit::open("/"),
    ] {
        all.push(words(&server.visit(visit).await));
    }
    insta::assert_snapshot!(all.join("\n\n"), @"
    404
    There is no page here
    The address is wrong, or belongs to something else.
    Go back to your notebook and click on the link there.

    405
    This page cannot be opened this way
    It belongs to a step of a sign-in. Nothing was done.
    Go back to your notebook and click on the link there.

    403
    This page opens only in a tab of its own
    It was asked for by another page, by a program, or ahead of time. Nothing was done.
    Click on the link in your notebook.
    Reference ####-####, for your hub’s operators

    200
    Your notebooks sign in here
    When a notebook needs an account of yours at another service, it shows a link that leads to this place. You sign in at the service itself, and the notebook goes on.
    There is nothing to do on this page. Go back to your notebook and click on the link there.
    My connections
    ");
}

#[tokio::test]
async fn a_dead_link_in_full() {
    let server = Server::own().await;
    server.broker.says(refused(Refusal::InvalidLink));
    insta::assert_snapshot!(server.open("/sign-in/abcdef").await.markup(), @r#"
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex, nofollow">
    <title>This sign-in link does not work</title>
    <style>…</style>
    </head>
    <body>
    <header><svg width="22" height="22" viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" aria-hidden="true"><circle cx="6.5" cy="13.5" r="3.75"/><path d="M9.25 10.75 17 3m-3.25 3.25 2 2m-4.5.5 1.5 1.5"/></svg><span><bdi>hub.example.org</bdi></span></header>
    <main>
    <div class="mark bad" aria-hidden="true"><svg width="24" height="24" viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round"><path d="M9 4v6M9 13.75v.01"/></svg></div>
    <h1>This sign-in link does not work</h1>
    <p>It is too old, was used already, or was made for somebody else.</p>
    <ul class="steps">
    <li><strong>From your own notebook</strong> Run the cell again and open the new link in this browser, where you are signed in to the hub.</li>
    <li><strong>From a message or another person</strong> Do not use it. Such a link can be an attempt to use your account.</li>
    </ul>
    </main>
    <footer>
    <p>Reference <span class="reference">7QK2-M4TX</span>, for your hub’s operators</p>
    </footer>
    </body>
    </html>
    "#);
}

const OAUTH_WORDS: [&str; 8] = [
    "oauth", "grant", "consent", "scope", "token", "authoriz", "redirect", "issuer",
];

#[tokio::test]
async fn every_page_has_one_heading_that_its_title_repeats() {
    let server = Server::at(crate::support::OWN, |site| {
        site.support_url = Some("https://help.example.org/".to_owned());
    })
    .await;
    for (what, answer) in every_answer() {
        server.broker.says(answer);
        let answer = server.open("/sign-in/abcdef").await;
        if answer.body.is_empty() {
            continue;
        }
        let inside = |start: &str, end: &str| {
            assert_eq!(answer.body.matches(start).count(), 1, "{what} {start}");
            answer
                .body
                .split_once(start)
                .unwrap()
                .1
                .split_once(end)
                .unwrap()
                .0
                .replace("<bdi>", "")
                .replace("</bdi>", "")
                .replace("<wbr>", "")
        };
        assert_eq!(
            inside("<title>", "</title>"),
            inside("<h1>", "</h1>"),
            "{what}"
        );
        assert!(
            answer
                .body
                .starts_with("<!doctype html>\n<html lang=\"en\">"),
            "{what}"
        );
        assert!(
            answer.body.contains(
                r#"<a href="https://help.example.org/" rel="noopener noreferrer">Help</a>"#
            ),
            "{what}"
        );
        let seen = text(&answer).to_lowercase();
        let word = OAUTH_WORDS.iter().find(|word| seen.contains(**word));
        assert_eq!(word, None, "{what}: no OAuth words on a page");
    }
}
