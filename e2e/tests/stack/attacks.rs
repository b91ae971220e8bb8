//! Two hub users, one of them with bad intentions, each with a browser of their own.

use hubkey_e2e::browser::Browser;
use hubkey_e2e::keycloak::Person;
use hubkey_e2e::process;
use hubkey_e2e::sign_in::Page;
use hubkey_e2e::stack::Stack;
use serde_json::Value;

use crate::support::{Outcome, SOON, Seat, raised};

#[tokio::test]
async fn security_b1_a_link_of_another_user_is_refused_and_burned() -> Outcome {
    let (alice, mut mallory) = (Seat::take().await?, Seat::take().await?);
    let link = mallory.begin().await?;
    let hers = alice.browser().await?;
    hers.sign_in_to_hub(&alice.stack.hub, &alice.person.name)
        .await?;
    let met = hers.open_sign_in(&link, &alice.person).await?;
    assert_eq!(met, [Page::Refused]);
    let text = hers.text().await?;
    assert!(
        !text.contains(&*mallory.person.name),
        "the page names somebody: {text}"
    );
    assert_eq!(raised(&mallory.kernel.finish(SOON).await?), "SignInDenied");
    let his = mallory.browser().await?;
    his.sign_in_to_hub(&mallory.stack.hub, &mallory.person.name)
        .await?;
    assert_eq!(
        his.open_sign_in(&link, &mallory.person).await?,
        [Page::Refused]
    );
    assert_eq!(codes_redeemed(alice.stack, &alice.person).await?, 0);
    hers.quit().await;
    his.quit().await;
    Ok(())
}

#[tokio::test]
async fn security_b2_an_authorize_address_of_another_browser_leads_nowhere() -> Outcome {
    let (alice, mut mallory) = (Seat::take().await?, Seat::take().await?);
    let link = mallory.begin().await?;
    let his = mallory.browser().await?;
    let captured = authorize_address(&mallory, &his, &link).await?;
    let hers = alice.browser().await?;
    hers.sign_in_to_hub(&alice.stack.hub, &alice.person.name)
        .await?;
    hers.open(&captured).await?;
    let met = hers.go_through_sign_in(&alice.person).await?;
    assert_eq!(met, [Page::ProviderSignIn, Page::Refused]);
    assert_eq!(codes_redeemed(alice.stack, &alice.person).await?, 0);
    assert_eq!(raised(&mallory.kernel.finish(SOON).await?), "SignInDenied");
    his.quit().await;
    hers.quit().await;
    Ok(())
}

#[tokio::test]
async fn security_b3_a_second_browser_of_the_same_user_is_refused() -> Outcome {
    let mut seat = Seat::take().await?;
    let link = seat.begin().await?;
    let first = seat.browser().await?;
    let captured = authorize_address(&seat, &first, &link).await?;
    let second = Browser::start(&seat.stack.run, &format!("{}-second", seat.person.name)).await?;
    second
        .sign_in_to_hub(&seat.stack.hub, &seat.person.name)
        .await?;
    second.open(&captured).await?;
    let met = second.go_through_sign_in(&seat.person).await?;
    assert_eq!(met, [Page::ProviderSignIn, Page::Refused]);
    assert_eq!(codes_redeemed(seat.stack, &seat.person).await?, 0);
    first.quit().await;
    second.quit().await;
    Ok(())
}

/// Mallory's cookies, of the hub and of the flow, are in alice's browser: what a server of his on the hub's origin
/// can plant. Her account at the provider is not connected yet, so the page must name whose notebook it would serve.
#[tokio::test]
async fn security_b4_planted_cookies_end_at_a_page_that_names_both_accounts() -> Outcome {
    let (alice, mut mallory) = (Seat::take().await?, Seat::take().await?);
    let hers = planted(&alice, &mut mallory).await?;
    let met = hers
        .go_through_sign_in_until(&alice.person, Page::Confirm)
        .await?;
    assert_eq!(met.last(), Some(&Page::Confirm), "{met:?}");
    let text = hers.text().await?;
    assert!(
        text.contains(&*mallory.person.name) && text.contains(&*alice.person.email),
        "{text}"
    );
    hers.cancel().await?;
    hers.await_text("You cancelled").await?;
    assert_eq!(raised(&mallory.kernel.finish(SOON).await?), "SignInDenied");
    hers.quit().await;
    Ok(())
}

/// The same, but alice's account is connected to her: nobody else gets it, whatever anybody clicks.
#[tokio::test]
async fn security_b4_planted_cookies_never_move_an_account_that_is_pinned() -> Outcome {
    let (mut alice, mut mallory) = (Seat::take().await?, Seat::take().await?);
    let own = alice.browser().await?;
    alice.sign_in(&own).await?;
    own.quit().await;
    let hers = planted(&alice, &mut mallory).await?;
    let met = hers.go_through_sign_in(&alice.person).await?;
    assert_eq!(met.last(), Some(&Page::Refused), "{met:?}");
    assert_eq!(raised(&mallory.kernel.finish(SOON).await?), "SignInDenied");
    hers.quit().await;
    Ok(())
}

/// A browser of alice with all of mallory's cookies, on the way to the provider in a sign-in of mallory.
async fn planted(alice: &Seat, mallory: &mut Seat) -> anyhow::Result<Browser> {
    let link = mallory.begin().await?;
    let his = mallory.browser().await?;
    let captured = authorize_address(mallory, &his, &link).await?;
    his.open(mallory.stack.public_url()).await?;
    let mut cookies = his.cookies().await?;
    his.open(&format!("{}/hub/home", mallory.stack.hub.url()))
        .await?;
    cookies.extend(his.cookies().await?);
    his.quit().await;
    let label = format!("{}-planted", alice.person.name);
    let hers = Browser::start(&alice.stack.run, &label).await?;
    hers.plant(&cookies).await?;
    hers.open(&captured).await?;
    Ok(hers)
}

/// Goes with a browser as far as the provider's sign-in form, and gives the address there.
async fn authorize_address(seat: &Seat, browser: &Browser, link: &str) -> anyhow::Result<String> {
    browser
        .sign_in_to_hub(&seat.stack.hub, &seat.person.name)
        .await?;
    browser.open(link).await?;
    browser.await_element("#kc-login").await?;
    browser.address().await
}

/// How many codes of this person the provider has redeemed.
async fn codes_redeemed(stack: &Stack, person: &Person) -> anyhow::Result<usize> {
    let client = process::client()?;
    let token = stack.keycloak.admin_token().await?;
    let ask = async |path: String| -> anyhow::Result<Value> {
        let url = format!("{}{path}", stack.keycloak.admin_api());
        Ok(client
            .get(url)
            .bearer_auth(&token)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?)
    };
    let users = ask(format!("/users?exact=true&username={}", person.name)).await?;
    let id = users[0]["id"].as_str().unwrap_or_default();
    assert!(!id.is_empty(), "Keycloak does not know {}", person.name);
    let events = ask(format!(
        "/events?type=CODE_TO_TOKEN&type=CODE_TO_TOKEN_ERROR&user={id}"
    ))
    .await?;
    Ok(events.as_array().map_or(0, Vec::len))
}
