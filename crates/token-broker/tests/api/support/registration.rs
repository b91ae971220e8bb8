//! How a provider is configured, where a test does not say otherwise.

use std::{collections::BTreeMap, time::Duration};

use hubkey_domain::provider::{
    ClientAuthentication, ConnectionScope, Endpoints, ExchangeOffer, IdTokenRules, IdentityPolicy,
    OutboundRules, ParMode, ProviderConfig, RequestedIssuerMethod, ScopePolicy,
};
use hubkey_fakes::hostile_provider::HostileProvider;
use hubkey_protocol::{ProviderId, Scope, Scopes, secret::ClientSecret};

use crate::support::world::CLIENT_SECRET;

/// A registration at this provider.
pub(crate) fn provider_config(
    provider: &HostileProvider,
    id: &str,
    account_policy: IdentityPolicy,
    connection_scope: ConnectionScope,
) -> ProviderConfig {
    ProviderConfig {
        id: ProviderId::parse(id).expect("an id"),
        display_name: "Lab API".to_owned(),
        endpoints: Endpoints::Discovered {
            issuer: provider.issuer(),
            userinfo: None,
            revocation: None,
        },
        client_id: "hubkey".to_owned(),
        token_endpoint_auth_method: ClientAuthentication::Basic(ClientSecret::new(CLIENT_SECRET)),
        par_mode: ParMode::Auto,
        scope_policy: ScopePolicy {
            default_scopes: scopes("openid projects:read"),
            allowed_scopes: scopes("openid projects:read projects:write"),
            allowed_audiences: vec!["https://api.example.org".to_owned()],
            allowed_resources: vec!["https://api.example.org/v1".to_owned()],
            ..ScopePolicy::default()
        },
        token_exchange: exchange_offer(id),
        extra_authorization_parameters: BTreeMap::new(),
        api_origins: vec!["https://api.example.org".to_owned()],
        account_policy,
        allowed_email_domains: Vec::new(),
        connection_scope,
        id_token: IdTokenRules {
            algorithms: Vec::new(),
            additional_audiences: Vec::new(),
            clock_skew: Duration::from_mins(1),
            fetch_userinfo: false,
        },
        outbound: OutboundRules::default(),
    }
}

fn scopes(text: &str) -> Scopes {
    Scopes::parse(text).expect("scopes")
}

fn exchange_offer(id: &str) -> ExchangeOffer {
    ExchangeOffer {
        allowed_audiences: vec!["other-api".to_owned(), "third-api".to_owned()],
        allowed_resources: vec!["https://other.example.org/v1".to_owned()],
        allowed_scopes: scopes("projects:read projects:write"),
        default_scopes: vec![(
            "https://other.example.org/v1".to_owned(),
            Scope::parse("projects:write").expect("a scope"),
        )],
        api_origins: vec![(
            "other-api".to_owned(),
            "https://other.example.org".to_owned(),
        )],
        requested_issuers: vec!["github".to_owned(), "gitlab".to_owned()],
        requested_issuer_method: if id == "brokering" {
            RequestedIssuerMethod::BrokerToken
        } else {
            RequestedIssuerMethod::Exchange
        },
    }
}
