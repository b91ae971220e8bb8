//! What a kernel may ask for (SECURITY D13): ids and words out of the operator's lists, never URLs.

use std::sync::Arc;

use hubkey_protocol::{CreateSignIn, ErrorCode, Scopes};

use super::{Flows, failure::KernelFailure};
use crate::{
    domain::{provider::Offer, sign_in::Wish},
    idp::IdentityProvider,
};

/// No e-mail address is longer (RFC 5321 section 4.5.3.1.3), and few ids of accounts are.
const MAX_ACCOUNT: usize = 256;

impl Flows {
    /// The provider that a request means.
    pub(super) fn chosen_provider(
        &self,
        request: &CreateSignIn,
    ) -> Result<&Arc<dyn IdentityProvider>, KernelFailure> {
        match &request.provider {
            Some(id) => self.provider(id).ok_or_else(|| {
                refused(
                    ErrorCode::UnknownProvider,
                    format!("Choose one of: {}.", self.provider_ids()),
                )
            }),
            None => self.providers.only().ok_or_else(|| {
                refused(
                    ErrorCode::ProviderRequired,
                    format!("Name one of: {}.", self.provider_ids()),
                )
            }),
        }
    }

    fn provider_ids(&self) -> String {
        let ids: Vec<_> = self
            .providers
            .iter()
            .map(|provider| provider.config().id.as_str())
            .collect();
        ids.join(", ")
    }
}

/// What a request asks for, with what it left out filled in.
pub(super) fn wish(request: &CreateSignIn, offer: &Offer) -> Result<Wish, KernelFailure> {
    Ok(Wish {
        scopes: scopes(request.scopes.as_ref(), offer)?,
        audience: choose(
            request.audience.as_ref(),
            offer.default_audience.as_ref(),
            &offer.audiences,
            ErrorCode::AudienceNotAllowed,
        )?,
        resource: choose(
            request.resource.as_ref(),
            offer.default_resource.as_ref(),
            &offer.resources,
            ErrorCode::ResourceNotAllowed,
        )?,
        account: account(request.account.as_ref())?,
    })
}

/// The name of an account: it goes to the provider as a hint, and is compared with what comes back.
fn account(asked: Option<&String>) -> Result<Option<String>, KernelFailure> {
    let fits = |name: &&String| {
        (1..=MAX_ACCOUNT).contains(&name.len()) && !name.contains(char::is_control)
    };
    match asked {
        None => Ok(None),
        Some(name) if fits(&name) => Ok(Some(name.clone())),
        Some(_) => Err(refused(
            ErrorCode::BadRequest,
            format!("Name the account in 1 to {MAX_ACCOUNT} bytes without control characters."),
        )),
    }
}

fn scopes(asked: Option<&Scopes>, offer: &Offer) -> Result<Scopes, KernelFailure> {
    let Some(asked) = asked else {
        return Ok(offer.default_scopes.clone());
    };
    if offer.allowed_scopes.covers(asked) {
        return Ok(asked.clone());
    }
    let allowed = offer.allowed_scopes.to_oauth();
    Err(refused(
        ErrorCode::ScopeNotAllowed,
        format!("Ask for scopes out of: {allowed}."),
    ))
}

fn choose(
    asked: Option<&String>,
    default: Option<&String>,
    allowed: &[String],
    code: ErrorCode,
) -> Result<Option<String>, KernelFailure> {
    match asked {
        None => Ok(default.cloned()),
        Some(asked) if allowed.contains(asked) || default == Some(asked) => Ok(Some(asked.clone())),
        Some(_) if allowed.is_empty() => Err(refused(
            code,
            "Leave it out: this provider is not configured for any.".to_owned(),
        )),
        Some(_) => Err(refused(
            code,
            format!("Choose one of: {}.", allowed.join(", ")),
        )),
    }
}

fn refused(code: ErrorCode, detail: String) -> KernelFailure {
    KernelFailure::Policy { code, detail }
}
