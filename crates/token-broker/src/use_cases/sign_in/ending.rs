//! How a sign-in ends without a connection: in the store, for its kernel, and on its person's page.

use std::sync::Arc;

use hubkey_protocol::{
    ConnectionId, ProviderId, Reference, SignInFailure,
    internal::{BrowserAnswer, BrowserReply, EndReason, Refusal, TooLong},
};

use crate::{
    audit::{Event, What},
    domain::{
        chance::RandomSource,
        connection::Grant,
        flow::FlowStage,
        sign_in::{SignIn, SignInState},
    },
    idp::{IdpError, OAuthError},
    keys::KeyId,
    store::{Change, Outcome, Store, StoreError, typed::Loaded},
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
#[derive(Debug, Clone, Copy)]
pub(crate) enum KernelOutcome {
    /// Refused or cancelled.
    Denied,
    /// By a fault.
    Failed(SignInFailure),
}

/// How a sign-in ends: for its person, for its kernel and in the audit stream.
pub(crate) struct SignInOutcome {
    reason: EndReason,
    end: KernelOutcome,
    what: What,
    word: &'static str,
    use_up: Vec<Change>,
    /// The encryption key that is missing, and what the person was already told of it by.
    missing: Option<(KeyId, Reference)>,
}

impl SignInOutcome {
    /// The person chose not to; the word says where.
    pub(crate) fn cancelled(word: &'static str) -> Self {
        Self::new(
            EndReason::Cancelled,
            KernelOutcome::Denied,
            What::AccountConfirmationCancelled,
            word,
        )
    }

    /// The account is another hub user's, or does not fit this one.
    pub(crate) fn account(word: &'static str) -> Self {
        let reason = if word == ACCOUNT_DIFFERS {
            EndReason::AccountDiffers
        } else {
            EndReason::AccountRefused
        };
        Self::new(
            reason,
            KernelOutcome::Denied,
            What::AccountLinkConflict,
            word,
        )
    }

    /// Nobody can read any more whose the account is; the operator was told, with this reference.
    pub(crate) fn owner_unreadable(key: KeyId, reference: Reference) -> Self {
        let end = KernelOutcome::Failed(SignInFailure::OperatorNeeded);
        let ending = Self::new(
            EndReason::OwnerUnreadable,
            end,
            What::OwnerUnreadable,
            "key_retired",
        );
        Self {
            missing: Some((key, reference)),
            ..ending
        }
    }

    /// What was granted could not be stored.
    pub(crate) fn store_unavailable() -> Self {
        let end = KernelOutcome::Failed(SignInFailure::RetrySignIn);
        Self::new(
            EndReason::StoreUnavailable,
            end,
            What::PolicyDenied,
            "store_failed",
        )
    }

    /// The Hub did not say who the browser is.
    pub(crate) fn hub_unavailable() -> Self {
        let end = KernelOutcome::Failed(SignInFailure::RetrySignIn);
        Self::new(
            EndReason::ProviderUnavailable,
            end,
            What::HubMismatch,
            "hub_unavailable",
        )
    }

    /// The provider failed, or broke a rule.
    pub(crate) fn provider(error: IdpError) -> Self {
        use EndReason::{ProviderMisbehaved, ProviderMisconfigured, ProviderUnavailable};
        match error {
            IdpError::Unavailable => Self::failed(
                ProviderUnavailable,
                SignInFailure::ProviderUnavailable,
                "unavailable",
            ),
            IdpError::OutcomeUnknown => Self::failed(
                ProviderUnavailable,
                SignInFailure::RetrySignIn,
                "outcome_unknown",
            ),
            IdpError::Misbehaved(rule) if error.is_too_long() => {
                Self::failed(EndReason::AnswerTooLong, SignInFailure::AnswerTooLong, rule)
            }
            IdpError::Misbehaved(rule) => {
                Self::failed(ProviderMisbehaved, SignInFailure::ProviderMisbehaved, rule)
            }
            IdpError::Misconfigured(what) => Self::failed(
                ProviderMisconfigured,
                SignInFailure::ProviderMisconfigured,
                what,
            ),
            IdpError::Refused(code) => Self::refused(code),
        }
    }

    /// What the browser brought back was left out, because it was too long (ADR 57).
    pub(crate) fn too_long(what: TooLong) -> Self {
        let (reason, word) = match what {
            TooLong::Code => (EndReason::AnswerTooLong, "code_too_long"),
            TooLong::Issuer => (EndReason::AnswerTooLong, "issuer_too_long"),
            TooLong::Address => (EndReason::AnswerTooLong, "address_too_long"),
            TooLong::Header => (EndReason::CookiesTooLong, "header_too_long"),
        };
        Self::failed(reason, SignInFailure::AnswerTooLong, word)
    }

    /// The provider refused, with a standard code.
    pub(crate) fn refused(code: OAuthError) -> Self {
        use SignInFailure as F;
        match code {
            OAuthError::AccessDenied => {
                Self::failed(EndReason::AccessDenied, F::ProviderDenied, "access_denied")
            }
            OAuthError::InteractionRequired => Self::failed(
                EndReason::InteractionRequired,
                F::ProviderDenied,
                "interaction_required",
            ),
            OAuthError::NotOffered => Self::failed(
                EndReason::NotOffered,
                F::ProviderMisconfigured,
                "not_offered",
            ),
            OAuthError::Unavailable => Self::failed(
                EndReason::ProviderUnavailable,
                F::ProviderUnavailable,
                "temporarily_unavailable",
            ),
            OAuthError::Misconfigured => Self::failed(
                EndReason::ProviderMisconfigured,
                F::ProviderMisconfigured,
                "misconfigured",
            ),
            OAuthError::InvalidGrant => Self::failed(
                EndReason::ProviderMisbehaved,
                F::ProviderDenied,
                "invalid_grant",
            ),
            OAuthError::Other => Self::failed(
                EndReason::ProviderMisbehaved,
                F::ProviderMisbehaved,
                "unknown_error",
            ),
        }
    }

    /// A redirect came back with neither code nor error.
    pub(crate) fn empty_response() -> Self {
        Self::failed(
            EndReason::ProviderMisbehaved,
            SignInFailure::ProviderMisbehaved,
            "neither_code_nor_error",
        )
    }

    /// Together with further changes of the sign-in's aggregate.
    pub(crate) fn using_up(self, use_up: Vec<Change>) -> Self {
        Self { use_up, ..self }
    }

    fn failed(reason: EndReason, failure: SignInFailure, word: &'static str) -> Self {
        Self::new(
            reason,
            KernelOutcome::Failed(failure),
            What::ProviderFailed,
            word,
        )
    }

    fn new(reason: EndReason, end: KernelOutcome, what: What, word: &'static str) -> Self {
        Self {
            reason,
            end,
            what,
            word,
            use_up: Vec::new(),
            missing: None,
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
        let ended = loaded.try_map(|sign_in| match end {
            KernelOutcome::Denied => sign_in.deny(),
            KernelOutcome::Failed(reason) => sign_in.fail(reason),
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
        count(&sign_in.provider, outcome(end));
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
        Ok(ended.unwrap_or_else(|| self.error_pages.forbidden(source, "moved_meanwhile")))
    }

    /// The same; nothing where the sign-in had moved meanwhile.
    pub(crate) async fn end_unless_moved(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        ending: SignInOutcome,
    ) -> Result<Option<BrowserReply>, StoreError> {
        let (key, reference) = ending.missing.unzip();
        let reference = reference.unwrap_or_else(|| self.chance.reference());
        Event::about(&loaded.value)
            .source(browser.source)
            .reference(&reference)
            .reason(ending.word)
            .key(key)
            .tell(ending.what);
        let provider = loaded.value.provider.clone();
        let stage = FlowStage::Ended {
            provider,
            reason: ending.reason,
            reference,
        };
        let mut changes = ending.use_up;
        changes.push(browser.put(stage, self.rules.sign_in_lifetime)?);
        let ended = self.end_sign_in(loaded, ending.end, changes).await?;
        let flow = browser.short;
        Ok(ended.then(|| reply(BrowserAnswer::View { flow })))
    }

    /// Denies the sign-in, ends the flow, and tells the browser nothing but that it may not.
    pub(crate) async fn deny_and_refuse(
        &self,
        browser: Browser<'_>,
        loaded: Loaded<SignIn>,
        what: What,
        word: &str,
    ) -> Result<BrowserReply, StoreError> {
        let reference = self.chance.reference();
        Event::about(&loaded.value)
            .source(browser.source)
            .reference(&reference)
            .reason(word)
            .tell(what);
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

    /// Gives back the tokens of a grant that does not become the connection of this id. Nothing waits for the provider.
    pub(crate) async fn revoke(&self, sign_in: &SignIn, id: &ConnectionId, grant: Grant) {
        Event::about(sign_in).tell(What::TokenRevoked);
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
        _ => (Loaded { value, generation }, None),
    }
}

/// Counts how a sign-in ended.
pub(crate) fn count(provider: &ProviderId, outcome: &'static str) {
    metrics::counter!("hubkey_sign_ins_total", "provider" => provider.as_str().to_owned(), "outcome" => outcome)
        .increment(1);
}

pub(crate) fn outcome(end: KernelOutcome) -> &'static str {
    match end {
        KernelOutcome::Denied => "denied",
        KernelOutcome::Failed(SignInFailure::ProviderDenied) => "provider_denied",
        KernelOutcome::Failed(SignInFailure::ProviderUnavailable) => "provider_unavailable",
        KernelOutcome::Failed(SignInFailure::ProviderMisbehaved) => "provider_misbehaved",
        KernelOutcome::Failed(SignInFailure::ProviderMisconfigured) => "provider_misconfigured",
        KernelOutcome::Failed(SignInFailure::AnswerTooLong) => "answer_too_long",
        KernelOutcome::Failed(SignInFailure::RetrySignIn) => "retry_sign_in",
        KernelOutcome::Failed(SignInFailure::OperatorNeeded) => "operator_needed",
    }
}
