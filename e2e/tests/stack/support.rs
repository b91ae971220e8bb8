//! What most tests begin with: a person, their server, a kernel of it, a browser.

use std::time::Duration;

use anyhow::ensure;
use hubkey_e2e::browser::Browser;
use hubkey_e2e::kernel::{CellOutput, Kernel};
use hubkey_e2e::keycloak::Person;
use hubkey_e2e::sign_in::Page;
use hubkey_e2e::stack::Stack;

pub(crate) type Outcome = anyhow::Result<()>;

/// Connects and calls the API.
pub(crate) const CONNECT: &str = "import hubkey, httpx, os\n\
    lab = await hubkey.connect('lab-api')\n\
    print(httpx.get(os.environ['LAB_API'] + '/projects', auth=lab).json())";

/// How long a cell may go on after its person is done.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A person with a running server and a kernel.
pub(crate) struct Seat {
    pub(crate) stack: &'static Stack,
    pub(crate) person: Person,
    pub(crate) kernel: Kernel,
}

impl Seat {
    pub(crate) async fn take() -> anyhow::Result<Self> {
        let stack = Stack::shared().await?;
        let person = stack.new_person().await?;
        stack.hub.start_server(&person.name, "").await?;
        let kernel = Kernel::start(&stack.hub, &person.name, "").await?;
        Ok(Self {
            stack,
            person,
            kernel,
        })
    }

    /// Another kernel of the same server.
    pub(crate) async fn another_kernel(&self) -> anyhow::Result<Kernel> {
        Kernel::start(&self.stack.hub, &self.person.name, "").await
    }

    /// A browser of this person in which nobody has signed in anywhere.
    pub(crate) async fn browser(&self) -> anyhow::Result<Browser> {
        Browser::start(&self.stack.run, &self.person.name).await
    }

    /// Runs a cell that shows a link, and gives the link.
    pub(crate) async fn begin(&mut self) -> anyhow::Result<String> {
        self.kernel.begin(CONNECT).await?;
        self.kernel.link().await
    }

    /// Signs in for the first time, to the end of the cell.
    pub(crate) async fn sign_in(&mut self, browser: &Browser) -> anyhow::Result<CellOutput> {
        let link = self.begin().await?;
        let met = browser.open_sign_in(&link, &self.person).await?;
        ensure!(met.last() == Some(&Page::Done), "met {met:?}");
        let output = self.kernel.finish(SOON).await?;
        ensure!(
            output.error.is_none(),
            "the cell ended with {:?}",
            output.error
        );
        Ok(output)
    }
}

/// The class of the exception that ended a cell.
pub(crate) fn raised(output: &CellOutput) -> &str {
    output.error.as_ref().map_or("", |(class, _)| class)
}
