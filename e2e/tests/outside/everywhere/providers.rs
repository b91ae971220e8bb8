//! Several providers, several servers, one redirect address each.

use hubkey_e2e::real::kernel::Kernel;

use crate::support::{Guest, LONG, Outcome};

const BOTH: &str = r#"import asyncio, httpx, hubkey, os
lab, data = await asyncio.gather(hubkey.connect("lab-api"), hubkey.connect("data-api"))
for api in "LAB_API", "DATA_API":
    for connection in lab, data:
        headers = {"Authorization": f"Bearer {connection.token}"}
        answer = httpx.get(os.environ[api] + "/projects", headers=headers)
        print(api, connection.provider, answer.status_code)"#;

#[tokio::test]
async fn feature_a12_two_providers_at_once_never_swap_their_tokens() -> Outcome {
    let guest = Guest::new().await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    kernel.begin(BOTH).await?;
    for _ in 0..2 {
        let link = kernel.link().await?;
        guest.sign_in(&browser, &link).await?;
    }
    let text = kernel.finish(LONG).await?.ok()?;
    assert!(text.contains("LAB_API lab-api 200"), "{text}");
    assert!(text.contains("LAB_API data-api 401"), "{text}");
    assert!(text.contains("DATA_API lab-api 401"), "{text}");
    assert!(text.contains("DATA_API data-api 200"), "{text}");
    Ok(())
}

/// The second provider exists in the settings only, by its issuer.
#[tokio::test]
async fn feature_a8_a_provider_of_the_settings_is_connected_to_by_its_name() -> Outcome {
    let guest = Guest::new().await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    let cell = "import hubkey\nprint((await hubkey.connect('data-api')).account)";
    let text = guest.run_and_sign_in(&mut kernel, &browser, cell).await?;
    assert!(text.contains(&*guest.person.email), "{text}");
    Ok(())
}

#[tokio::test]
async fn feature_b9_feature_g9_one_redirect_address_serves_every_user_and_named_servers() -> Outcome
{
    let (guest, _kernel, browser) = Guest::connected().await?;
    let hub = &guest.stack.hub;
    hub.start_server(guest.name(), "gpu").await?;
    let mut gpu = Kernel::start(hub, guest.name(), "gpu").await?;
    // A connection belongs to one server: the named one asks for its own.
    guest
        .run_and_sign_in(&mut gpu, &browser, crate::support::CONNECT)
        .await?;
    let traffic = browser.traffic().await?;
    let callback = traffic.to("/callback/").unwrap();
    let wanted = format!("{}/callback/lab-api", guest.stack.public_url());
    assert!(callback.as_str().starts_with(&wanted), "another address");
    Ok(())
}
