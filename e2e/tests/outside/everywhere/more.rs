//! More than a connection has: scopes that are asked for later.

use std::collections::BTreeSet;

use anyhow::Context as _;
use hubkey_e2e::evidence::traffic::parameter;
use url::Url;

use crate::support::{Guest, Outcome};

const MORE: &str = r#"import os, httpx
more = await hubkey.connect("lab-api", scopes=["projects:write"])
assert {"projects:read", "projects:write"} <= set(more.scopes), more.scopes
assert "projects:write" not in lab.scopes, lab.scopes
for connection in (lab, more):
    assert await connection.aget_token(min_valid=1)
    assert httpx.get(os.environ["LAB_API"] + "/projects", auth=connection).status_code == 200
again = await hubkey.connect("lab-api", scopes=["projects:read"])
assert again.scopes == more.scopes, again.scopes
for _ in range(2):
    same = await hubkey.connect("lab-api", scopes=["projects:write", "projects:read"])
    assert same.scopes == more.scopes, same.scopes
print(len(await hubkey.connections()), "connections")"#;

#[tokio::test]
async fn feature_a9_need_7_more_scopes_are_asked_for_and_the_old_token_goes_on() -> Outcome {
    let (guest, mut kernel, browser) = Guest::connected().await?;
    let said = guest.run_and_sign_in(&mut kernel, &browser, MORE).await?;
    assert!(said.contains("2 connections"), "{said}");
    let requests = browser.traffic().await?.requests;
    let asked = requests
        .iter()
        .filter_map(|text| Url::parse(text).ok())
        .filter(|url| url.path().ends_with("/openid-connect/auth"))
        .filter_map(|url| parameter(&url, "scope"));
    let asked: Vec<_> = asked.collect();
    assert_eq!(asked.len(), 2, "one for each sign-in: {asked:?}");
    let last: Vec<_> = asked.last().context("none")?.split(' ').collect();
    let once: BTreeSet<_> = last.iter().collect();
    assert!(last.contains(&"projects:write"), "{last:?}");
    assert_eq!(once.len(), last.len(), "{last:?}");
    Ok(())
}
