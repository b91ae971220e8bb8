//! What a kernel may ask for (SECURITY D13): ids and words out of the operator's lists, never URLs.

use std::sync::Arc;

use hubkey_domain::{
    access_request::AccessRequest,
    connection::Connection,
    derived_token::{DerivedBy, DerivedTokenKey},
    provider::{ExchangeOffer, RequestedIssuerMethod, ScopePolicy},
};
use hubkey_oidc::IdentityProvider;
use hubkey_protocol::{
    CreateSignIn, ErrorCode, ExchangeRequest, Scopes, TokenRequest, bounds::Bound,
};

use crate::use_cases::{failure::KernelFailure, providers::Providers};

const MAX_ACCOUNT: usize = Bound::AccountName.limit();

/// How it is told that a field names what the operator does not list: the code, and the field.
const AUDIENCE: (ErrorCode, &str) = (ErrorCode::AudienceNotAllowed, "audience");
const RESOURCE: (ErrorCode, &str) = (ErrorCode::ResourceNotAllowed, "resource");
const ISSUER: (ErrorCode, &str) = (ErrorCode::IssuerNotAllowed, "requested_issuer");

/// A provider and what is asked for there.
pub(crate) struct ProviderRequest {
    pub(crate) provider: Arc<dyn IdentityProvider>,
    pub(crate) wish: AccessRequest,
    /// Which account the provider is to suggest.
    pub(crate) login_hint: Option<String>,
    /// What is asked for beyond what a connection has.
    pub(crate) more_scopes: Option<Scopes>,
}

/// What a kernel's request asks for, where the operator permits it.
pub(crate) fn requested(
    providers: &Providers,
    request: &CreateSignIn,
) -> Result<ProviderRequest, KernelFailure> {
    let provider = Arc::clone(chosen_provider(providers, request)?);
    let wish = access_request(request, &provider.config().scope_policy)?;
    Ok(ProviderRequest {
        login_hint: wish.account.clone(),
        more_scopes: None,
        provider,
        wish,
    })
}

/// The provider that a request means.
fn chosen_provider<'a>(
    providers: &'a Providers,
    request: &CreateSignIn,
) -> Result<&'a Arc<dyn IdentityProvider>, KernelFailure> {
    match &request.provider {
        Some(id) => providers.get(id).ok_or_else(|| {
            refused(
                ErrorCode::UnknownProvider,
                format!("Choose one of: {}.", ids(providers)),
            )
        }),
        None => providers.only().ok_or_else(|| {
            refused(
                ErrorCode::ProviderRequired,
                format!("Name one of: {}.", ids(providers)),
            )
        }),
    }
}

fn ids(providers: &Providers) -> String {
    let ids: Vec<_> = providers
        .iter()
        .map(|provider| provider.config().id.as_str())
        .collect();
    ids.join(", ")
}

/// What a request asks for, with what it left out filled in.
fn access_request(
    request: &CreateSignIn,
    offer: &ScopePolicy,
) -> Result<AccessRequest, KernelFailure> {
    Ok(AccessRequest {
        scopes: scopes(request.scopes.as_ref(), offer)?,
        audience: choose(
            request.audience.as_ref(),
            offer.default_audience.as_ref(),
            &offer.allowed_audiences,
            AUDIENCE,
        )?,
        resource: choose(
            request.resource.as_ref(),
            offer.default_resource.as_ref(),
            &offer.allowed_resources,
            RESOURCE,
        )?,
        account: account(request.account.as_ref())?,
    })
}

/// The name of an account: it goes to the provider as a hint, and is compared with what comes back.
pub(crate) fn account(asked: Option<&String>) -> Result<Option<String>, KernelFailure> {
    let fits = |name: &&String| {
        (1..=MAX_ACCOUNT).contains(&name.chars().count()) && !name.contains(char::is_control)
    };
    match asked {
        None => Ok(None),
        Some(name) if fits(&name) => Ok(Some(name.clone())),
        Some(_) => Err(refused(
            ErrorCode::BadRequest,
            format!(
                "Name the `account` in 1 to {MAX_ACCOUNT} characters, none of them a control character."
            ),
        )),
    }
}

/// What part of a connection's access a request asks for; absent where it is all of it.
pub(crate) fn downscoped_key(
    request: &TokenRequest,
    offer: &ScopePolicy,
    connection: &Connection,
) -> Result<Option<DerivedTokenKey>, KernelFailure> {
    let wish = &connection.wish;
    let granted = &connection.grant.tokens.scopes;
    let scopes = request.scopes.as_ref().filter(|asked| *asked != granted);
    if let Some(asked) = scopes {
        check_scopes(asked, granted)?;
    }
    let target = DerivedTokenKey {
        way: DerivedBy::Refresh,
        audience: choose(
            request.audience.as_ref(),
            wish.audience.as_ref(),
            &offer.allowed_audiences,
            AUDIENCE,
        )?,
        resource: choose(
            request.resource.as_ref(),
            wish.resource.as_ref(),
            &offer.allowed_resources,
            RESOURCE,
        )?,
        scopes: scopes.cloned(),
        requested_issuer: None,
    };
    let own = target.scopes.is_none()
        && target.audience == wish.audience
        && target.resource == wish.resource;
    Ok(Some(target).filter(|_| !own))
}

/// What a request wants a token exchanged for.
pub(crate) fn exchange_key(
    request: &ExchangeRequest,
    offer: &ExchangeOffer,
) -> Result<DerivedTokenKey, KernelFailure> {
    if offer.is_empty() {
        return Err(no_exchange(request));
    }
    let listed =
        |asked: Option<&String>, allowed: &[String], code| choose(asked, None, allowed, code);
    let mut target = DerivedTokenKey {
        way: DerivedBy::Exchange,
        audience: listed(
            request.audience.as_ref(),
            &offer.allowed_audiences,
            AUDIENCE,
        )?,
        resource: listed(
            request.resource.as_ref(),
            &offer.allowed_resources,
            RESOURCE,
        )?,
        scopes: request.scopes.clone(),
        requested_issuer: listed(
            request.requested_issuer.as_ref(),
            &offer.requested_issuers,
            ISSUER,
        )?,
    };
    if let Some(asked) = &request.scopes {
        check_scopes(asked, &offer.allowed_scopes)?;
    }
    check_form(&target, offer)?;
    if target.scopes.is_none() {
        target.scopes = offer.default_scopes_of(&target);
    }
    Ok(target)
}

/// Why nothing is exchanged at a provider for which the operator lists nothing: the code is that of the first field that
/// says what for.
fn no_exchange(request: &ExchangeRequest) -> KernelFailure {
    let code = if request.audience.is_some() {
        ErrorCode::AudienceNotAllowed
    } else if request.resource.is_some() {
        ErrorCode::ResourceNotAllowed
    } else if request.requested_issuer.is_some() {
        ErrorCode::IssuerNotAllowed
    } else {
        ErrorCode::BadRequest
    };
    let detail = "No token of this provider is exchanged. Ask the operator to list under `token_exchange` what for.";
    refused(code, detail.to_owned())
}

/// An exchange is for something, and the endpoint for stored tokens takes nothing but the provider's alias.
fn check_form(target: &DerivedTokenKey, offer: &ExchangeOffer) -> Result<(), KernelFailure> {
    let for_api = target.audience.is_some() || target.resource.is_some();
    let detail = match &target.requested_issuer {
        None if !for_api => "Name an audience, a resource or a requested_issuer.",
        Some(_)
            if offer.requested_issuer_method == RequestedIssuerMethod::BrokerToken
                && (for_api || target.scopes.is_some()) =>
        {
            "Leave audience, resource and scopes out: the token of a requested_issuer is given as it is."
        }
        None | Some(_) => return Ok(()),
    };
    Err(refused(ErrorCode::BadRequest, detail.to_owned()))
}

/// No scope beyond those.
fn check_scopes(asked: &Scopes, allowed: &Scopes) -> Result<(), KernelFailure> {
    if allowed.covers(asked) {
        return Ok(());
    }
    let detail = if allowed.is_empty() {
        "Leave `scopes` out: there is none that can be chosen here.".to_owned()
    } else {
        format!("Choose `scopes` out of: {}.", allowed.to_oauth())
    };
    Err(refused(ErrorCode::ScopeNotAllowed, detail))
}

fn scopes(asked: Option<&Scopes>, offer: &ScopePolicy) -> Result<Scopes, KernelFailure> {
    let Some(asked) = asked else {
        return Ok(offer.default_scopes.clone());
    };
    check_scopes(asked, &offer.allowed_scopes)?;
    Ok(asked.clone())
}

fn choose(
    asked: Option<&String>,
    default: Option<&String>,
    allowed: &[String],
    (code, field): (ErrorCode, &str),
) -> Result<Option<String>, KernelFailure> {
    match asked {
        None => Ok(default.cloned()),
        Some(asked) if allowed.contains(asked) || default == Some(asked) => Ok(Some(asked.clone())),
        Some(_) if allowed.is_empty() => Err(refused(
            code,
            format!("Leave `{field}` out: this provider is not configured for any."),
        )),
        Some(_) => Err(refused(
            code,
            format!("Choose `{field}` out of: {}.", allowed.join(", ")),
        )),
    }
}

pub(crate) fn refused(code: ErrorCode, detail: String) -> KernelFailure {
    KernelFailure::Policy { code, detail }
}
