//! What `connect()` takes, and what it refuses before anything is opened.

use crate::support::{Guest, LONG, Outcome, last_line};

const EVERY_ARGUMENT: &str = r#"import hubkey
tools = await hubkey.connect(
"many",
scopes=["openid", "bench"],
audience="tools",
resource="https://tools.example/",
timeout=60,
interactive=True,
)
print(tools.provider, sorted(tools.scopes))"#;

#[tokio::test]
async fn feature_a2_every_argument_is_taken() -> Outcome {
    let guest = Guest::new().await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    kernel.begin(EVERY_ARGUMENT).await?;
    let link = kernel.link().await?;
    guest.sign_in(&browser, &link).await?;
    let text = kernel.finish(LONG).await?.ok()?;
    assert!(text.contains("many ['bench', 'openid']"), "{text}");
    let request = browser.traffic().await?;
    let authorize = request.to("/authorize").unwrap();
    let query = authorize.query().unwrap_or_default();
    assert!(query.contains("tools.example"), "the resource");
    assert!(query.contains("audience=tools"), "the audience");
    Ok(())
}

/// Each line: what is asked, the field that the error has to name, the value that it has to show.
const MISTAKES: &str = r#"import hubkey
mistakes = [
    (dict(provider="lab-apj"), "provider", "lab-apj"),
    (dict(provider=7), "provider", "7"),
    (dict(scopes=["root"]), "scopes", "root"),
    (dict(scopes=["two words"]), "scopes", "two words"),
    (dict(audience="elsewhere"), "audience", "elsewhere"),
    (dict(resource="https://elsewhere.example/"), "resource", "https://elsewhere.example/"),
    (dict(resource="no address"), "resource", "no address"),
    (dict(timeout=-1), "timeout", "-1"),
    (dict(timeout="soon"), "timeout", "soon"),
    (dict(interactive="perhaps"), "interactive", "perhaps"),
    (dict(scope="read"), "scope", "read"),
    (dict(redirect_uri="https://elsewhere.example/"), "redirect_uri", "https://elsewhere.example/"),
]
for asked, field, value in mistakes:
    try:
        await hubkey.connect(**{"provider": "lab-api", **asked})
    except hubkey.InvalidArgument as error:
        assert error.field == field, (asked, error.field)
        assert field in str(error) and value in str(error), (asked, str(error))
    else:
        raise AssertionError(f"{asked} was taken")
print(len(mistakes))"#;

#[tokio::test]
async fn feature_a2_feature_a5_each_mistake_is_named_and_nothing_is_opened() -> Outcome {
    let guest = Guest::new().await?;
    let mut kernel = guest.kernel().await?;
    let output = kernel.run(MISTAKES).await?;
    assert!(
        !output.everything.contains("href="),
        "{}",
        output.everything
    );
    assert_eq!(last_line(&output.ok()?), "12");
    assert!(!guest.audited("sign_in_started"), "a sign-in was opened");
    Ok(())
}
