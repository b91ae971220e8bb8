//! JupyterLab as a person uses it, in the browser.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use thirtyfour::{By, Key, TypingData, WebElement};
use tokio::time::timeout;

use crate::real::browser::{Browser, patiently, unless_stale};
use hubkey_starters::jupyterhub::JupyterHub;

const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(150);

/// How long a cell may take to show that it was run.
const TAKES: Duration = Duration::from_secs(3);
/// How long JupyterLab may take to reach the kernel.
const CONNECTS: Duration = Duration::from_mins(1);
const SAVES: Duration = Duration::from_secs(2);
const OPENS: Duration = Duration::from_secs(30);

/// What became of a cell that was run.
enum Progress {
    Begun,
    /// JupyterLab knows nothing of it.
    Dropped,
    /// JupyterLab keeps it for the kernel.
    Waiting,
}

/// A notebook in front of a person. Everything happens in the browser's current tab.
#[derive(Debug)]
pub struct Notebook<'a> {
    browser: &'a Browser,
}

impl<'a> Notebook<'a> {
    /// Opens JupyterLab of a user who is signed in to the hub, and in it a new notebook whose kernel is ready.
    pub async fn create(
        browser: &'a Browser,
        hub: &JupyterHub,
        user: &str,
    ) -> anyhow::Result<Self> {
        // `reset`: without it the remembered layout may hide the launcher.
        browser
            .open(&format!("{}/hub/user-redirect/lab?reset", hub.url()))
            .await?;
        let started = Instant::now();
        let home = format!("{}lab", hub.server_url(user, ""));
        while !browser.address().await?.starts_with(&home) {
            if started.elapsed() > PATIENCE {
                bail!(
                    "JupyterLab of {user} did not open: {}",
                    browser.text().await?
                );
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        browser
            .click(".jp-LauncherCard[data-category='Notebook']")
            .await
            .context("JupyterLab shows no launcher")?;
        let notebook = Self { browser };
        notebook.until_idle().await?;
        Ok(notebook)
    }

    /// Types code into the last cell. The editor indents by itself, so lines must not be indented.
    pub async fn write(&self, code: &str) -> anyhow::Result<()> {
        let last = self
            .cells()
            .await?
            .checked_sub(1)
            .context("the notebook has no cell")?;
        self.click_editor(last).await?;
        for (number, line) in code.lines().enumerate() {
            if number > 0 {
                self.type_into(last, || Key::Enter + "").await?;
            }
            self.type_into(last, || line.into()).await?;
            // A list of completions would take the next Enter for itself.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Runs the selected cell and stays in it.
    pub async fn run(&self) -> anyhow::Result<()> {
        self.press(|| Key::Control + Key::Enter).await
    }

    /// Writes code into the last cell and runs it; a new cell appears below.
    ///
    /// JupyterLab drops a cell that is run before it has connected to the kernel, although it says "Idle", or keeps it
    /// waiting for a kernel that it does not reach. A person sees that nothing happens, and runs it again, after a reload of
    /// the page if it waits; so does this.
    pub async fn write_and_run(&self, code: &str) -> anyhow::Result<()> {
        self.write(code).await?;
        let number = self.cells().await?.saturating_sub(1);
        self.press(|| Key::Shift + Key::Enter).await?;
        for _ in 0..10 {
            match self.look_at(number).await? {
                Progress::Begun => return Ok(()),
                Progress::Dropped => {}
                Progress::Waiting => self.reload().await?,
            }
            self.click_editor(number).await?;
            self.run().await?;
        }
        bail!("the kernel does not take the cell {number}")
    }

    /// What became of a cell that was run: it has begun when its prompt shows a number, or a star while the kernel is busy.
    async fn look_at(&self, number: usize) -> anyhow::Result<Progress> {
        let started = Instant::now();
        let mut waits = false;
        while started.elapsed() < if waits { CONNECTS } else { TAKES } {
            let text = self.prompt(number).await.unwrap_or_default();
            waits = text.contains('*');
            let has_number = text.contains(|character: char| character.is_ascii_digit());
            if has_number || (waits && self.is_busy().await?) {
                return Ok(Progress::Begun);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(if waits {
            Progress::Waiting
        } else {
            Progress::Dropped
        })
    }

    async fn is_busy(&self) -> anyhow::Result<bool> {
        let busy = By::Css(".jp-Notebook-ExecutionIndicator[data-status='busy']");
        Ok(!self.browser.driver().find_all(busy).await?.is_empty())
    }

    /// Saves the notebook and opens the page again.
    async fn reload(&self) -> anyhow::Result<()> {
        self.press(|| Key::Control + "s").await?;
        tokio::time::sleep(SAVES).await;
        timeout(OPENS, self.browser.driver().refresh())
            .await
            .context("the page does not open again")??;
        self.until_idle().await
    }

    /// The number of cells.
    pub async fn cells(&self) -> anyhow::Result<usize> {
        Ok(self
            .browser
            .driver()
            .find_all(By::Css(".jp-Notebook .jp-CodeCell"))
            .await?
            .len())
    }

    /// What stands below the cell of this number, counted from zero, as text.
    pub async fn output(&self, cell: usize) -> anyhow::Result<String> {
        let cell = self.cell(cell).await?;
        let mut text = String::new();
        for part in cell.find_all(By::Css(".jp-OutputArea-output")).await? {
            text.push_str(&part.text().await?);
            text.push('\n');
        }
        Ok(text)
    }

    /// Waits until the output of a cell contains this, and gives the output.
    pub async fn await_output(&self, cell: usize, wanted: &str) -> anyhow::Result<String> {
        let started = Instant::now();
        loop {
            // Outputs are replaced while they are read.
            let text = self.output(cell).await.unwrap_or_default();
            if text.contains(wanted) {
                return Ok(text);
            }
            if started.elapsed() > PATIENCE {
                let picture = self.browser.screenshot("failed-notebook").await?;
                bail!(
                    "{wanted:?} did not appear ({}), but:\n{text}",
                    picture.display()
                );
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The link in the output of a cell, once it is there.
    pub async fn link(&self, cell: usize) -> anyhow::Result<WebElement> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Ok(cell) = self.cell(cell).await
                && let Ok(link) = cell.find(By::Css(".jp-OutputArea-output a[href]")).await
                && link.is_displayed().await.unwrap_or(false)
            {
                return Ok(link);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let picture = self.browser.screenshot("failed-notebook").await?;
        bail!(
            "the cell shows no link ({}): {}",
            picture.display(),
            self.output(cell).await?
        )
    }

    /// Clicks that link.
    pub async fn click_link(&self, cell: usize) -> anyhow::Result<()> {
        unless_stale(async || Ok(self.link(cell).await?.click().await?)).await
    }

    /// Waits until the kernel is idle. A cell that is run before it is ready is silently not run.
    pub async fn until_idle(&self) -> anyhow::Result<()> {
        let idle = ".jp-Notebook-ExecutionIndicator[data-status='idle']";
        self.browser
            .await_element(idle)
            .await
            .context("the kernel is not idle")?;
        Ok(())
    }

    /// Presses the toolbar's Stop button.
    pub async fn interrupt(&self) -> anyhow::Result<()> {
        self.browser
            .click(
                "[data-jp-item-name='interrupt'] jp-button, [data-jp-item-name='interrupt'] button",
            )
            .await
    }

    async fn cell(&self, number: usize) -> anyhow::Result<WebElement> {
        let cells = self
            .browser
            .driver()
            .find_all(By::Css(".jp-Notebook .jp-CodeCell"))
            .await?;
        cells
            .into_iter()
            .nth(number)
            .with_context(|| format!("there is no cell {number}"))
    }

    /// What stands beside the code of a cell: nothing, a star or a number.
    async fn prompt(&self, number: usize) -> anyhow::Result<String> {
        let cell = self.cell(number).await?;
        let prompt = cell.find(By::Css(".jp-InputPrompt")).await?;
        Ok(prompt.text().await?)
    }

    async fn editor(&self, number: usize) -> anyhow::Result<WebElement> {
        let cell = self.cell(number).await?;
        Ok(cell.find(By::Css(".cm-content")).await?)
    }

    async fn click_editor(&self, number: usize) -> anyhow::Result<()> {
        unless_stale(async || {
            let editor = self.editor(number).await?;
            patiently(async || editor.click().await).await
        })
        .await
    }

    async fn type_into(&self, number: usize, keys: impl Fn() -> TypingData) -> anyhow::Result<()> {
        unless_stale(async || {
            let editor = self.editor(number).await?;
            Ok(editor.send_keys(keys()).await?)
        })
        .await
    }

    async fn press(&self, keys: impl Fn() -> TypingData) -> anyhow::Result<()> {
        unless_stale(async || {
            let front = self.browser.driver().active_element().await?;
            Ok(front.send_keys(keys()).await?)
        })
        .await
    }
}
