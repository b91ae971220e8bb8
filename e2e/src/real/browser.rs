//! A headless Chromium with a profile of its own, and what a person does with it.

use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use thirtyfour::error::{WebDriverError, WebDriverErrorInner, WebDriverResult};
use thirtyfour::{
    BrowserCapabilitiesHelper as _, By, ChromiumLikeCapabilities as _, DesiredCapabilities,
    LoggingPrefsLogLevel, WebDriver, WebElement, WindowHandle,
};

use crate::evidence::traffic::Traffic;
use crate::real::keycloak::Person;
use hubkey_fakes::loopback;
use hubkey_starters::jupyterhub::JupyterHub;
use hubkey_starters::process::{Process, RunFolder, Spec, artifacts, free_port};
use hubkey_starters::tools;

const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Without these Chromium talks to hosts of its maker; with the sandbox it does not start for root.
const FLAGS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=OptimizationHints,MediaRouter",
    "--window-size=1280,900",
];

/// One person's browser: cookies and history of its own.
#[derive(Debug)]
pub struct Browser {
    // Never dropped: that would block the test's own runtime, on which the end of the session depends. The end of the
    // process below ends the session as well.
    driver: ManuallyDrop<WebDriver>,
    _chromedriver: Process,
    label: String,
}

impl Browser {
    /// Starts a browser with an empty profile. The label names its log and its screenshots.
    pub async fn start(run: &RunFolder, label: &str) -> anyhow::Result<Self> {
        tools::require(&["chromium", "fonts"])?;
        let port = free_port()?;
        let profile = run.folder(&format!("{label}-profile"))?;
        let mut chromedriver =
            Spec::new(format!("{label}-browser"), tools::program("chromedriver")?)
                .arg(format!("--port={port}"))
                .start(run)?;
        let client = loopback::client()?;
        let status = format!("http://127.0.0.1:{port}/status");
        chromedriver
            .ready(PATIENCE, async || loopback::answers(&client, &status).await)
            .await?;
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(&tools::program("chromium")?.to_string_lossy())?;
        for flag in FLAGS {
            wanted.add_arg(flag)?;
        }
        wanted.add_arg(&format!("--user-data-dir={}", profile.display()))?;
        // ChromeDriver turns the popup blocker off; a person has it on.
        wanted.set_browser_option("excludeSwitches", ["disable-popup-blocking"])?;
        // For tests that ask what the browser complained about, such as a broken policy.
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        // For tests that ask what went over the wire.
        wanted.set_logging_prefs("performance", LoggingPrefsLogLevel::All)?;
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wanted)
            .await
            .context("Chromium did not start")?;
        Ok(Self {
            driver: ManuallyDrop::new(driver),
            _chromedriver: chromedriver,
            label: label.to_owned(),
        })
    }

    /// The WebDriver session, for what has no name here.
    #[must_use]
    pub fn driver(&self) -> &WebDriver {
        &self.driver
    }

    /// What went over the wire since this was last asked, as the browser's own developer tools tell it.
    pub async fn traffic(&self) -> anyhow::Result<Traffic> {
        let entries = self.driver.get_log("performance").await?;
        Ok(Traffic::read(
            entries.iter().map(|entry| entry.message.as_str()),
        ))
    }

    /// Opens an address in the current tab.
    pub async fn open(&self, url: &str) -> anyhow::Result<()> {
        self.driver
            .goto(url)
            .await
            .with_context(|| format!("cannot open {url}"))
    }

    /// The address that the current tab shows.
    pub async fn address(&self) -> anyhow::Result<String> {
        Ok(self.driver.current_url().await?.to_string())
    }

    /// The visible text of the page.
    pub async fn text(&self) -> anyhow::Result<String> {
        Ok(self.driver.find(By::Tag("body")).await?.text().await?)
    }

    /// The HTTP status of the page that is shown.
    pub async fn status(&self) -> anyhow::Result<u16> {
        let script = "return performance.getEntriesByType('navigation')[0].responseStatus";
        let answer = self.driver.execute(script, Vec::new()).await?;
        Ok(answer.convert()?)
    }

    /// The page's title.
    pub async fn title(&self) -> anyhow::Result<String> {
        Ok(self.driver.title().await?)
    }

    /// Waits until an element of this CSS selector is visible.
    pub async fn await_element(&self, selector: &str) -> anyhow::Result<WebElement> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            // Between two pages every question fails.
            for element in self
                .driver
                .find_all(By::Css(selector))
                .await
                .unwrap_or_default()
            {
                if element.is_displayed().await.unwrap_or(false) {
                    return Ok(element);
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        bail!("{selector} did not appear. {}", self.state("missing").await)
    }

    /// Waits until the page's text contains this, and gives the text.
    pub async fn await_text(&self, wanted: &str) -> anyhow::Result<String> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            // Between two pages there may be no body.
            if let Ok(text) = self.text().await
                && text.contains(wanted)
            {
                return Ok(text);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        bail!(
            "the text {wanted:?} did not appear. {}",
            self.state("missing").await
        )
    }

    /// Clicks the first visible element of this CSS selector, once there is one.
    pub async fn click(&self, selector: &str) -> anyhow::Result<()> {
        unless_stale(async || {
            let element = self.await_element(selector).await?;
            patiently(async || element.click().await).await
        })
        .await
        .with_context(|| format!("cannot click {selector}"))
    }

    /// Types into a field.
    pub async fn fill(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        unless_stale(async || {
            let field = self.await_element(selector).await?;
            patiently(async || field.clear().await).await?;
            Ok(field.send_keys(text).await?)
        })
        .await
        .with_context(|| format!("cannot type into {selector}"))
    }

    /// Saves what the current tab shows as `e2e/artifacts/<name>.png`, and says where.
    pub async fn screenshot(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = artifacts().join(format!("{name}.png"));
        std::fs::create_dir_all(artifacts())?;
        self.driver.screenshot(&path).await?;
        Ok(path)
    }

    /// The tab that is in front.
    pub async fn tab(&self) -> anyhow::Result<WindowHandle> {
        Ok(self.driver.window().await?)
    }

    /// Goes to another tab.
    pub async fn switch_to(&self, tab: &WindowHandle) -> anyhow::Result<()> {
        Ok(self.driver.switch_to_window(tab.clone()).await?)
    }

    /// Does something that opens a new tab, and goes there. Gives the tab that was in front before.
    pub async fn in_new_tab(
        &self,
        opening: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<WindowHandle> {
        let before = self.driver.windows().await?;
        let front = self.tab().await?;
        opening().await?;
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let now = self.driver.windows().await?;
            if let Some(new) = now.into_iter().find(|tab| !before.contains(tab)) {
                self.switch_to(&new).await?;
                return Ok(front);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        bail!("no new tab opened. {}", self.state("no-tab").await)
    }

    /// Closes the current tab, if it has not closed itself, and goes to another one.
    pub async fn close_tab(&self, then: &WindowHandle) -> anyhow::Result<()> {
        let open = self.driver.windows().await?;
        if let Ok(current) = self.tab().await
            && current != *then
            && open.contains(&current)
        {
            self.driver.close_window().await?;
        }
        self.switch_to(then).await
    }

    /// Signs in to the hub, and stays on its page of servers.
    pub async fn sign_in_to_hub(&self, hub: &JupyterHub, user: &str) -> anyhow::Result<()> {
        self.open(&format!("{}/hub/login?next=%2Fhub%2Fhome", hub.url()))
            .await?;
        self.fill_hub_form(user).await?;
        self.await_element("#logout, a[href$='/hub/logout']")
            .await?;
        Ok(())
    }

    /// Fills in and sends the hub's sign-in form, which the tab shows.
    pub async fn fill_hub_form(&self, user: &str) -> anyhow::Result<()> {
        self.fill("#username_input", user).await?;
        self.fill("#password_input", JupyterHub::PASSWORD).await?;
        self.click("#login_submit").await
    }

    /// Fills in and sends Keycloak's sign-in form, once the tab shows it.
    pub async fn sign_in_at_keycloak(&self, person: &Person) -> anyhow::Result<()> {
        self.fill("#username", &person.name).await?;
        self.fill("#password", &person.password).await?;
        self.click("#kc-login").await
    }

    /// On the page that names both accounts: chooses "Connect".
    pub async fn confirm(&self) -> anyhow::Result<()> {
        self.click("button[name=decision][value=accept]").await
    }

    /// On a page of callback-server that asks something: chooses "Cancel".
    pub async fn cancel(&self) -> anyhow::Result<()> {
        self.click("button[name=decision][value=cancel]").await
    }

    /// Ends the session. Dropping the browser ends its processes in any case.
    pub async fn quit(self) {
        // What matters is that it is gone, and the process's end makes sure of that.
        let _ = WebDriver::clone(&self.driver).quit().await;
    }

    /// What a failed wait says: where the browser is and what it shows.
    async fn state(&self, what: &str) -> String {
        let address = self.address().await.unwrap_or_default();
        // Codes and states are in the query; what a failed test says may end in a log.
        let address = address.split('?').next().unwrap_or_default();
        let text = self.text().await.unwrap_or_default();
        let picture = self
            .screenshot(&format!("failed-{}-{what}", self.label))
            .await;
        let picture = picture.map_or_else(|_| "none".to_owned(), |path| path.display().to_string());
        let start: String = text.chars().take(600).collect();
        format!("The tab shows {address} (screenshot: {picture}):\n{start}")
    }
}

/// Does something to an element again, as a person would, while the page is still in motion: the element is there, and
/// is covered or has no place yet.
pub(crate) async fn patiently(action: impl AsyncFn() -> WebDriverResult<()>) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let Err(error) = action().await else {
            return Ok(());
        };
        let in_motion = matches!(
            error.as_inner(),
            WebDriverErrorInner::ElementNotInteractable(_)
                | WebDriverErrorInner::ElementClickIntercepted(_)
        );
        if !in_motion || started.elapsed() > PATIENCE {
            return Err(error.into());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Looks an element up again where the page has replaced it between the look and what was to be done with it. Nothing was
/// done then.
pub(crate) async fn unless_stale<T>(
    action: impl AsyncFn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        match action().await {
            Err(error) if is_stale(&error) && started.elapsed() < PATIENCE => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            result => return result,
        }
    }
}

fn is_stale(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let driver = cause.downcast_ref::<WebDriverError>();
        driver.is_some_and(|error| {
            matches!(
                error.as_inner(),
                WebDriverErrorInner::StaleElementReference(_)
            )
        })
    })
}
