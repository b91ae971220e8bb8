//! Every library that a connection can be handed to, unmodified, at a Keycloak whose tokens live for ten seconds.

use std::time::Duration;

use super::refresh::strict;
use crate::support::{Guest, Outcome, last_line};

/// How people use each of them; the tests of the package have it too.
const LIBRARIES: &str = include_str!("../../../../../crates/python-shim/tests/libraries.py");
const USE: &str = include_str!("libraries.py");

#[tokio::test]
async fn need_15_feature_f1_ten_libraries_outlive_three_expiries() -> Outcome {
    let (guest, mut kernel, browser) = Guest::connected_on(strict().await?).await?;
    drop(browser);
    kernel.run(LIBRARIES).await?.ok()?;
    kernel.begin(USE).await?;
    let output = kernel.finish(Duration::from_mins(3)).await?;
    let token = kernel.run("print(lab.token)").await?.ok()?;
    // Neither what the libraries print nor what their logs say has any token: their second parts all begin alike.
    let common = &last_line(&token)[..20];
    assert!(!output.everything.contains(common), "a token was shown");
    let said = output.ok()?;
    assert_eq!(last_line(&said), "10 libraries", "{said}");
    let (_, refused) = guest.stack.keycloak.refreshes(&guest.person).await?;
    assert_eq!(refused, 0, "a refresh token came twice");
    Ok(())
}
