//! The kernel while it waits: its time is over, Stop is pressed, the person is late.

use std::time::{Duration, Instant};

use hubkey_e2e::real::kernel::{Audience, Kernel};

use crate::support::{CONNECT, Guest, LONG, Outcome, last_line};

const FIVE_SECONDS: &str = r#"import hubkey, time
began = time.monotonic()
try:
    await hubkey.connect("lab-api", timeout=5)
except hubkey.SignInTimeout as error:
    print(isinstance(error, TimeoutError), time.monotonic() - began)"#;

#[tokio::test]
async fn feature_k6_nobody_comes_within_five_seconds() -> Outcome {
    let guest = Guest::new().await?;
    let mut kernel = guest.kernel().await?;
    let output = kernel.run(FIVE_SECONDS).await?;
    assert!(!output.html().contains("href="), "the link is gone");
    let text = output.ok()?;
    let line = text.lines().find(|line| line.starts_with("True ")).unwrap();
    let seconds: f64 = line["True ".len()..].parse()?;
    assert!(
        (4.0..=6.0).contains(&seconds),
        "the wait took {seconds} s in place of 5"
    );
    Ok(())
}

#[tokio::test]
async fn feature_k6_need_13_stop_ends_the_wait_and_the_link() -> Outcome {
    let guest = Guest::new().await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stopped = Instant::now();
    kernel.interrupt().await?;
    let output = kernel.finish(LONG).await?;
    let took = stopped.elapsed();
    let class = output.error.clone().unwrap().0;
    assert!(
        ["KeyboardInterrupt", "CancelledError"].contains(&class.as_str()),
        "{class}"
    );
    assert!(took < Duration::from_secs(3), "Stop took {took:?}");
    assert!(!output.html().contains("href="), "the link is gone");
    assert_eq!(last_line(&kernel.run("print(6 * 7)").await?.ok()?), "42");
    // The broker is told beside the kernel's next steps.
    let started = Instant::now();
    while !guest.audited("sign_in_cancelled") && started.elapsed() < LONG {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    browser
        .sign_in_to_hub(&guest.stack.hub, guest.name())
        .await?;
    browser.open(&link).await?;
    browser
        .await_text("This sign-in link does not work")
        .await?;
    Ok(())
}

#[tokio::test]
async fn feature_k7_a_sign_in_that_is_finished_late_is_found_by_the_next_connect() -> Outcome {
    let guest = Guest::new().await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    let brief = "import hubkey\nawait hubkey.connect('lab-api', timeout=2)";
    kernel.begin(brief).await?;
    let link = kernel.link().await?;
    let error = kernel.finish(LONG).await?.error.unwrap();
    assert_eq!(error.0, "SignInTimeout");
    guest.sign_in(&browser, &link).await?;
    let output = kernel.run(CONNECT).await?;
    assert!(!output.everything.contains("href"), "{}", output.everything);
    output.ok()?;
    Ok(())
}

#[tokio::test]
async fn need_12_a_notebook_without_a_person_is_told_at_once() -> Outcome {
    let guest = Guest::new().await?;
    let hub = &guest.stack.hub;
    let mut kernel = Kernel::start_for(hub, guest.name(), "", Audience::Nobody).await?;
    let started = Instant::now();
    let error = kernel.run(CONNECT).await?.error.unwrap();
    assert_eq!(error.0, "SignInRequired");
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    Ok(())
}

#[tokio::test]
async fn need_12_a_notebook_without_a_person_uses_what_was_granted_before() -> Outcome {
    let (guest, _kernel, _browser) = Guest::connected().await?;
    let hub = &guest.stack.hub;
    let mut kernel = Kernel::start_for(hub, guest.name(), "", Audience::Nobody).await?;
    let output = kernel.run(CONNECT).await?;
    assert!(!output.everything.contains("href"), "{}", output.everything);
    output.ok()?;
    assert_eq!(last_line(&kernel.run(CALL).await?.ok()?), "200");
    Ok(())
}

const CALL: &str = r#"import httpx, os
print(httpx.get(os.environ["LAB_API"] + "/projects", auth=lab).status_code)"#;

#[tokio::test]
async fn need_13_a_kernel_that_was_restarted_is_connected_again_without_a_link() -> Outcome {
    let (_guest, mut kernel, _browser) = Guest::connected().await?;
    kernel.run("before = 1").await?.ok()?;
    kernel.restart().await?;
    let forgotten = kernel.run("before").await?.error.unwrap();
    assert_eq!(forgotten.0, "NameError");
    let output = kernel.run(CONNECT).await?;
    assert!(!output.everything.contains("href"), "{}", output.everything);
    output.ok()?;
    assert_eq!(last_line(&kernel.run(CALL).await?.ok()?), "200");
    Ok(())
}
