//! Tokens for other APIs, at a real Keycloak: standard token exchange, and fewer scopes by a refresh.

use http::{Method, StatusCode};
use hubkey_e2e::stack::LAB_API;
use serde_json::{Value, json};

use crate::support::{Guest, Outcome, last_line};

const EXCHANGE: &str = r#"import base64, httpx, json, os
def claims(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
def audience(token):
    aud = claims(token)["aud"]
    return [aud] if isinstance(aud, str) else aud
data = await lab.exchange("data-api", scopes=["data:read"])
assert audience(data.token) == ["data-api"], audience(data.token)
assert claims(data.token)["sub"] == lab.account.sub
assert "data-api" not in audience(lab.token) and "data:read" not in lab.scopes
assert data.token.split(".")[1] not in repr(data) + str(data) + repr(data.token)
assert await data.aget_token(min_valid=60) == data.token
def calls(api, auth):
    return httpx.get(os.environ[api] + "/projects", auth=auth).status_code
assert calls("DATA_API", data) == 200
assert calls("LAB_API", lab) == 200
import warnings; warnings.simplefilter("ignore")
assert calls("LAB_API", data) == 401
print("exchanged")"#;

const REFUSED: &str = r#"for asked in [dict(audience="other"), dict(requested_issuer="github"), dict(audience="data-api", scopes=["admin"])]:
    try:
        await lab.exchange(**asked)
    except hubkey.InvalidArgument as error:
        print(error.field)
try:
    await lab.exchange("nobodys-api")
except hubkey.HubkeyError as error:
    print(type(error).__name__)
assert calls("DATA_API", data) == 200 and calls("LAB_API", lab) == 200"#;

#[tokio::test]
async fn feature_g1_feature_f4_a_token_of_another_api_comes_by_exchange() -> Outcome {
    let (_guest, mut kernel, _browser) = Guest::connected().await?;
    let said = kernel.run(EXCHANGE).await?.ok()?;
    assert_eq!(last_line(&said), "exchanged");
    let said = kernel.run(REFUSED).await?.ok()?;
    let words: Vec<_> = said.split_whitespace().collect();
    let expected = ["audience", "requested_issuer", "scopes", "AccessRefused"];
    assert_eq!(words, expected);
    Ok(())
}

#[tokio::test]
async fn feature_f4_a_token_of_fewer_scopes_leaves_the_connection_as_it_is() -> Outcome {
    let guest = Guest::new().await?;
    let (api, browser) = (guest.api()?, guest.browser().await?);
    let opened = api.open(LAB_API).await?;
    guest.sign_in(&browser, &opened.link).await?;
    let (_, connected) = api.result(&opened).await?;
    let path = format!(
        "/v1/connections/{}/token",
        connected["connection"]["id"].as_str().unwrap_or_default()
    );
    let draw = async |body: Value| api.ask(Method::POST, &path, Some(body), &[]).await;
    let (status, narrow) = draw(json!({"scopes": ["openid"]})).await?;
    assert_eq!(status, StatusCode::OK, "{}", narrow["code"]);
    let scopes = narrow["scopes"].to_string();
    assert!(!scopes.contains("projects:read"), "{scopes}");
    let (_, again) = draw(json!({"scopes": ["openid"]})).await?;
    assert_eq!(again["access_token"], narrow["access_token"]);
    let (_, own) = draw(json!({})).await?;
    assert_eq!(own["access_token"], connected["token"]["access_token"]);
    assert!(own["scopes"].to_string().contains("projects:read"));
    let (status, _) =
        draw(json!({"min_valid": 269, "scopes": ["openid", "projects:read"]})).await?;
    assert_eq!(status, StatusCode::OK);
    Ok(())
}
