//! From one cell to a token, and what a kernel holds then.

use std::time::{Duration, Instant};

use hubkey_e2e::real::sign_in::Page;

use crate::support::{CONNECT, Guest, LONG, Outcome, last_line};

const CALL_THE_API: &str = r#"import asyncio, hubkey, httpx, os
ticks = 0
async def tick():
    global ticks
    while True:
        await asyncio.sleep(0.1)
        ticks += 1
ticking = asyncio.create_task(tick())
lab = await hubkey.connect("lab-api")
ticking.cancel()
print(ticks)
httpx.get(os.environ["LAB_API"] + "/projects", auth=lab).json()["projects"]"#;

#[tokio::test]
async fn feature_a1_feature_b3_need_5_the_same_cell_goes_on_after_one_link() -> Outcome {
    let guest = Guest::new().await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    kernel.begin(CALL_THE_API).await?;
    let link = kernel.link().await?;
    let met = guest.sign_in(&browser, &link).await?;
    let output = kernel.finish(LONG).await?;
    let wanted = [
        Page::HubSignIn,
        Page::ProviderSignIn,
        Page::Confirm,
        Page::Done,
    ];
    assert_eq!(met, wanted);
    let links = output.everything.matches("href=").count();
    assert_eq!(links, 1, "one card with one link: {}", output.everything);
    assert!(!output.html().contains("href="), "the link is gone");
    let text = output.ok()?;
    assert!(text.contains("['aurora', 'basalt', 'cirrus']"), "{text}");
    let ticks: u32 = text.lines().next().unwrap_or_default().parse()?;
    assert!(ticks > 5, "the kernel's loop stood still: {ticks}");
    Ok(())
}

const LOOK: &str = r#"import base64, json, time
claims = json.loads(base64.urlsafe_b64decode(lab.token.split(".")[1] + "=="))
shown = " ".join([repr(lab), str(lab), repr(lab.token), repr(lab.headers), json.dumps(lab._repr_mimebundle_())])
assert lab.token not in shown and lab.token.split(".")[1] not in shown
assert isinstance(lab.token, str) and lab.headers["Authorization"] == f"Bearer {lab.token}"
assert abs(lab.expires_at.timestamp() - claims["exp"]) <= 2, (lab.expires_at, claims["exp"])
assert set(lab.scopes) == set(claims["scope"].split()) and "projects:read" in lab.scopes, lab.scopes
assert lab.account.sub == claims["sub"]
print(lab.account.email)"#;

#[tokio::test]
async fn feature_k1_feature_k2_feature_k4_feature_k5_what_a_connection_says() -> Outcome {
    let (guest, mut kernel, _browser) = Guest::connected().await?;
    let text = kernel.run(LOOK).await?.ok()?;
    assert_eq!(last_line(&text), guest.person.email);
    Ok(())
}

const INSTALLED: &str = r#"import hubkey, os, pathlib
home = pathlib.Path.home()
assert not pathlib.Path(hubkey.__file__).is_relative_to(home)
print([str(path) for path in home.rglob("*") if "hubkey" in path.name.lower()])"#;

#[tokio::test]
async fn feature_g10_who_never_did_anything_can_connect() -> Outcome {
    let guest = Guest::new().await?;
    let mut kernel = guest.kernel().await?;
    assert_eq!(last_line(&kernel.run(INSTALLED).await?.ok()?), "[]");
    kernel.begin(CONNECT).await?;
    let link = kernel.link().await?;
    assert!(link.starts_with(guest.stack.public_url()), "a link of ours");
    kernel.interrupt().await?;
    kernel.finish(LONG).await?;
    Ok(())
}

#[tokio::test]
async fn feature_a13_feature_a14_a_valid_connection_needs_no_link() -> Outcome {
    let (guest, mut kernel, _browser) = Guest::connected().await?;
    let started = Instant::now();
    let again = kernel.run(CONNECT).await?;
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(!again.everything.contains("href"), "{}", again.everything);
    again.ok()?;

    let mut second = guest.kernel().await?;
    let shared = second.run(CONNECT).await?;
    assert!(!shared.everything.contains("href"), "{}", shared.everything);
    shared.ok()?;

    let mut others = Guest::new().await?.kernel().await?;
    others.begin(CONNECT).await?;
    assert!(others.link().await?.contains("/start/"));
    Ok(())
}
