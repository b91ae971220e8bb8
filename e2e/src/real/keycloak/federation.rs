//! A realm behind the realm `hubkey`: people sign in there, and Keycloak keeps what it got.

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use super::{Keycloak, Person, REALM_NAME};
use hubkey_fakes::loopback;

const CLIENT_ID: &str = "realm-hubkey";
const CLIENT_SECRET: &str = "behind-dev-secret";

impl Keycloak {
    /// The realm behind, and its alias as an identity provider of the realm `hubkey`.
    pub const BEHIND: &'static str = "behind";
    /// The features with which Keycloak takes `requested_issuer`.
    pub const OLDER_EXCHANGE: &'static str = "token-exchange,admin-fine-grained-authz:v1";
    /// The client of the realm `hubkey` whose tokens may read those of the realm behind.
    pub const FEDERATED_CLIENT_ID: &'static str = "hubkey-federated";

    /// Makes the realm behind with this one person, whom the realm `hubkey` does not know, and all that stands between
    /// the two realms.
    pub async fn federate(&self, name: &str) -> anyhow::Result<Person> {
        let person = Person::named(name);
        self.administer(Method::POST, "", &self.realm_behind(&person))
            .await?;
        self.of_hubkey("/identity-provider/instances", &self.link())
            .await?;
        self.add_client(&federated_client()).await?;
        self.let_it_read_stored_tokens().await?;
        Ok(person)
    }

    /// Permits a client of the realm `hubkey` to exchange its tokens for those of the realm behind, in Keycloak's older way
    /// (`--features=`[`Self::OLDER_EXCHANGE`]).
    pub async fn permit_exchange(&self, client_id: &str) -> anyhow::Result<()> {
        let path = format!(
            "/{REALM_NAME}/identity-provider/instances/{}/management/permissions",
            Self::BEHIND
        );
        let on = json!({ "enabled": true });
        self.administer(Method::PUT, &path, &on).await?;
        let permissions = self.ask(&path[REALM_NAME.len() + 1..]).await?;
        let permission = permissions["scopePermissions"]["token-exchange"].as_str();
        let permission = permission.context("no permission for exchanges")?;
        let server = self.client_key("realm-management").await?;
        let server = format!("/clients/{server}/authz/resource-server");
        let client = self.client_key(client_id).await?;
        let policy =
            json!({ "name": "who may exchange", "clients": [client], "logic": "POSITIVE" });
        self.of_hubkey(&format!("{server}/policy/client"), &policy)
            .await?;
        let policies = self
            .ask(&format!("{server}/policy?name=who%20may%20exchange"))
            .await?;
        let permission = format!("{server}/permission/scope/{permission}");
        let mut body = self.ask(&permission).await?;
        body["policies"] = json!([policies[0]["id"]]);
        let path = format!("/{REALM_NAME}{permission}");
        self.administer(Method::PUT, &path, &body).await
    }

    /// The issuer of the realm behind.
    #[must_use]
    pub fn issuer_behind(&self) -> String {
        format!("{}/realms/{}", self.origin(), Self::BEHIND)
    }

    fn realm_behind(&self, person: &Person) -> Value {
        json!({
            "realm": Self::BEHIND,
            "enabled": true,
            "users": [person.account()],
            "clients": [{
                "clientId": CLIENT_ID,
                "secret": CLIENT_SECRET,
                "standardFlowEnabled": true,
                "redirectUris": [format!("{}/broker/{}/endpoint", self.issuer(), Self::BEHIND)],
            }],
        })
    }

    /// "Store tokens" and "Stored tokens readable" are what the endpoint for stored tokens needs.
    fn link(&self) -> Value {
        let issuer = self.issuer_behind();
        let endpoint = |name: &str| format!("{issuer}/protocol/openid-connect/{name}");
        json!({
            "alias": Self::BEHIND,
            "providerId": "oidc",
            "enabled": true,
            "storeToken": true,
            "addReadTokenRoleOnCreate": true,
            "trustEmail": true,
            "config": {
                "issuer": issuer,
                "authorizationUrl": endpoint("auth"),
                "tokenUrl": endpoint("token"),
                "userInfoUrl": endpoint("userinfo"),
                "jwksUrl": endpoint("certs"),
                "useJwksUrl": "true",
                "validateSignature": "true",
                "clientId": CLIENT_ID,
                "clientSecret": CLIENT_SECRET,
                "clientAuthMethod": "client_secret_basic",
                "defaultScope": "openid profile email",
                "pkceEnabled": "true",
                "pkceMethod": "S256",
            },
        })
    }

    /// The role `read-token` of Keycloak's own client `broker` may be in the client's tokens.
    async fn let_it_read_stored_tokens(&self) -> anyhow::Result<()> {
        let client = self.client_key(Self::FEDERATED_CLIENT_ID).await?;
        let broker = self.client_key("broker").await?;
        let role = format!("/clients/{broker}/roles/read-token");
        let role = self.ask(&role).await?;
        let mappings = format!("/clients/{client}/scope-mappings/clients/{broker}");
        self.of_hubkey(&mappings, &json!([role])).await
    }

    async fn client_key(&self, client_id: &str) -> anyhow::Result<String> {
        let found = self.ask(&format!("/clients?clientId={client_id}")).await?;
        let key = found[0]["id"].as_str();
        let key = key.with_context(|| format!("Keycloak has no client {client_id}"))?;
        Ok(key.to_owned())
    }

    async fn of_hubkey(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let path = format!("/{REALM_NAME}{path}");
        self.administer(Method::POST, &path, body).await
    }

    async fn administer(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<()> {
        let url = format!("{}/admin/realms{path}", self.origin());
        let token = self.admin_token().await?;
        let request = loopback::client()?.request(method, &url).bearer_auth(token);
        let answer = request.json(body).send().await?;
        let answer = answer.error_for_status();
        answer.with_context(|| format!("Keycloak did not take {url}"))?;
        Ok(())
    }
}

/// Its tokens say which roles of the client `broker` the person has.
fn federated_client() -> Value {
    json!({
        "clientId": Keycloak::FEDERATED_CLIENT_ID,
        "protocol": "openid-connect",
        "publicClient": true,
        "standardFlowEnabled": true,
        "directAccessGrantsEnabled": false,
        "fullScopeAllowed": false,
        "redirectUris": ["http://127.0.0.1:*"],
        "attributes": { "pkce.code.challenge.method": "S256" },
        "defaultClientScopes": ["basic", "profile", "email"],
        "protocolMappers": [{
            "name": "roles of the client broker",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-usermodel-client-role-mapper",
            "config": {
                "usermodel.clientRoleMapping.clientId": "broker",
                "claim.name": "resource_access.${client_id}.roles",
                "jsonType.label": "String",
                "multivalued": "true",
                "access.token.claim": "true",
            },
        }],
    })
}
