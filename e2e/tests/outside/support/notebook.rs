//! A cell in JupyterLab, and the way through its link.

use std::time::{Duration, Instant};

use anyhow::bail;
use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::notebook::Notebook;
use hubkey_e2e::real::sign_in::Page;

use super::{Guest, Outcome};

pub(crate) const CELL: &str = r#"import hubkey
lab = await hubkey.connect("lab-api")
[lab.account.email, lab]"#;

/// Clicks the link of the first cell and goes through the sign-in in the tab that it opens.
pub(crate) async fn click_and_sign_in(
    guest: &Guest,
    browser: &Browser,
    notebook: &Notebook<'_>,
) -> Outcome {
    let lab = browser
        .in_new_tab(async || notebook.click_link(0).await)
        .await?;
    let mut last = None;
    // The page at the end may be gone before it is looked at: it closes its tab.
    while last != Some(Page::Confirm) {
        last = Some(
            browser
                .step_of_sign_in(&guest.person, last, async |_| Ok(()))
                .await?,
        );
    }
    let started = Instant::now();
    while browser.driver().windows().await?.len() > 1 {
        if started.elapsed() > Duration::from_secs(30) {
            bail!("the tab did not close itself: {}", browser.text().await?);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    browser.switch_to(&lab).await
}
