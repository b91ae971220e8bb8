//! Which account fits which hub user (SECURITY D4).

use std::sync::Arc;

use hubkey_domain::{
    account_link::{AccountLink, AccountOwner},
    connection::{Grant, Narrowing},
    identity::HubUser,
    keyed_hash::KeyedHash,
    provider::IdentityPolicy,
    sign_in::SignIn,
};
use hubkey_oidc::Granted;
use hubkey_protocol::{ProviderId, secret::Secret};
use hubkey_store::keys::LookupMacKey;
use hubkey_store::{
    Change, Expect, Key, Outcome, RetiredKey, Store, StoreError, length_prefixed,
    typed::{Found, Loaded, TypedStore},
};

use crate::use_cases::{base::Base, providers::Providers, rules::Rules};

/// The word for an account that is not the one that the notebook named.
pub(crate) const ACCOUNT_DIFFERS: &str = "account_differs";

/// The word for an account of another hub user.
pub(crate) const ACCOUNT_OF_ANOTHER: &str = "account_of_another_user";

/// What the identity policy says of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It fits.
    Fits,
    /// The person has to say so.
    Ask {
        /// Whether this hub user was connected to another account there before.
        replaces: bool,
    },
    /// It does not fit; the word says why, for the audit stream.
    Refused(&'static str),
    /// Whose it is was sealed with a key that is held no more, so nobody can say.
    OwnerUnreadable(RetiredKey),
}

/// How an attempt to link an account ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum LinkOutcome {
    /// It is this hub user's.
    Done,
    /// It is another hub user's.
    OwnedByOther,
    /// As [`Verdict::OwnerUnreadable`].
    OwnerUnreadable(RetiredKey),
}

/// Whose an account is, as far as it can be read.
enum Ownership {
    Free,
    By(Loaded<AccountOwner>),
    Unreadable(RetiredKey),
}

/// Decides which account fits which hub user, and remembers it.
#[derive(Debug)]
pub(crate) struct AccountLinks {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    lookup_mac_key: LookupMacKey,
    rules: Arc<Rules>,
}

impl AccountLinks {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            lookup_mac_key: base.lookup_mac_key.clone(),
            rules: Arc::clone(&base.rules),
        }
    }

    /// Whether the confirmation page will ask the person after the sign-in at the provider.
    pub(crate) async fn will_confirm(&self, sign_in: &SignIn) -> Result<bool, StoreError> {
        let policy = self
            .providers
            .get(&sign_in.provider)
            .map(|provider| &provider.config().account_policy);
        if policy != Some(&IdentityPolicy::Confirm) {
            return Ok(false);
        }
        let link = self
            .link_of(&sign_in.kernel.user, &sign_in.provider)
            .await?;
        Ok(link.is_none())
    }

    /// What the provider's identity policy says of the account that signed in.
    pub(crate) async fn verdict(
        &self,
        sign_in: &SignIn,
        granted: &Granted,
    ) -> Result<Verdict, StoreError> {
        let Some(provider) = self.providers.get(&sign_in.provider) else {
            return Ok(Verdict::Refused("provider_gone"));
        };
        let config = provider.config();
        if let Some(verdict) = refused_by_domain(&config.allowed_email_domains, granted) {
            return Ok(verdict);
        }
        if !is_asked_for(sign_in, granted) {
            return Ok(Verdict::Refused(ACCOUNT_DIFFERS));
        }
        match &config.account_policy {
            IdentityPolicy::Unchecked => Ok(Verdict::Fits),
            IdentityPolicy::Claim(name) => Ok(match granted.claims.get(name) {
                Some(value) if value == sign_in.kernel.user.as_str() => Verdict::Fits,
                Some(_) => Verdict::Refused("claim_differs"),
                None => Verdict::Refused("claim_missing"),
            }),
            IdentityPolicy::Confirm => {
                self.check_link(sign_in, &granted.issuer, &granted.account.sub)
                    .await
            }
        }
    }

    async fn check_link(
        &self,
        sign_in: &SignIn,
        issuer: &str,
        subject: &str,
    ) -> Result<Verdict, StoreError> {
        let user = &sign_in.kernel.user;
        let owner = self.load_owner(&Key::owner(issuer, subject)).await?;
        if matches!(&owner, Ownership::By(other) if belongs_to_other(other, user)) {
            return Ok(Verdict::Refused(ACCOUNT_OF_ANOTHER));
        }
        let link = self.link_of(user, &sign_in.provider).await?;
        let account = self.account(issuer, subject);
        let same = is_same(link.as_ref(), &account);
        // Without its owner record an account is not reserved for this user.
        let reserved = match owner {
            Ownership::Free => false,
            Ownership::By(other) => other.value.user.is(user),
            Ownership::Unreadable(_) if same => true,
            Ownership::Unreadable(retired) => return Ok(Verdict::OwnerUnreadable(retired)),
        };
        let named = sign_in.wish.account.is_some();
        Ok(match link {
            // The linked account, or one of several, named by the notebook, that this user confirmed before.
            Some(_) if reserved && (same || named) => Verdict::Fits,
            Some(_) => Verdict::Ask {
                replaces: !named && !same,
            },
            None => Verdict::Ask { replaces: false },
        })
    }

    /// The hub user's account link. One of who had the name before is none, nor is one of which nobody can say it: the person is
    /// asked again.
    async fn link_of(
        &self,
        user: &HubUser,
        provider: &ProviderId,
    ) -> Result<Option<AccountLink>, StoreError> {
        let found: Option<Loaded<AccountLink>> =
            self.store.load(&Key::account_link(user, provider)).await?;
        let found = found.map(|loaded| loaded.value);
        Ok(found.filter(|link| is_of(link, user)))
    }

    /// Remembers that the account belongs to the hub user: first the account's owner, which decides between two hub
    /// users, then the user's account link.
    pub(crate) async fn link(
        &self,
        sign_in: &SignIn,
        grant: &Grant,
    ) -> Result<LinkOutcome, StoreError> {
        let user = &sign_in.kernel.user;
        let key = Key::account_link(user, &sign_in.provider);
        let link = AccountLink {
            account: self.account(&grant.issuer, &grant.account.sub),
            of: Some(user.clone()),
        };
        let found: Found<AccountLink> = self.store.load(&key).await?;
        let mine = found.as_ref().map(|found| &found.value);
        let mine = mine.filter(|link| is_of(link, user));
        let same = is_same(mine, &link.account);
        let owner = Key::owner(&grant.issuer, &grant.account.sub);
        let reserved = self.reserve(user, &owner, same).await?;
        // One of several accounts that a notebook names does not become the one for those that name none.
        let beside = sign_in.wish.account.is_some() && mine.is_some() && !same;
        if reserved != LinkOutcome::Done || beside {
            return Ok(reserved);
        }
        let expect = found.as_ref().map_or(Expect::Absent, Loaded::expect);
        let put = Change::put(key, expect, &link, self.rules.account_link_lifetime)?;
        // A concurrent confirmation of the same hub user linked meanwhile: the last one to ask stands as well.
        let (Outcome::Done | Outcome::Conflict) = self.store.commit(vec![put]).await?;
        Ok(LinkOutcome::Done)
    }

    /// A sign-in with the linked account keeps the account link alive.
    pub(crate) async fn renew_link(
        &self,
        sign_in: &SignIn,
        grant: &Grant,
    ) -> Result<LinkOutcome, StoreError> {
        let provider = self.providers.get(&sign_in.provider);
        if provider
            .is_some_and(|provider| provider.config().account_policy == IdentityPolicy::Confirm)
        {
            return self.link(sign_in, grant).await;
        }
        Ok(LinkOutcome::Done)
    }

    /// Makes the account this hub user's. An owner record that nobody can read any more is replaced where the user's account link
    /// is the same account's: an account link is written only after its account was reserved, and opens with a key that is held
    /// (ADR 58).
    async fn reserve(
        &self,
        user: &HubUser,
        key: &Key,
        linked: bool,
    ) -> Result<LinkOutcome, StoreError> {
        loop {
            let expect = match self.load_owner(key).await? {
                Ownership::Free => Expect::Absent,
                Ownership::By(owner) if belongs_to_other(&owner, user) => {
                    return Ok(LinkOutcome::OwnedByOther);
                }
                Ownership::By(owner) => owner.expect(),
                Ownership::Unreadable(retired) if linked => Expect::Generation(retired.generation),
                Ownership::Unreadable(retired) => return Ok(LinkOutcome::OwnerUnreadable(retired)),
            };
            let owner = AccountOwner { user: user.clone() };
            let put = Change::put(
                key.clone(),
                expect,
                &owner,
                self.rules.account_link_lifetime,
            )?;
            if self.store.commit(vec![put]).await? == Outcome::Done {
                return Ok(LinkOutcome::Done);
            }
        }
    }

    async fn load_owner(&self, key: &Key) -> Result<Ownership, StoreError> {
        match self.store.load(key).await {
            Ok(found) => Ok(found.map_or(Ownership::Free, Ownership::By)),
            Err(StoreError::KeyRetired(retired)) => Ok(Ownership::Unreadable(retired)),
            Err(error) => Err(error),
        }
    }

    fn account(&self, issuer: &str, subject: &str) -> KeyedHash {
        KeyedHash::new(
            self.lookup_mac_key
                .hash("account", &length_prefixed(&[issuer, subject])),
        )
    }
}

/// Whether an account stays another hub user's. Where the name was given again, or a Hub's database was made anew, its
/// new holder may have the account, if they say so on the confirmation page; another name may not.
fn belongs_to_other(owner: &Loaded<AccountOwner>, user: &HubUser) -> bool {
    owner.value.user.as_str() != user.as_str()
}

/// Whether an account link is this very hub user's, and not of who had the name before.
pub(crate) fn is_of(link: &AccountLink, user: &HubUser) -> bool {
    link.of.as_ref().is_some_and(|of| of.is(user))
}

/// Whether an account link is of this account.
fn is_same(link: Option<&AccountLink>, account: &KeyedHash) -> bool {
    link.is_some_and(|link| link.account.matches(account))
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
    granted.account.matches_name(name) || granted.claims.get("preferred_username") == Some(name)
}

/// The grant of an answer.
pub(crate) fn grant_of(mut granted: Granted) -> Grant {
    let refresh_token = granted.tokens.refresh_token.take();
    granted.tokens.refresh_token = refresh_token.filter(|token| !token.expose().is_empty());
    Grant {
        issuer: granted.issuer,
        account: granted.account,
        tokens: granted.tokens,
        token_type: granted.token_type,
        serial: 0,
        proof: granted.proof,
        narrowing: Narrowing::default(),
    }
}
