//! `cargo xtask demo`: the first sign-in, on the real stack, in front of the person who runs it.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::keycloak::{ALICE, BOB, MALLORY};
use hubkey_e2e::real::notebook::Notebook;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::{Stack, StackOptions};
use hubkey_e2e::{stack::servers, stack::wheel};
use hubkey_starters::console::say;
use hubkey_starters::jupyterhub::JupyterHub;
use hubkey_starters::process;
use hubkey_starters::tools::{self, Consent};

/// The two lines that a notebook user writes, and a call of an API.
const CELL: &str = r#"import hubkey, httpx, os
lab = await hubkey.connect("lab-api")
httpx.get(os.environ["LAB_API"] + "/projects", auth=lab).json()"#;

/// The same again: the connection is there already.
const CELL_AGAIN: &str = r#"again = await hubkey.connect("lab-api")
httpx.get(os.environ["LAB_API"] + "/projects", auth=again).status_code"#;

/// Says each step with the seconds that it took.
struct Clock(Instant);

impl Clock {
    fn say(&mut self, step: &str) {
        say(format!("{:>6.1} s  {step}", self.0.elapsed().as_secs_f64()));
        self.0 = Instant::now();
    }
}

/// Shows the sign-in and ends; with `stay`, starts everything for the person to try and waits for Ctrl-C.
pub(crate) fn run(stay: bool, consent: Consent) -> anyhow::Result<bool> {
    let started = Instant::now();
    let mut clock = Clock(started);
    tools::install_missing(consent)?;
    clock.say("installed what was missing");
    let programs = servers::build()?;
    clock.say("built callback-server, token-broker and the API");
    let packages = wheel::install()?;
    clock.say("built the Python package");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stack = Stack::start_built("demo", StackOptions::default(), programs, packages).await?;
        clock.say("started Redis, Keycloak, JupyterHub, both servers and the API");
        // Ctrl-C drops what is going on, and with it everything that was started.
        tokio::select! {
            outcome = show(&stack, stay, &mut clock) => outcome?,
            _ = tokio::signal::ctrl_c() => say("interrupted"),
        }
        drop(stack);
        clock.say("ended everything that was started");
        anyhow::Ok(())
    })?;
    say(format!(
        "{:>6.1} s  in all",
        started.elapsed().as_secs_f64()
    ));
    Ok(true)
}

async fn show(stack: &Stack, stay: bool, clock: &mut Clock) -> anyhow::Result<()> {
    if stay {
        invite(stack);
        // Ends with Ctrl-C only.
        return std::future::pending().await;
    }
    let browser = Browser::start(&stack.run, "alice").await?;
    let outcome = sign_in(stack, &browser, clock).await;
    browser.quit().await;
    outcome
}

async fn sign_in(stack: &Stack, browser: &Browser, clock: &mut Clock) -> anyhow::Result<()> {
    clock.say("started Chromium");
    browser.sign_in_to_hub(&stack.hub, &ALICE.name).await?;
    clock.say("alice signed in to the hub");
    let notebook = Notebook::create(browser, &stack.hub, &ALICE.name).await?;
    clock.say("opened JupyterLab and a new notebook");
    notebook.write_and_run(CELL).await?;
    notebook.link(0).await?;
    picture(browser, "demo-1-card").await?;
    clock.say("ran the cell: it shows a card with one link");
    let lab = browser
        .in_new_tab(async || notebook.click_link(0).await)
        .await?;
    let mut met = Vec::new();
    loop {
        let look = async |page| picture(browser, &format!("demo-2-{}", name(page))).await;
        let page = browser
            .step_of_sign_in(&ALICE, met.last().copied(), look)
            .await?;
        met.push(page);
        if matches!(page, Page::Done | Page::Refused) {
            break;
        }
    }
    ensure!(
        met.last() == Some(&Page::Done),
        "the sign-in was refused: {}",
        browser.text().await?
    );
    clock.say("clicked the link, signed in at Keycloak, confirmed both accounts");
    browser.close_tab(&lab).await?;
    let output = notebook.await_output(0, "projects").await?;
    picture(browser, "demo-3-result").await?;
    clock.say("closed the tab: the same cell went on");
    quote(&output);
    notebook.write_and_run(CELL_AGAIN).await?;
    let again = notebook.await_output(1, "200").await?;
    ensure!(
        !again.contains("Sign in"),
        "the second connect() asked again: {again}"
    );
    picture(browser, "demo-4-again").await?;
    clock.say("connected again, without a link");
    quote(&again);
    Ok(())
}

fn name(page: Page) -> &'static str {
    match page {
        Page::HubSignIn => "hub-sign-in",
        Page::Start => "start",
        Page::ProviderSignIn => "keycloak",
        Page::SecondSignIn => "second-sign-in",
        Page::SecondConsent => "second-consent",
        Page::Confirm => "confirm",
        Page::Done => "done",
        Page::Refused => "refused",
    }
}

async fn picture(browser: &Browser, name: &str) -> anyhow::Result<()> {
    let path = browser.screenshot(name).await?;
    let shown = path
        .strip_prefix(process::checkout())
        .unwrap_or(&path)
        .to_path_buf();
    say(format!(
        "          screenshot: {}",
        Path::new(&shown).display()
    ));
    Ok(())
}

fn quote(output: &str) {
    for line in output.lines().filter(|line| !line.trim().is_empty()) {
        say(format!("          | {line}"));
    }
}

fn invite(stack: &Stack) {
    say(format!(
        "\nOpen {} (this address and no other name for it).\n\
         At the hub: user alice, bob, mallory or admin, password {}.\n\
         At Keycloak:",
        stack.hub.url(),
        JupyterHub::PASSWORD
    ));
    for person in [ALICE, BOB, MALLORY] {
        say(format!("  {:<8} {}", person.name, person.password));
    }
    say(format!("In a notebook:\n\n{CELL}\n"));
    say(format!(
        "Logs are in {}. Ctrl-C ends everything.",
        stack.run.path().display()
    ));
}
