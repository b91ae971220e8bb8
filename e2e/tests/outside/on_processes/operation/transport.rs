//! The way from a kernel to the broker, and from there to Redis, over TLS.

use crate::support::{Guest, LONG, Outcome, encrypted, last_line};

const CALL_THE_API: &str = r#"import hubkey, httpx, os
assert os.environ["HUBKEY_URL"].startswith("https://")
lab = await hubkey.connect("lab-api")
httpx.get(os.environ["LAB_API"] + "/projects", auth=lab).json()["projects"]"#;

const ASK_WITHOUT_THE_AUTHORITY: &str = r#"import hubkey, os
del os.environ["HUBKEY_CA_FILE"]
try:
    await hubkey.connect("lab-api")
except hubkey.ConfigurationError as error:
    print(error)"#;

#[tokio::test]
async fn security_x2_a_whole_sign_in_over_tls() -> Outcome {
    let guest = Guest::on(encrypted().await?).await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    let text = guest
        .run_and_sign_in(&mut kernel, &browser, CALL_THE_API)
        .await?;
    assert!(text.contains("['aurora', 'basalt', 'cirrus']"), "{text}");

    let mut stranger = guest.kernel().await?;
    stranger.begin(ASK_WITHOUT_THE_AUTHORITY).await?;
    let told = stranger.finish(LONG).await?.ok()?;
    let told = last_line(&told);
    assert!(
        told.contains("an authority that is not trusted here"),
        "{told}"
    );
    assert!(told.contains("ca_file (HUBKEY_CA_FILE)"), "{told}");
    Ok(())
}
