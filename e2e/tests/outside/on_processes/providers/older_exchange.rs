//! The token of a provider behind Keycloak by the parameter `requested_issuer`, which only its older exchange takes.

use hubkey_e2e::real::keycloak::Keycloak;
use hubkey_e2e::stack::{Stack, StackOptions};
use hubkey_starters::process::RunFolder;
use tokio::sync::OnceCell;

use crate::support::{Guest, Outcome, built, last_line};

static STACK: OnceCell<(Stack, RunFolder)> = OnceCell::const_new();

/// A stack of its own: it is another Keycloak.
async fn stack() -> anyhow::Result<&'static Stack> {
    let starting = async || {
        let (programs, packages) = built().await?;
        let secrets = RunFolder::create("older-secret")?;
        let secret = secrets.join("client");
        std::fs::write(&secret, Keycloak::CLIENT_SECRET)?;
        let behind = Keycloak::BEHIND;
        let provider = format!(
            "\n[providers.older]\nissuer = \"http://localhost:{{keycloak}}/realms/hubkey\"\n\
             client_id = \"{}\"\nclient_secret_file = \"{}\"\n\
             default_scopes = [\"openid\", \"profile\", \"email\"]\npushed_authorization = \"never\"\n\
             extra_authorization_parameters = [\"kc_idp_hint={behind}\"]\n\
             \n[providers.older.token_exchange]\nrequested_issuers = [\"{behind}\"]\n",
            Keycloak::CLIENT_ID,
            secret.display(),
        );
        let options = StackOptions {
            keycloak_features: Keycloak::OLDER_EXCHANGE.to_owned(),
            more_broker_settings: provider,
            ..StackOptions::default()
        };
        let stack = Stack::start_built("older-exchange", options, programs, packages).await?;
        anyhow::Ok((stack, secrets))
    };
    Ok(&STACK.get_or_try_init(starting).await?.0)
}

const CONNECT: &str = r#"import base64, httpx, hubkey, json
own = await hubkey.connect("older")
print(own.account)"#;

const EXCHANGE: &str = r#"behind = await own.exchange(requested_issuer="behind")
claims = json.loads(base64.urlsafe_b64decode(behind.token.split(".")[1] + "=="))
userinfo = "/protocol/openid-connect/userinfo"
print(claims["iss"])
print(httpx.get(claims["iss"] + userinfo, headers=behind.headers).json()["email"])
print(httpx.get("ISSUER" + userinfo, headers=behind.headers).status_code)
print((await own.exchange(requested_issuer="behind")).token == behind.token)"#;

const REFUSED: &str = r#"try:
    await own.exchange(requested_issuer="elsewhere")
except hubkey.InvalidArgument as error:
    print(error.field, bool(own.token))"#;

#[tokio::test]
async fn feature_g1_requested_issuer_brings_the_token_of_the_realm_behind_by_keycloaks_older_exchange()
-> Outcome {
    let stack = stack().await?;
    let keycloak = &stack.keycloak;
    let person = keycloak.federate("from-behind").await?;
    keycloak.permit_exchange(Keycloak::CLIENT_ID).await?;
    stack.hub.start_server(&person.name, "").await?;
    let guest = Guest { person, stack };
    let (mut kernel, browser) = (guest.kernel().await?, guest.browser().await?);
    let said = guest
        .run_and_sign_in(&mut kernel, &browser, CONNECT)
        .await?;
    assert!(said.contains(&*guest.person.email), "{said}");
    let cell = EXCHANGE.replace("ISSUER", &keycloak.issuer());
    let said = kernel.run(&cell).await?.ok()?;
    let wanted = [
        &keycloak.issuer_behind(),
        &*guest.person.email,
        "401",
        "True",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), wanted);
    // The second call got what was kept. Keycloak writes no event of such an exchange.
    let exchanged = |line: &serde_json::Value| line["event"] == "token_exchanged";
    let lines = guest.audit();
    assert_eq!(lines.into_iter().filter(exchanged).count(), 1);
    assert_eq!(
        last_line(&kernel.run(REFUSED).await?.ok()?),
        "requested_issuer True"
    );
    Ok(())
}
