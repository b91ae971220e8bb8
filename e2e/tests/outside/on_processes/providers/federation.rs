//! The token of a provider behind Keycloak, which Keycloak keeps and hands out.

use hubkey_e2e::stack::Stack;

use crate::support::{FEDERATED, Guest, Outcome, last_line, stack};

const CELL: &str = r#"import base64, httpx, hubkey, json
lab = await hubkey.connect("PROVIDER")
print(lab.account)"#;

const STORED: &str = r#"behind = await lab.exchange(requested_issuer="behind")
claims = json.loads(base64.urlsafe_b64decode(behind.token.split(".")[1] + "=="))
assert abs(behind.expires_at.timestamp() - claims["exp"]) <= 2, (behind.expires_at, claims["exp"])
assert (await lab.exchange(requested_issuer="behind")).token == behind.token
print(claims["iss"])
print(httpx.get(claims["iss"] + "/protocol/openid-connect/userinfo", headers=behind.headers).json()["email"])
print(httpx.get("ISSUER/protocol/openid-connect/userinfo", headers=behind.headers).status_code)"#;

/// The endpoint says 502 of a name that Keycloak does not know.
const AWAY: &str = r#"for _ in range(3):
    try:
        await lab.exchange(requested_issuer="away")
    except hubkey.BrokerUnavailable:
        print((await lab.exchange(requested_issuer="behind")).token == behind.token, bool(lab.token))
try:
    await lab.exchange(requested_issuer="elsewhere")
except hubkey.InvalidArgument as error:
    print(error.field)"#;

/// Somebody whom only the realm behind knows.
async fn stranger(stack: &'static Stack) -> anyhow::Result<Guest> {
    let person = stack.keycloak.federate("from-behind").await?;
    stack.hub.start_server(&person.name, "").await?;
    Ok(Guest { person, stack })
}

#[tokio::test]
async fn feature_g1_keycloak_hands_out_the_token_of_the_realm_behind_it() -> Outcome {
    let guest = stranger(stack().await?).await?;
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    let keycloak = &guest.stack.keycloak;
    let cell = CELL.replace("PROVIDER", FEDERATED);
    let said = guest.run_and_sign_in(&mut kernel, &browser, &cell).await?;
    assert!(said.contains(&*guest.person.email), "{said}");
    let cell = STORED.replace("ISSUER", &keycloak.issuer());
    let said = kernel.run(&cell).await?.ok()?;
    let wanted = [&keycloak.issuer_behind(), &*guest.person.email, "401"];
    assert_eq!(said.lines().collect::<Vec<_>>(), wanted);
    let said = kernel.run(AWAY).await?.ok()?;
    assert_eq!(said.matches("True True").count(), 3, "{said}");
    assert_eq!(last_line(&said), "requested_issuer");
    Ok(())
}
