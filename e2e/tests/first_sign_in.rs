//! The first sign-in from outside: a kernel of the real hub, a real browser, the real provider.

use std::time::{Duration, Instant};

use hubkey_e2e::browser::Browser;
use hubkey_e2e::kernel::{Audience, Kernel};
use hubkey_e2e::sign_in::Page;
use hubkey_e2e::stack::Stack;

type Outcome = anyhow::Result<()>;

const CONNECT: &str = "import hubkey, httpx, os\n\
    lab = await hubkey.connect('lab-api')\n\
    print(httpx.get(os.environ['LAB_API'] + '/projects', auth=lab).json())";

#[tokio::test]
async fn feature_a1_the_statement_after_connect_uses_the_token() -> Outcome {
    let stack = Stack::shared().await?;
    let person = stack.new_person().await?;
    stack.hub.start_server(&person.name, "").await?;
    let mut kernel = Kernel::start(&stack.hub, &person.name, "").await?;
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    let browser = Browser::start(&stack.run, &person.name).await?;
    let met = browser.open_sign_in(&link, &person).await?;
    assert_eq!(
        met,
        [
            Page::HubSignIn,
            Page::ProviderSignIn,
            Page::Confirm,
            Page::Done
        ]
    );
    let output = kernel.finish(Duration::from_secs(20)).await?.ok()?;
    assert!(
        output.contains("'caller': '") && output.contains("aurora"),
        "{output}"
    );

    // feature A13: valid already, so no link, and at once.
    let started = Instant::now();
    let again = kernel.run(CONNECT).await?;
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    assert!(!again.html().contains("href"), "{}", again.html());
    assert!(again.ok()?.contains("aurora"));

    // feature A14: a second notebook of the same server needs no link.
    let mut second = Kernel::start(&stack.hub, &person.name, "").await?;
    let shared = second.run(CONNECT).await?;
    assert!(!shared.html().contains("href"), "{}", shared.html());
    assert!(shared.ok()?.contains("aurora"));
    browser.quit().await;
    Ok(())
}

#[tokio::test]
async fn feature_a14_another_user_never_gets_the_token() -> Outcome {
    let stack = Stack::shared().await?;
    let (person, other) = (stack.new_person().await?, stack.new_person().await?);
    stack.hub.start_server(&person.name, "").await?;
    stack.hub.start_server(&other.name, "").await?;
    let mut kernel = Kernel::start(&stack.hub, &person.name, "").await?;
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    let browser = Browser::start(&stack.run, &other.name).await?;
    browser.sign_in_to_hub(&stack.hub, &other.name).await?;
    let met = browser.open_sign_in(&link, &other).await?;
    assert_eq!(met, [Page::Refused]);
    let output = kernel.finish(Duration::from_secs(20)).await?;
    assert_eq!(
        output.error.as_ref().map(|error| error.0.as_str()),
        Some("SignInDenied")
    );
    let mut theirs = Kernel::start(&stack.hub, &other.name, "").await?;
    theirs.begin(CONNECT).await?;
    assert_ne!(theirs.link().await?, link);
    browser.quit().await;
    Ok(())
}

#[tokio::test]
async fn need_12_a_notebook_without_a_person_is_told_at_once() -> Outcome {
    let stack = Stack::shared().await?;
    let person = stack.new_person().await?;
    stack.hub.start_server(&person.name, "").await?;
    let audience = Audience::Nobody;
    let mut kernel = Kernel::start_for(&stack.hub, &person.name, "", audience).await?;
    let started = Instant::now();
    let output = kernel.run(CONNECT).await?;
    assert_eq!(
        output.error.as_ref().map(|error| error.0.as_str()),
        Some("SignInRequired")
    );
    assert!(started.elapsed() < Duration::from_secs(5));
    Ok(())
}
