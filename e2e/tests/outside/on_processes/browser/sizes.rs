//! Long codes in a real browser, on the way that the stack gives it.

use hubkey_e2e::real::sign_in::Page;
use hubkey_fakes::hostile_provider::Account;

use crate::support::{Guest, HOSTILE, Outcome, hostile};

#[tokio::test]
async fn found_c1_a_long_code_signs_in_and_a_longer_one_ends_both_in_a_real_browser() -> Outcome {
    let guest = Guest::new().await?;
    let (provider, _turn) = hostile().await?;
    provider.sign_in_as(Account::new(&format!("op-{}", guest.name())));
    let (api, browser) = (guest.api()?, guest.browser().await?);
    for length in [8193, 11_000] {
        provider.capabilities().use_codes_of(length);
        let opened = api.open(HOSTILE).await?;
        let met = browser.open_sign_in(&opened.link, &guest.person).await?;
        assert_eq!(met.last(), Some(&Page::Refused));
        let page = browser.text().await?;
        assert!(
            page.contains("The answer of The hostile is too long"),
            "{page}"
        );
        let (state, answer) = api.result(&opened).await?;
        assert_eq!(state, "failed");
        assert_eq!(answer["reason"], "answer_too_long");
    }
    provider.capabilities().use_codes_of(8192);
    let opened = api.open(HOSTILE).await?;
    guest.sign_in(&browser, &opened.link).await?;
    assert_eq!(api.result(&opened).await?.0, "connected");
    Ok(())
}
