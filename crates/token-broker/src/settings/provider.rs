//! The providers.

use std::{collections::BTreeMap, time::Duration};

use hubkey_domain::provider::{
    ClientAuthentication, ConnectionScope, Endpoints, ExchangeOffer, IdTokenRules, IdentityPolicy,
    OutboundProxy, OutboundRules, ParMode, ProviderConfig, ScopePolicy,
};
use hubkey_oidc::{RESERVED, are_authorities};
use hubkey_protocol::{ProviderId, Scope};
use hubkey_service::settings::{Reader, Section, value_type};

use super::{
    authorities, exchange,
    outbound_proxy::{self, Way},
    provider_client, provider_endpoints,
    words::{DOMAIN, ORIGIN, PAIR, PROVIDER_ID, SCOPE, is_loopback},
};

const CONNECTION_SCOPE: value_type::Enum<ConnectionScope> = value_type::Enum(&[
    ("server", ConnectionScope::Server),
    ("user", ConnectionScope::User),
    ("sign_in", ConnectionScope::SignIn),
]);

const ACCOUNT_POLICY: value_type::Parsed<IdentityPolicy> = value_type::Parsed::with(
    "`confirm`, `claim:<name>` or `i-accept-account-mixups`",
    |text| match text {
        "confirm" => Some(IdentityPolicy::Confirm),
        "i-accept-account-mixups" => Some(IdentityPolicy::Unchecked),
        _ => text
            .strip_prefix("claim:")
            .filter(|name| !name.is_empty())
            .map(|name| IdentityPolicy::Claim(name.to_owned())),
    },
    |policy| match policy {
        IdentityPolicy::Confirm => "confirm".to_owned(),
        IdentityPolicy::Claim(name) => format!("claim:{name}"),
        IdentityPolicy::Unchecked => "i-accept-account-mixups".to_owned(),
    },
);

pub(super) fn read_all(reader: &Reader) -> Vec<ProviderConfig> {
    let proxy = outbound_proxy::read_common(reader).and_then(Way::proxy);
    let found = reader.required_tables("providers", &PROVIDER_ID, |section| {
        Some(read(section, proxy.as_ref()))
    });
    found
        .into_iter()
        .filter_map(|(id, draft)| draft.finish(id))
        .collect()
}

/// A provider without its id.
struct Draft {
    display_name: Option<String>,
    endpoints: Option<Endpoints>,
    client_id: Option<String>,
    token_endpoint_auth_method: Option<ClientAuthentication>,
    par_mode: ParMode,
    scope_policy: ScopePolicy,
    token_exchange: ExchangeOffer,
    extra_authorization_parameters: BTreeMap<String, String>,
    api_origins: Vec<String>,
    account_policy: IdentityPolicy,
    allowed_email_domains: Vec<String>,
    connection_scope: ConnectionScope,
    id_token: IdTokenRules,
    outbound: OutboundRules,
}

impl Draft {
    fn finish(self, id: ProviderId) -> Option<ProviderConfig> {
        Some(ProviderConfig {
            display_name: self.display_name.unwrap_or_else(|| id.as_str().to_owned()),
            id,
            endpoints: self.endpoints?,
            client_id: self.client_id?,
            token_endpoint_auth_method: self.token_endpoint_auth_method?,
            par_mode: self.par_mode,
            scope_policy: self.scope_policy,
            token_exchange: self.token_exchange,
            extra_authorization_parameters: self.extra_authorization_parameters,
            api_origins: self.api_origins,
            account_policy: self.account_policy,
            allowed_email_domains: self.allowed_email_domains,
            connection_scope: self.connection_scope,
            id_token: self.id_token,
            outbound: self.outbound,
        })
    }
}

fn read(section: &Section<'_>, proxy: Option<&OutboundProxy>) -> Draft {
    let mut draft = read_draft(section);
    draft.outbound.proxy = match outbound_proxy::read_own(section) {
        Some(way) => way.proxy(),
        None => proxy.cloned(),
    };
    if draft.outbound.proxy.is_some() {
        outbound_proxy::check(section, draft.endpoints.as_ref(), &draft.outbound);
    } else if let Some(endpoints) = draft
        .endpoints
        .as_ref()
        .filter(|_| !draft.outbound.allow_plaintext)
    {
        refuse_plaintext(section, endpoints);
    }
    draft
}

fn refuse_plaintext(section: &Section<'_>, endpoints: &Endpoints) {
    for (key, url) in endpoints.urls() {
        if url.scheme() == "http" && !is_loopback(&url) {
            section.fail(
                key,
                &format!(
                    "codes, secrets and tokens would cross the network in clear; use https, or set `{} = true` where \
                     something else encrypts the way to the provider.",
                    section.dotted("allow_plaintext")
                ),
            );
        }
    }
}

fn read_draft(section: &Section<'_>) -> Draft {
    Draft {
        display_name: section.optional("display_name", &value_type::TEXT, "What people read; the id by default."),
        endpoints: provider_endpoints::read(section),
        client_id: section.required("client_id", &value_type::TEXT, "hubkey's registration at the provider."),
        token_endpoint_auth_method: provider_client::read_authentication(section),
        par_mode: provider_client::read_par_mode(section),
        scope_policy: read_scope_policy(section),
        token_exchange: exchange::read(section),
        extra_authorization_parameters: read_parameters(section),
        api_origins: section.list("api_origins", &ORIGIN, "The origins of the APIs that tokens are sent to."),
        account_policy: section.or(
            "account_policy",
            &ACCOUNT_POLICY,
            IdentityPolicy::Confirm,
            "Which account fits a hub user: the one that the person confirmed, or the one whose claim has the hub user's name.",
        ),
        allowed_email_domains: section.list(
            "allowed_email_domains",
            &DOMAIN,
            "The domains that an account's verified e-mail address may be of, without their subdomains; any account where empty.",
        ),
        connection_scope: section.or("connection_scope", &CONNECTION_SCOPE, ConnectionScope::Server, "What a connection belongs to: one server, whose kernels share it; a hub user, whose servers share it; or the sign-in that made it, so that each `connect()` asks anew."),
        id_token: read_id_token(section),
        outbound: read_outbound(section),
    }
}

fn read_scope_policy(section: &Section<'_>) -> ScopePolicy {
    let default_scopes = section
        .list(
            "default_scopes",
            &SCOPE,
            "Asked for when a notebook names none.",
        )
        .into_iter()
        .collect();
    let further: Vec<Scope> = section.list(
        "allowed_scopes",
        &SCOPE,
        "What a notebook may ask for beside the default ones.",
    );
    let descriptions = section.list(
        "scope_descriptions",
        &PAIR,
        "What a scope permits, in words for people: `scope=words`.",
    );
    let text = |key: &str, about: &str| section.optional(key, &value_type::TEXT, about);
    let default_audience = text(
        "default_audience",
        "The audience to ask for when a notebook names none.",
    );
    let default_resource = text(
        "default_resource",
        "The resource (RFC 8707) to ask for when a notebook names none.",
    );
    ScopePolicy {
        allowed_scopes: further.into_iter().chain(scopes(&default_scopes)).collect(),
        scope_descriptions: descriptions
            .into_iter()
            .filter_map(|(scope, words)| Some((Scope::parse(scope).ok()?, words)))
            .collect(),
        default_scopes,
        default_audience,
        allowed_audiences: section.list(
            "allowed_audiences",
            &value_type::TEXT,
            "The audiences that a notebook may name.",
        ),
        default_resource,
        allowed_resources: section.list(
            "allowed_resources",
            &value_type::TEXT,
            "The resources that a notebook may name.",
        ),
    }
}

fn scopes(scopes: &hubkey_protocol::Scopes) -> Vec<Scope> {
    scopes.iter().cloned().collect()
}

fn read_parameters(section: &Section<'_>) -> BTreeMap<String, String> {
    let pairs = section.list(
        "extra_authorization_parameters",
        &PAIR,
        "Further parameters of the authorization request, such as `prompt=consent` or `kc_idp_hint=lab`.",
    );
    for (name, _) in &pairs {
        if RESERVED.contains(&name.as_str()) {
            section.fail(
                "extra_authorization_parameters",
                &format!("remove `{name}`: hubkey sets it itself."),
            );
        }
    }
    pairs.into_iter().collect()
}

fn read_id_token(section: &Section<'_>) -> IdTokenRules {
    IdTokenRules {
        algorithms: section.list(
            "id_token_algs",
            &value_type::TEXT,
            "The signature algorithms of ID tokens and logout tokens. By default those that the provider's metadata names, and for a logout token that of the session's ID token.",
        ),
        additional_audiences: section.list(
            "additional_id_token_audiences",
            &value_type::TEXT,
            "Audiences that may stand in an ID token beside hubkey's client id.",
        ),
        clock_skew: section.or(
            "clock_skew",
            &value_type::DurationType::between(Duration::ZERO, Duration::from_mins(5)),
            Duration::from_mins(1),
            "How far the provider's clock may be off.",
        ),
        fetch_userinfo: section.or("fetch_userinfo", &value_type::BOOL, false, "Whether to ask the provider for the account's name and e-mail."),
    }
}

fn read_outbound(section: &Section<'_>) -> OutboundRules {
    OutboundRules {
        allow_plaintext: section.or(
            "allow_plaintext",
            &value_type::BOOL,
            false,
            "Whether the provider may be on another machine without TLS.",
        ),
        allow_private_hosts: section.list(
            "allow_private_hosts",
            &value_type::TEXT,
            "Hosts of the provider that may have private addresses.",
        ),
        allowed_endpoint_hosts: section.list(
            "allowed_endpoint_hosts",
            &value_type::TEXT,
            "Hosts, beside the issuer's, that the provider's endpoints may be on.",
        ),
        ca_pem: read_authorities(section),
        proxy: None,
    }
}

/// A company's own authority, for this provider only: no other one's certificate is judged by it.
fn read_authorities(section: &Section<'_>) -> Option<Vec<u8>> {
    let pem = authorities::read_ca(
        section,
        "PEM certificates of authorities to trust for this provider, in addition to the system's.",
    )?;
    if !are_authorities(&pem) {
        section.fail("ca_file", "name a file with certificates as PEM.");
    }
    Some(pem)
}
