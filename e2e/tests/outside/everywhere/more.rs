//! More than a connection has: scopes that are asked for later.

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
print(len(await hubkey.connections()), "connections")"#;

#[tokio::test]
async fn feature_a9_need_7_more_scopes_are_asked_for_and_the_old_token_goes_on() -> Outcome {
    let (guest, mut kernel, browser) = Guest::connected().await?;
    let said = guest.run_and_sign_in(&mut kernel, &browser, MORE).await?;
    assert!(said.contains("2 connections"), "{said}");
    Ok(())
}
