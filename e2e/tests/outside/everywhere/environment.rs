//! What `connect()` is told by the environment, and by a file that was read into it.

use hubkey_e2e::real::kernel::Kernel;

use crate::support::{Guest, LONG, Outcome};

/// What `load_dotenv()` of python-dotenv does with a file.
const LOAD: &str = r#"import os, pathlib
file = pathlib.Path(".env")
file.write_text("HUBKEY_PROVIDER=data-api\nHUBKEY_TIMEOUT=50\n")
os.environ.update(line.split("=", 1) for line in file.read_text().split())"#;

/// Each value stands in both places.
const ARGUMENTS_WIN: &str = r#"import hubkey, time
began = time.monotonic()
try:
    await hubkey.connect("lab-api", timeout=1)
except hubkey.SignInTimeout:
    print(time.monotonic() - began)
lab = await hubkey.connect("lab-api", timeout=55)
print(lab.provider)"#;

const NO_ARGUMENTS: &str = r#"import httpx
data = await hubkey.connect()
print(data.provider, httpx.get(os.environ["DATA_API"] + "/projects", auth=data).status_code)"#;

async fn at_the_second_link(guest: &Guest, kernel: &mut Kernel) -> anyhow::Result<String> {
    let browser = guest.browser().await?;
    kernel.begin(ARGUMENTS_WIN).await?;
    let first = kernel.link().await?;
    let mut link = kernel.link().await?;
    while link == first {
        link = kernel.link().await?;
    }
    guest.sign_in(&browser, &link).await?;
    let said = kernel.finish(LONG).await?.ok()?;
    let waited = said.lines().find_map(|line| line.parse::<f64>().ok());
    let waited = waited.unwrap_or_default();
    assert!(
        (0.9..10.0).contains(&waited),
        "the timeout of 1 s took {waited}"
    );
    let provider = said.lines().find(|line| line.ends_with("-api"));
    Ok(provider.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn feature_a3_feature_a4_the_environment_is_enough_and_arguments_win() -> Outcome {
    let guest = Guest::new().await?;
    let mut kernel = guest.kernel().await?;
    kernel.run(LOAD).await?.ok()?;
    assert_eq!(at_the_second_link(&guest, &mut kernel).await?, "lab-api");
    let browser = guest.other_browser().await?;
    let said = guest
        .run_and_sign_in(&mut kernel, &browser, NO_ARGUMENTS)
        .await?;
    assert!(said.lines().any(|line| line == "data-api 200"), "{said}");
    Ok(())
}
