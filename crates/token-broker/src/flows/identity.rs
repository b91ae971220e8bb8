//! Which account fits which hub user (SECURITY D4).

use hubkey_protocol::{ProviderId, secret::Secret};

use super::Flows;
use crate::{
    domain::{
        connection::Grant,
        kernel::{Fingerprint, HubUser},
        pin::{Owner, Pin},
        provider::IdentityPolicy,
        sign_in::SignIn,
    },
    idp::Granted,
    store::{
        Change, Expect, Key, Outcome, StoreError, length_prefixed,
        typed::{Loaded, TypedStore},
    },
};

/// The word for an account that is not the one that the notebook named.
pub(super) const ACCOUNT_DIFFERS: &str = "account_differs";

/// What the identity policy says of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It fits.
    Fits,
    /// The person has to say so.
    Ask {
        /// Whether this hub user was connected to another account there before.
        replaces: bool,
    },
    /// It does not fit; the word says why, for the audit stream.
    Refused(&'static str),
}

impl Flows {
    /// Whether the confirmation page will ask the person after the sign-in at the provider.
    pub(super) async fn confirms_later(&self, sign_in: &SignIn) -> Result<bool, StoreError> {
        let policy = self
            .provider(&sign_in.provider)
            .map(|provider| &provider.config().identity);
        if policy != Some(&IdentityPolicy::Pin) {
            return Ok(false);
        }
        let pin = self.pin_of(&sign_in.kernel.user, &sign_in.provider).await?;
        Ok(pin.is_none())
    }

    /// What the provider's identity policy says of the account that signed in.
    pub(super) async fn verdict(
        &self,
        sign_in: &SignIn,
        granted: &Granted,
    ) -> Result<Verdict, StoreError> {
        let Some(provider) = self.provider(&sign_in.provider) else {
            return Ok(Verdict::Refused("provider_gone"));
        };
        let config = provider.config();
        if let Some(verdict) = refused_by_domain(&config.email_domains, granted) {
            return Ok(verdict);
        }
        if !is_asked_for(sign_in, granted) {
            return Ok(Verdict::Refused(ACCOUNT_DIFFERS));
        }
        match &config.identity {
            IdentityPolicy::Unchecked => Ok(Verdict::Fits),
            IdentityPolicy::Claim(name) => Ok(match granted.claims.get(name) {
                Some(value) if value == sign_in.kernel.user.as_str() => Verdict::Fits,
                Some(_) => Verdict::Refused("claim_differs"),
                None => Verdict::Refused("claim_missing"),
            }),
            IdentityPolicy::Pin => {
                self.pinned(sign_in, &granted.issuer, &granted.account.sub)
                    .await
            }
        }
    }

    async fn pinned(
        &self,
        sign_in: &SignIn,
        issuer: &str,
        subject: &str,
    ) -> Result<Verdict, StoreError> {
        let user = &sign_in.kernel.user;
        let owner: Option<Loaded<Owner>> = self.store.load(&Key::owner(issuer, subject)).await?;
        if owner.as_ref().is_some_and(|owner| is_kept(owner, user)) {
            return Ok(Verdict::Refused("account_of_another_user"));
        }
        let reserved = owner.is_some_and(|owner| owner.value.user.is(user));
        Ok(match self.pin_of(user, &sign_in.provider).await? {
            // Both must be there: without its owner record an account is not reserved for this user.
            Some(pin) if reserved && pin.account.matches(&self.account(issuer, subject)) => {
                Verdict::Fits
            }
            // One of several accounts, named by the notebook, that this user confirmed before.
            Some(_) if reserved && sign_in.wish.account.is_some() => Verdict::Fits,
            Some(pin) => Verdict::Ask {
                replaces: sign_in.wish.account.is_none()
                    && !pin.account.matches(&self.account(issuer, subject)),
            },
            None => Verdict::Ask { replaces: false },
        })
    }

    /// The hub user's pin. One of who had the name before is none, nor is one of which nobody can say it: the person is
    /// asked again.
    async fn pin_of(
        &self,
        user: &HubUser,
        provider: &ProviderId,
    ) -> Result<Option<Pin>, StoreError> {
        let found: Option<Loaded<Pin>> = self.store.load(&Key::pin(user, provider)).await?;
        let found = found.map(|loaded| loaded.value);
        Ok(found.filter(|pin| is_of(pin, user)))
    }

    /// Remembers that the account belongs to the hub user: first the account's owner, which decides between two hub
    /// users, then the user's pin. `false` where the account belongs to another hub user.
    pub(super) async fn pin(&self, sign_in: &SignIn, grant: &Grant) -> Result<bool, StoreError> {
        let user = &sign_in.kernel.user;
        if !self
            .reserve(user, &Key::owner(&grant.issuer, &grant.account.sub))
            .await?
        {
            return Ok(false);
        }
        let key = Key::pin(user, &sign_in.provider);
        let pin = Pin {
            account: self.account(&grant.issuer, &grant.account.sub),
            of: Some(user.clone()),
        };
        let found: Option<Loaded<Pin>> = self.store.load(&key).await?;
        // One of several accounts that a notebook names does not become the one for those that name none.
        if sign_in.wish.account.is_some()
            && found.as_ref().is_some_and(|found| {
                is_of(&found.value, user) && !found.value.account.matches(&pin.account)
            })
        {
            return Ok(true);
        }
        let expect = found.as_ref().map_or(Expect::Absent, Loaded::expect);
        let put = Change::put(key, expect, &pin, self.rules.pin_life)?;
        // A concurrent confirmation of the same hub user pinned meanwhile: the last one to ask stands as well.
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        Ok(true)
    }

    /// A sign-in with the pinned account keeps the pin alive.
    pub(super) async fn renew_pin(
        &self,
        sign_in: &SignIn,
        grant: &Grant,
    ) -> Result<(), StoreError> {
        let provider = self.provider(&sign_in.provider);
        if provider.is_some_and(|provider| provider.config().identity == IdentityPolicy::Pin) {
            self.pin(sign_in, grant).await?;
        }
        Ok(())
    }

    async fn reserve(&self, user: &HubUser, key: &Key) -> Result<bool, StoreError> {
        loop {
            let found: Option<Loaded<Owner>> = self.store.load(key).await?;
            if found.as_ref().is_some_and(|owner| is_kept(owner, user)) {
                return Ok(false);
            }
            let expect = found.as_ref().map_or(Expect::Absent, Loaded::expect);
            let owner = Owner { user: user.clone() };
            let put = Change::put(key.clone(), expect, &owner, self.rules.pin_life)?;
            if self.store.commit(vec![put]).await? == Outcome::Done {
                return Ok(true);
            }
        }
    }

    fn account(&self, issuer: &str, subject: &str) -> Fingerprint {
        Fingerprint::new(
            self.index_key
                .hash("account", &length_prefixed(&[issuer, subject])),
        )
    }
}

/// Whether an account stays another hub user's. Where the name was given again, or a Hub's database was made anew, its
/// new holder may have the account, if they say so on the confirmation page; another name may not.
fn is_kept(owner: &Loaded<Owner>, user: &HubUser) -> bool {
    owner.value.user.as_str() != user.as_str()
}

fn is_of(pin: &Pin, user: &HubUser) -> bool {
    pin.of.as_ref().is_some_and(|of| of.is(user))
}

/// Why the operator's list of e-mail domains keeps an account out, if it does. An address that the provider does not
/// vouch for is none.
fn refused_by_domain(domains: &[String], granted: &Granted) -> Option<Verdict> {
    if domains.is_empty() {
        return None;
    }
    let Some((_, domain)) = granted
        .claims
        .get("email")
        .and_then(|email| email.rsplit_once('@'))
    else {
        return Some(Verdict::Refused("email_missing"));
    };
    let listed = domains.iter().any(|one| one.eq_ignore_ascii_case(domain));
    (!listed).then_some(Verdict::Refused("email_domain"))
}

/// Whether the account is the one that the notebook named, if it named one.
fn is_asked_for(sign_in: &SignIn, granted: &Granted) -> bool {
    let Some(name) = &sign_in.wish.account else {
        return true;
    };
    granted.account.goes_by(name) || granted.claims.get("preferred_username") == Some(name)
}

/// The grant of an answer.
pub(super) fn grant(granted: Granted) -> Grant {
    Grant {
        issuer: granted.issuer,
        account: granted.account,
        scopes: granted.scopes,
        access_token: granted.access_token,
        token_type: granted.token_type,
        obtained_at: granted.obtained_at,
        expires_at: granted.expires_at,
        refresh_token: granted
            .refresh_token
            .filter(|token| !token.expose().is_empty()),
        serial: 0,
        proof: granted.proof,
    }
}
