//! A sign-in link in the hands of another person, or in another browser of the same one.

use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::kernel::Kernel;
use hubkey_e2e::real::sign_in::Page;

use crate::support::{CONNECT, Guest, LONG, Outcome};

/// A person whose kernel waits, with its link.
async fn waiting() -> anyhow::Result<(Guest, Kernel, String)> {
    let guest = Guest::new().await?;
    let mut kernel = guest.kernel().await?;
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    Ok((guest, kernel, link))
}

/// A browser of this person that is signed in to the hub.
async fn at_the_hub(guest: &Guest) -> anyhow::Result<Browser> {
    let browser = guest.other_browser().await?;
    browser
        .sign_in_to_hub(&guest.stack.hub, guest.name())
        .await?;
    Ok(browser)
}

/// Goes with a browser as far as the provider's sign-in form, and gives the address there.
async fn authorize_address(guest: &Guest, link: &str) -> anyhow::Result<String> {
    let browser = at_the_hub(guest).await?;
    browser.open(link).await?;
    browser.await_element("#kc-login").await?;
    let address = browser.address().await?;
    browser.quit().await;
    Ok(address)
}

async fn codes_redeemed(guest: &Guest) -> anyhow::Result<usize> {
    guest.stack.keycloak.codes_redeemed(&guest.person).await
}

async fn raised(kernel: &mut Kernel) -> anyhow::Result<String> {
    let output = kernel.finish(LONG).await?;
    Ok(output.error.map(|(class, _)| class).unwrap_or_default())
}

#[tokio::test]
async fn security_b1_a_link_of_another_user_is_refused_and_burned() -> Outcome {
    let alice = Guest::new().await?;
    let (mallory, mut kernel, link) = waiting().await?;
    let hers = at_the_hub(&alice).await?;
    let met = hers.open_sign_in(&link, &alice.person).await?;
    assert_eq!(met, [Page::Refused]);
    let text = hers.text().await?;
    assert!(!text.contains(mallory.name()), "it names somebody: {text}");
    assert_eq!(raised(&mut kernel).await?, "SignInDenied");
    let his = at_the_hub(&mallory).await?;
    let met = his.open_sign_in(&link, &mallory.person).await?;
    assert_eq!(met, [Page::Refused]);
    assert_eq!(codes_redeemed(&alice).await?, 0);
    Ok(())
}

#[tokio::test]
async fn security_b2_an_authorize_address_of_another_browser_leads_nowhere() -> Outcome {
    let alice = Guest::new().await?;
    let (mallory, mut kernel, link) = waiting().await?;
    let captured = authorize_address(&mallory, &link).await?;
    let hers = at_the_hub(&alice).await?;
    hers.open(&captured).await?;
    let met = hers.go_through_sign_in(&alice.person).await?;
    assert_eq!(met, [Page::ProviderSignIn, Page::Refused]);
    assert_eq!(codes_redeemed(&alice).await?, 0);
    assert_eq!(raised(&mut kernel).await?, "SignInDenied");
    Ok(())
}

#[tokio::test]
async fn security_b3_a_second_browser_of_the_same_user_is_refused() -> Outcome {
    let (guest, _kernel, link) = waiting().await?;
    let captured = authorize_address(&guest, &link).await?;
    let second = at_the_hub(&guest).await?;
    second.open(&captured).await?;
    let met = second.go_through_sign_in(&guest.person).await?;
    assert_eq!(met, [Page::ProviderSignIn, Page::Refused]);
    assert_eq!(codes_redeemed(&guest).await?, 0);
    Ok(())
}
