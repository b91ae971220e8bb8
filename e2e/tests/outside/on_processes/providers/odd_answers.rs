//! Providers whose answers are unusual, at the hostile provider: what reaches a kernel and a browser of them.

use anyhow::Context as _;
use hubkey_e2e::evidence::traffic::parameter;
use hubkey_e2e::real::sign_in::Page;
use hubkey_fakes::hostile_provider::{Account, Endpoint, HostileProvider};
use serde_json::json;

use crate::support::{Guest, HOUSE, LONG, Outcome, hostile};

/// An account that is nobody else's: it is pinned to its hub user.
fn account(guest: &Guest) -> Account {
    Account::new(&format!("op-{}", guest.name()))
}

const BRIEF: &str = r#"import hubkey
odd = await hubkey.connect("hostile")
print(odd.expires_at, odd.refreshable, "renews" in str(odd), bool(odd.token), "." in odd.token)
again = await hubkey.connect("hostile")
print(again.token == odd.token, odd.status().broker)"#;

/// No `expires_in`, and no refresh token: what some providers answer without their own words for it.
#[tokio::test]
async fn feature_g2_feature_f7_feature_f8_a_token_without_an_end_and_a_successor_is_used_and_said_to_be_so()
-> Outcome {
    let guest = Guest::new().await?;
    let (provider, _turn) = hostile().await?;
    provider.sign_in_as(account(&guest));
    provider.token_responses(|answer| {
        let answer = answer.as_object_mut().expect("an object");
        answer.retain(|name, _| !["expires_in", "refresh_token"].contains(&name.as_str()));
    });
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    let said = guest.run_and_sign_in(&mut kernel, &browser, BRIEF).await?;
    assert!(said.contains("None False False True False"), "{said}");
    assert!(said.lines().any(|line| line == "True connected"), "{said}");
    Ok(())
}

const MARKUP: &str = "\"><script>document.title='owned'</script>";
const PICTURE: &str = r#"import hubkey
odd = await hubkey.connect("hostile")
who = odd.userinfo()
print([who["picture"], who["name"]] == WANTED)
odd"#;

#[tokio::test]
async fn feature_k3_name_and_picture_come_as_they_are_and_no_card_takes_them_for_markup() -> Outcome
{
    let guest = Guest::new().await?;
    let (provider, _turn) = hostile().await?;
    let mut account = account(&guest)
        .claim("name", MARKUP)
        .claim("picture", MARKUP);
    // A card names the address where there is one.
    account.claims.remove("email");
    provider.sign_in_as(account);
    let wanted = json!([MARKUP, MARKUP]).to_string();
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    kernel.begin(&PICTURE.replace("WANTED", &wanted)).await?;
    let link = kernel.link().await?;
    guest.sign_in(&browser, &link).await?;
    let output = kernel.finish(LONG).await?;
    assert!(!output.html().contains("<script"), "{}", output.html());
    assert!(output.html().contains("&lt;script"), "{}", output.html());
    let said = output.ok()?;
    assert!(said.lines().any(|line| line == "True"), "{said}");
    assert_ne!(browser.title().await?, "owned");
    Ok(())
}

/// Where a sign-in at the provider with a rule about addresses ends, with the page's status.
async fn at_the_house(guest: &Guest, email: Option<&str>) -> anyhow::Result<(Page, u16, String)> {
    let (provider, _turn) = hostile().await?;
    let mut account = account(guest);
    account.claims.remove("email");
    if let Some(email) = email {
        account = account.claim("email", email);
    }
    provider.sign_in_as(account);
    let (api, browser) = (guest.api()?, guest.other_browser().await?);
    let opened = api.open(HOUSE).await?;
    let met = browser.open_sign_in(&opened.link, &guest.person).await?;
    let authorize = browser.traffic().await?.to("/authorize");
    let authorize = authorize.context("nobody went to the provider")?;
    for (name, value) in [("access_type", "offline"), ("prompt", "consent")] {
        assert_eq!(
            parameter(&authorize, name).as_deref(),
            Some(value),
            "{name}"
        );
    }
    let last = *met.last().context("no page")?;
    let (state, _) = api.result(&opened).await?;
    Ok((last, browser.status().await?, state))
}

#[tokio::test]
async fn feature_g4_feature_a11_feature_f8_a_rule_about_addresses_holds_and_words_are_sent_unchanged()
-> Outcome {
    let guest = Guest::new().await?;
    for wrong in [
        None,
        Some("somebody@elsewhere.example"),
        Some("somebody@house.example.elsewhere.example"),
    ] {
        let (page, status, state) = at_the_house(&guest, wrong).await?;
        assert_eq!((page, status), (Page::Refused, 403), "{wrong:?}");
        assert_eq!(state, "denied", "{wrong:?}");
    }
    assert!(guest.api()?.connections().await?.is_empty());
    let (page, _, state) = at_the_house(&guest, Some("somebody@house.example")).await?;
    assert_eq!((page, &*state), (Page::Done, "connected"));
    Ok(())
}

const AUDIENCES: &str = r#"import asyncio, hubkey
async def all():
    return await asyncio.gather(*[hubkey.connect("hostile", audience=name) for name in ("tools", "workshop")])
first = await all()
print("connected")
again = await all()
assert [one.token for one in again] == [one.token for one in first]
print(len({one.token for one in first}), len(await hubkey.connections()))"#;

/// The audiences of all codes that were redeemed.
fn audiences(provider: &HostileProvider) -> Vec<String> {
    let requests = provider.requests(Endpoint::Token).into_iter();
    let mut names: Vec<_> = requests
        .filter_map(|request| request.form_value("audience"))
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn need_7_feature_a10_two_audiences_at_once_have_a_token_each_and_keep_it() -> Outcome {
    let guest = Guest::new().await?;
    let (provider, _turn) = hostile().await?;
    provider.sign_in_as(account(&guest));
    provider.forget_requests();
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    kernel.begin(AUDIENCES).await?;
    let first = kernel.link().await?;
    guest.sign_in(&browser, &first).await?;
    let mut second = kernel.link().await?;
    while second == first {
        second = kernel.link().await?;
    }
    guest.sign_in(&browser, &second).await?;
    let said = kernel.finish(LONG).await?.ok()?;
    assert!(said.lines().any(|line| line == "2 2"), "{said}");
    assert_eq!(audiences(provider), ["tools", "workshop"]);
    assert_eq!(guest.api()?.connections().await?.len(), 2);
    Ok(())
}
