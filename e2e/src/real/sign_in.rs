//! The browser's half of one sign-in, as the person does it who clicked the link.

use std::time::{Duration, Instant};

use anyhow::bail;
use thirtyfour::By;

use crate::real::browser::Browser;
use crate::real::keycloak::Person;

const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A page that the person met on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The hub's sign-in form.
    HubSignIn,
    /// "Sign in to … ?" before the provider.
    Start,
    /// The provider's sign-in form.
    ProviderSignIn,
    /// The sign-in form of the second provider, where any name is right.
    SecondSignIn,
    /// What the second provider asks then.
    SecondConsent,
    /// The page that names both accounts.
    Confirm,
    /// "You can close this tab."
    Done,
    /// Any page that ends the sign-in otherwise.
    Refused,
}

/// By what a page is known: the first of these that is on it.
const SIGNS: [(&str, Page); 8] = [
    ("#login_submit", Page::HubSignIn),
    ("#kc-login", Page::ProviderSignIn),
    ("form input[name=login]", Page::SecondSignIn),
    ("input[name=prompt][value=consent]", Page::SecondConsent),
    (
        "form[action*='/confirm/'] button[value=accept]",
        Page::Confirm,
    ),
    (
        "form[action*='/continue/'] button[value=accept]",
        Page::Start,
    ),
    ("footer .reference", Page::Refused),
    ("main h1", Page::Done),
];

impl Browser {
    /// Goes through a whole sign-in that has begun in the current tab: fills in the forms, confirms, and stays on
    /// the page at the end. Gives the pages that were met, the last of which is [`Page::Done`] or [`Page::Refused`].
    pub async fn go_through_sign_in(&self, person: &Person) -> anyhow::Result<Vec<Page>> {
        self.go_through_sign_in_until(person, Page::Done).await
    }

    /// The same, but stops at the first page of a kind, before anything is done on it.
    pub async fn go_through_sign_in_until(
        &self,
        person: &Person,
        stop: Page,
    ) -> anyhow::Result<Vec<Page>> {
        let mut met = Vec::new();
        loop {
            let page = self.next_page(met.last().copied()).await?;
            met.push(page);
            if page == stop || matches!(page, Page::Done | Page::Refused) {
                return Ok(met);
            }
            self.act_on(page, person).await?;
        }
    }

    /// Waits for the page after `before`, lets `look` see it, and does what a person does there.
    pub async fn step_of_sign_in(
        &self,
        person: &Person,
        before: Option<Page>,
        look: impl AsyncFnOnce(Page) -> anyhow::Result<()>,
    ) -> anyhow::Result<Page> {
        let page = self.next_page(before).await?;
        look(page).await?;
        self.act_on(page, person).await?;
        Ok(page)
    }

    async fn act_on(&self, page: Page, person: &Person) -> anyhow::Result<()> {
        match page {
            Page::HubSignIn => self.fill_hub_form(&person.name).await,
            Page::ProviderSignIn => self.sign_in_at_keycloak(person).await,
            Page::SecondSignIn => {
                self.fill("input[name=login]", &person.name).await?;
                self.fill("input[name=password]", "any").await?;
                self.click("button[type=submit]").await
            }
            Page::SecondConsent => self.click("button[type=submit]").await,
            Page::Start | Page::Confirm => self.confirm().await,
            Page::Done | Page::Refused => Ok(()),
        }
    }

    /// Opens a sign-in link in the current tab and goes through the sign-in.
    pub async fn open_sign_in(&self, link: &str, person: &Person) -> anyhow::Result<Vec<Page>> {
        self.open(link).await?;
        self.go_through_sign_in(person).await
    }

    /// Waits for a page that is known and is not the one that was just dealt with.
    async fn next_page(&self, before: Option<Page>) -> anyhow::Result<Page> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(page) = self.current_page().await
                && Some(page) != before
            {
                return Ok(page);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let picture = self.screenshot("failed-sign-in").await?;
        let text = self.text().await.unwrap_or_default();
        bail!(
            "the sign-in stands still after {before:?} ({}):\n{text}",
            picture.display()
        )
    }

    /// Which page of a sign-in the tab shows, if any.
    pub async fn current_page(&self) -> Option<Page> {
        for (selector, page) in SIGNS {
            if self.driver().find(By::Css(selector)).await.is_err() {
                continue;
            }
            let done = || async {
                self.text()
                    .await
                    .is_ok_and(|text| text.contains("close this tab"))
            };
            if page != Page::Done || done().await {
                return Some(page);
            }
        }
        None
    }
}
