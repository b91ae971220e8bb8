//! How a sign-in ends without a connection: in the store, for its kernel, and on its person's page.

use std::sync::Arc;

use hubkey_domain::{
    connection::Grant,
    flow::FlowStage,
    random::RandomSource,
    sign_in::{SignIn, SignInState},
};
use hubkey_oidc::{IdpError, OAuthError, UserinfoError};
use hubkey_protocol::{
    ConnectionId, ErrorReference, ProviderId, SignInFailure,
    internal::{BrowserAnswer, BrowserReply, Refusal, TooLong},
    provider_rules::{Consequence, ProviderRule},
};
use hubkey_store::keys::KeyId;
use hubkey_store::{Change, Outcome, Store, StoreError, typed::Loaded};

use crate::{
    audit::{Event, EventKind},
    use_cases::{
        base::Base,
        browser::{
            error_pages::{ErrorPages, reply},
            flow::Browser,
        },
        connections::revocation::Revocation,
        records::{Records, sign_ins::SignInRecords, user_indexes::UserIndexes},
        rules::Rules,
        sign_in::account_link::ACCOUNT_DIFFERS,
    },
};

/// How a sign-in ends for its kernel.
#[derive(Debug, Clone)]
pub(crate) enum KernelOutcome {
    /// Refused or cancelled.
    Denied,
    /// By a fault; its person's page shows the reference.
    Failed(SignInFailure, ErrorReference),
}

/// How a sign-in ends: its row in the table of failures, and the closer word for the audit stream.
pub(crate) struct SignInOutcome {
    failure: SignInFailure,
    word: &'static str,
    further_changes: Vec<Change>,
    /// The encryption key that is missing, and the reference under which that was logged.
    missing: Option<(KeyId, ErrorReference)>,
}

impl SignInOutcome {
    /// The person chose not to; the word says where.
    pub(crate) fn cancelled(word: &'static str) -> Self {
        Self::new(SignInFailure::Cancelled, word)
    }

    /// The account is another hub user's, or does not fit this one.
    pub(crate) fn account(word: &'static str) -> Self {
        let failure = if word == ACCOUNT_DIFFERS {
            SignInFailure::AccountDiffers
        } else {
            SignInFailure::AccountRefused
        };
        Self::new(failure, word)
    }

    /// Nobody can read any more whose the account is; the operator finds it in the log, with this reference.
    pub(crate) fn owner_unreadable(key: KeyId, reference: ErrorReference) -> Self {
        Self {
            missing: Some((key, reference)),
            ..Self::new(SignInFailure::OwnerUnreadable, "key_retired")
        }
    }

    /// What was granted could not be stored.
    pub(crate) fn store_unavailable() -> Self {
        Self::new(SignInFailure::StoreUnavailable, "store_failed")
    }

    /// The Hub did not say who the browser is.
    pub(crate) fn hub_unavailable() -> Self {
        Self::new(SignInFailure::HubUnavailable, "hub_unavailable")
    }

    /// The provider failed, or broke a rule.
    pub(crate) fn provider(error: IdpError) -> Self {
        let (failure, word) = match error {
            IdpError::Unavailable => (SignInFailure::ProviderUnavailable, "unavailable"),
            IdpError::OutcomeUnknown => (SignInFailure::OutcomeUnknown, "outcome_unknown"),
            IdpError::RuleBroken(rule) => return Self::rule_broken(rule),
            IdpError::Misconfigured(what) => (SignInFailure::ProviderMisconfigured, what),
            IdpError::Userinfo(reason @ (UserinfoError::Refused | UserinfoError::TokenRefused)) => {
                (SignInFailure::ProviderMisconfigured, reason.word())
            }
            IdpError::Userinfo(reason) => (SignInFailure::ProviderProtocolError, reason.word()),
            IdpError::Refused(code) => return Self::refused(code),
        };
        Self::new(failure, word)
    }

    fn rule_broken(rule: ProviderRule) -> Self {
        let failure = match rule.row().consequence {
            Consequence::SignIn(failure) => failure,
            // No sign-in reads a logout token.
            Consequence::Logout => SignInFailure::ProviderProtocolError,
        };
        Self::new(failure, rule.name())
    }

    /// What the browser brought back was left out, because it was too long (ADR 57).
    pub(crate) fn too_long(what: TooLong) -> Self {
        let (failure, word) = match what {
            TooLong::Code => (SignInFailure::AnswerTooLong, "code_too_long"),
            TooLong::Issuer => (SignInFailure::AnswerTooLong, "issuer_too_long"),
            TooLong::Address => (SignInFailure::AnswerTooLong, "address_too_long"),
            TooLong::Header => (SignInFailure::CookiesTooLong, "header_too_long"),
        };
        Self::new(failure, word)
    }

    /// The provider refused, with a standard code.
    pub(crate) fn refused(code: OAuthError) -> Self {
        let (failure, word) = match code {
            OAuthError::AccessDenied => (SignInFailure::AccessDenied, "access_denied"),
            OAuthError::InteractionRequired => {
                (SignInFailure::InteractionRequired, "interaction_required")
            }
            OAuthError::RequestExpired => (SignInFailure::CodeExpired, "invalid_request_uri"),
            OAuthError::InvalidGrant => (SignInFailure::CodeExpired, "invalid_grant"),
            OAuthError::NotOffered => (SignInFailure::NotOffered, "not_offered"),
            OAuthError::Unavailable => (
                SignInFailure::ProviderUnavailable,
                "temporarily_unavailable",
            ),
            OAuthError::Misconfigured => (SignInFailure::ProviderMisconfigured, "misconfigured"),
            OAuthError::InvalidToken | OAuthError::Other => {
                (SignInFailure::ProviderProtocolError, "unknown_error")
            }
        };
        Self::new(failure, word)
    }

    /// A redirect came back with neither code nor error.
    pub(crate) fn empty_response() -> Self {
        Self::new(
            SignInFailure::ProviderProtocolError,
            "neither_code_nor_error",
        )
    }

    /// Together with further changes of the sign-in's aggregate.
    pub(crate) fn with_changes(self, further_changes: Vec<Change>) -> Self {
        Self {
            further_changes,
            ..self
        }
    }

    fn new(failure: SignInFailure, word: &'static str) -> Self {
        Self {
            failure,
            word,
            further_changes: Vec::new(),
            missing: None,
        }
    }

    fn for_kernel(&self, reference: &ErrorReference) -> KernelOutcome {
        if self.failure.row().reported_to_kernel {
            KernelOutcome::Failed(self.failure, reference.clone())
        } else {
            KernelOutcome::Denied
        }
    }
}

/// Ends sign-ins that become no connection.
#[derive(Debug)]
pub(crate) struct SignInEndings {
    store: Arc<dyn Store>,
    chance: Arc<dyn RandomSource>,
    rules: Arc<Rules>,
    error_pages: Arc<ErrorPages>,
    indexes: Arc<UserIndexes>,
    revocation: Arc<Revocation>,
    sign_ins: Arc<SignInRecords>,
}

impl SignInEndings {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        error_pages: &Arc<ErrorPages>,
        revocation: &Arc<Revocation>,
    ) -> Self {
        Self {
            store: Arc::clone(&base.store),
            chance: Arc::clone(&base.chance),
            rules: Arc::clone(&base.rules),
            error_pages: Arc::clone(error_pages),
            indexes: Arc::clone(&records.indexes),
            revocation: Arc::clone(revocation),
            sign_ins: Arc::clone(&records.sign_ins),
        }
    }

    /// Ends an open sign-in together with further changes of its aggregate. `false` where it had moved meanwhile.
    pub(crate) async fn end_sign_in(
        &self,
        loaded: Loaded<SignIn>,
        end: KernelOutcome,
        mut changes: Vec<Change>,
    ) -> Result<bool, StoreError> {
        let (loaded, left) = without_candidate(loaded);
        let outcome = outcome(&end);
        let ended = loaded.try_map(|sign_in| match end {
            KernelOutcome::Denied => sign_in.deny(),
            KernelOutcome::Failed(reason, reference) => sign_in.fail(reason, reference),
        });
        let Ok(ended) = ended else { return Ok(false) };
        changes.push(self.sign_ins.put(&ended)?.waking());
        if self.store.commit(changes).await? == Outcome::Conflict {
            return Ok(false);
        }
        let sign_in = &ended.value;
        if let Some((id, grant)) = left {
            self.revoke(sign_in, &id, grant).await;
        }
        count(&sign_in.provider, outcome);
        self.indexes.note_ended(sign_in).await;
        Ok(true)
    }

    /// Ends the sign-in, and shows its person why.
    pub(crate) async fn end_with_page(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        ending: SignInOutcome,
    ) -> Result<BrowserReply, StoreError> {
        let source = browser.source;
        let ended = self.end_unless_moved(browser, loaded, ending).await?;
        Ok(ended.unwrap_or_else(|| self.error_pages.conflict(source)))
    }

    /// The same; nothing where the sign-in had moved meanwhile.
    pub(crate) async fn end_unless_moved(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        ending: SignInOutcome,
    ) -> Result<Option<BrowserReply>, StoreError> {
        let (key, reference) = ending.missing.clone().unzip();
        let reference = reference.unwrap_or_else(|| self.chance.reference());
        let end = ending.for_kernel(&reference);
        Event::for_sign_in(&loaded.value)
            .source(browser.source)
            .reference(&reference)
            .reason(ending.word)
            .key(key)
            .emit(ending.failure.into());
        let provider = loaded.value.provider.clone();
        let stage = FlowStage::Ended {
            provider,
            reason: ending.failure,
            reference,
        };
        let mut changes = ending.further_changes;
        changes.push(browser.put(stage, self.rules.sign_in_lifetime)?);
        let ended = self.end_sign_in(loaded, end, changes).await?;
        let flow = browser.short;
        Ok(ended.then(|| reply(BrowserAnswer::View { flow })))
    }

    /// Denies the sign-in, ends the flow, and says nothing to the browser but that it may not.
    pub(crate) async fn deny_and_refuse(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        kind: EventKind,
        word: &str,
    ) -> Result<BrowserReply, StoreError> {
        let reference = self.chance.reference();
        Event::for_sign_in(&loaded.value)
            .source(browser.source)
            .reference(&reference)
            .reason(word)
            .emit(kind);
        self.end_sign_in(loaded, KernelOutcome::Denied, vec![browser.delete()])
            .await?;
        let answer = BrowserAnswer::Refused {
            refusal: Refusal::Forbidden,
            reference,
        };
        Ok(BrowserReply {
            answer,
            set_cookie: None,
            clear_cookie: Some(browser.short),
        })
    }

    /// Revokes the tokens of a grant that does not become the connection of this id. Nothing waits for the provider.
    pub(crate) async fn revoke(&self, sign_in: &SignIn, id: &ConnectionId, grant: Grant) {
        Event::for_sign_in(sign_in).emit(EventKind::GrantEnded);
        self.revocation
            .revoke_grant(&sign_in.provider, id, grant)
            .await;
    }
}

/// Takes out the grant that waits for confirmation, so that it can be revoked.
fn without_candidate(loaded: Loaded<SignIn>) -> (Loaded<SignIn>, Option<(ConnectionId, Grant)>) {
    let Loaded { value, generation } = loaded;
    match value.state {
        SignInState::Confirming { flow, candidate } => {
            let value = SignIn {
                state: SignInState::Exchanging { flow },
                ..value
            };
            let left = (candidate.connection, candidate.grant);
            (Loaded { value, generation }, Some(left))
        }
        SignInState::Created
        | SignInState::Claimed { .. }
        | SignInState::Authorizing { .. }
        | SignInState::Exchanging { .. }
        | SignInState::Ready { .. }
        | SignInState::Delivered { .. }
        | SignInState::Closed
        | SignInState::Denied
        | SignInState::Failed { .. } => (Loaded { value, generation }, None),
    }
}

/// Counts how a sign-in ended.
pub(crate) fn count(provider: &ProviderId, outcome: &'static str) {
    metrics::counter!("hubkey_sign_ins_total", "provider" => provider.as_str().to_owned(), "outcome" => outcome)
        .increment(1);
}

fn outcome(end: &KernelOutcome) -> &'static str {
    match end {
        KernelOutcome::Denied => "denied",
        KernelOutcome::Failed(failure, _) => failure.name(),
    }
}
