//! The stacks that the tests share, and the people on them.

pub(crate) mod command;
pub(crate) mod notebook;
mod other_providers;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::kernel::Kernel;
use hubkey_e2e::real::keycloak::Person;
use hubkey_e2e::real::server_token::kernel_of_server;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::platform::Platform;
use hubkey_e2e::stack::{Stack, StackOptions};
use hubkey_e2e::{stack::servers, stack::wheel};
use hubkey_fakes::kernel_api::KernelApi;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

pub(crate) use other_providers::{
    FEDERATED, HOSTILE, HOUSE, IMPOSTER, KEYED, SECOND, SHARED, hostile, proof,
};

pub(crate) type Outcome = anyhow::Result<()>;

/// The cell of most tests.
pub(crate) const CONNECT: &str = r#"import hubkey
lab = await hubkey.connect("lab-api")"#;

/// Long enough for any cell on a busy machine.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// While a file of this name is in the home folder of a user, the broker does not hear that their servers end.
pub(crate) const MESSAGE_LOST: &str = "message-lost";

/// How a hub of processes loses those messages.
const LOSING: &str = r#"
import os
from pathlib import Path
from hubkey._hub.post_stop_hook import HubkeyPostStopHook

telling = HubkeyPostStopHook._tell

async def tell(hook, ended):
    home = Path(os.environ["HUB_FOLDER"]) / "home" / ended["user"]
    if not (home / "message-lost").exists():
        await telling(hook, ended)

HubkeyPostStopHook._tell = tell
"#;

static OWN_HOST: OnceCell<Stack> = OnceCell::const_new();
static ENCRYPTED: OnceCell<Stack> = OnceCell::const_new();
static SHARED_ORIGIN: OnceCell<Stack> = OnceCell::const_new();
static SHARED_ORIGIN_TURN: Mutex<()> = Mutex::const_new(());

/// Our programs and our Python package, built once: a second build could replace what a first stack uses.
pub(crate) async fn built() -> anyhow::Result<(PathBuf, PathBuf)> {
    static BUILT: OnceCell<(PathBuf, PathBuf)> = OnceCell::const_new();
    let build = async || anyhow::Ok((servers::build()?, wheel::install()?));
    Ok(BUILT.get_or_try_init(build).await?.clone())
}

async fn start(label: &str, options: StackOptions) -> anyhow::Result<Stack> {
    if Platform::wanted()? == Platform::Containers {
        return Stack::start_on_containers(label, options).await;
    }
    let (programs, packages) = built().await?;
    Stack::start_built(label, options, programs, packages).await
}

/// The stack of most tests: callback-server on a host of its own, both servers with their most talkative logs.
pub(crate) async fn stack() -> anyhow::Result<&'static Stack> {
    let starting = async || {
        let options = StackOptions {
            log: "trace".to_owned(),
            more_broker_settings: other_providers::providers().await?,
            hub_config: match Platform::wanted()? {
                Platform::Processes => LOSING.to_owned(),
                Platform::Containers => String::new(),
            },
            ..StackOptions::default()
        };
        start("stack", options).await
    };
    OWN_HOST.get_or_try_init(starting).await
}

/// A stack with callback-server below the hub's own origin, for this test alone until the guard is dropped.
pub(crate) async fn shared_origin() -> anyhow::Result<(&'static Stack, MutexGuard<'static, ()>)> {
    let turn = SHARED_ORIGIN_TURN.lock().await;
    let starting = async || {
        let options = StackOptions {
            shared_origin: true,
            ..StackOptions::default()
        };
        start("shared-origin", options).await
    };
    Ok((SHARED_ORIGIN.get_or_try_init(starting).await?, turn))
}

/// A stack whose kernels reach the broker over TLS, and whose broker reaches Redis so.
pub(crate) async fn encrypted() -> anyhow::Result<&'static Stack> {
    let starting = async || {
        let options = StackOptions {
            tls: true,
            ..StackOptions::default()
        };
        start("encrypted", options).await
    };
    ENCRYPTED.get_or_try_init(starting).await
}

/// A person whom no other test knows, with a running server.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) person: Person,
    pub(crate) stack: &'static Stack,
}

impl Guest {
    /// On the stack of most tests.
    pub(crate) async fn new() -> anyhow::Result<Self> {
        Self::on(stack().await?).await
    }

    pub(crate) async fn on(stack: &'static Stack) -> anyhow::Result<Self> {
        let person = stack.new_person().await?;
        stack.hub.start_server(&person.name, "").await?;
        Ok(Self { person, stack })
    }

    pub(crate) fn name(&self) -> &str {
        &self.person.name
    }

    pub(crate) async fn kernel(&self) -> anyhow::Result<Kernel> {
        Kernel::start(&self.stack.hub, self.name(), "").await
    }

    /// What any program in the person's server can ask the broker.
    pub(crate) fn api(&self) -> anyhow::Result<KernelApi> {
        self.api_of("")
    }

    pub(crate) fn api_of(&self, server: &str) -> anyhow::Result<KernelApi> {
        kernel_of_server(
            self.stack.broker.url(),
            &self.stack.hub,
            self.name(),
            server,
        )
    }

    pub(crate) async fn browser(&self) -> anyhow::Result<Browser> {
        Browser::start(&self.stack.run, self.name()).await
    }

    /// Another browser of the same person, with nothing in it.
    pub(crate) async fn other_browser(&self) -> anyhow::Result<Browser> {
        static NUMBER: AtomicU32 = AtomicU32::new(2);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Browser::start(&self.stack.run, &format!("{}-{number}", self.name())).await
    }

    /// Opens a link and goes through the sign-in to its good end. Gives the pages that were met.
    pub(crate) async fn sign_in(&self, browser: &Browser, link: &str) -> anyhow::Result<Vec<Page>> {
        let met = browser.open_sign_in(link, &self.person).await?;
        let last = met.last().context("no page was met")?;
        ensure!(*last == Page::Done, "refused: {}", browser.text().await?);
        Ok(met)
    }

    /// Runs a cell that connects, with the person signing in. Gives what the cell printed.
    pub(crate) async fn run_and_sign_in(
        &self,
        kernel: &mut Kernel,
        browser: &Browser,
        cell: &str,
    ) -> anyhow::Result<String> {
        kernel.begin(cell).await?;
        let link = kernel.link().await?;
        self.sign_in(browser, &link).await?;
        kernel.finish(LONG).await?.ok()
    }

    /// A connected kernel of a new person, and the browser that signed in.
    pub(crate) async fn connected() -> anyhow::Result<(Self, Kernel, Browser)> {
        Self::new().await?.connect().await
    }

    /// The same on a stack of the test's own.
    pub(crate) async fn connected_on(
        stack: &'static Stack,
    ) -> anyhow::Result<(Self, Kernel, Browser)> {
        Self::on(stack).await?.connect().await
    }

    async fn connect(self) -> anyhow::Result<(Self, Kernel, Browser)> {
        let (kernel, browser) = tokio::join!(self.kernel(), self.browser());
        let (mut kernel, browser) = (kernel?, browser?);
        self.run_and_sign_in(&mut kernel, &browser, CONNECT).await?;
        Ok((self, kernel, browser))
    }

    /// The lines of the broker's log that tell of this person.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        let log = self.stack.broker.output();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &serde_json::Value| {
                line["stream"] == "audit" && line["user"] == *self.name()
            })
            .collect()
    }

    /// Whether the audit stream tells of this event about this person.
    pub(crate) fn audited(&self, event: &str) -> bool {
        self.audit().iter().any(|line| line["event"] == event)
    }
}

/// The last line that a cell printed, without quotes.
pub(crate) fn last_line(text: &str) -> &str {
    text.trim()
        .lines()
        .last()
        .unwrap_or_default()
        .trim_matches('\'')
}
