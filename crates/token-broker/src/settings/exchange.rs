//! What a provider's tokens may be exchanged for.

use hubkey_domain::provider::{ExchangeOffer, RequestedIssuerMethod};
use hubkey_service::settings::{Section, value_type};

use super::words::{ORIGIN_OF, SCOPE, SCOPE_OF};

const REQUESTED_ISSUER_METHOD: value_type::Enum<RequestedIssuerMethod> = value_type::Enum(&[
    ("token_exchange", RequestedIssuerMethod::Exchange),
    ("keycloak_broker_token", RequestedIssuerMethod::BrokerToken),
]);

pub(super) fn read(provider: &Section<'_>) -> ExchangeOffer {
    let section = provider.section("token_exchange");
    let offer = ExchangeOffer {
        allowed_audiences: section.list(
            "allowed_audiences",
            &value_type::TEXT,
            "The audiences for which a notebook may have its token exchanged (RFC 8693).",
        ),
        allowed_resources: section.list(
            "allowed_resources",
            &value_type::TEXT,
            "The resources (RFC 8707) for which a notebook may have its token exchanged.",
        ),
        allowed_scopes: section
            .list(
                "allowed_scopes",
                &SCOPE,
                "The scopes that a notebook may ask for in an exchange.",
            )
            .into_iter()
            .collect(),
        default_scopes: section.list(
            "default_scopes",
            &SCOPE_OF,
            "The scopes that are asked for where a notebook names none: the audience, resource or issuer, and a scope.",
        ),
        api_origins: section.list(
            "api_origins",
            &ORIGIN_OF,
            "Where an exchanged token is sent: the audience, resource or issuer, and the origin of its API.",
        ),
        requested_issuers: section.list(
            "requested_issuers",
            &value_type::TEXT,
            "The providers behind this one whose tokens a notebook may ask for, by their alias there.",
        ),
        requested_issuer_method: section.or(
            "requested_issuer_method",
            &REQUESTED_ISSUER_METHOD,
            RequestedIssuerMethod::Exchange,
            "How those tokens are come by.",
        ),
    };
    refuse_strangers(&section, &offer);
    offer
}

/// Origins and scopes of what is in no list would never be used: a typing error.
fn refuse_strangers(section: &Section<'_>, offer: &ExchangeOffer) {
    let origins = offer.api_origins.iter();
    let origins = origins.map(|(name, _)| ("api_origins", name));
    let scopes = offer.default_scopes.iter();
    let scopes = scopes.map(|(name, _)| ("default_scopes", name));
    for (key, name) in origins.chain(scopes) {
        let mut known = (offer.allowed_audiences.iter())
            .chain(&offer.allowed_resources)
            .chain(&offer.requested_issuers);
        if !known.any(|known| known == name) {
            section.fail(
                key,
                &format!("`{name}` is in none of the lists beside it; add it there or remove it."),
            );
        }
    }
}
