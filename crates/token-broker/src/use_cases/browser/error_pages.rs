//! Refusals that a browser sees, and the audit event beside each.

use std::sync::Arc;

use hubkey_domain::random::RandomSource;
use hubkey_protocol::internal::{BrowserAnswer, BrowserReply, Refusal};
use hubkey_store::StoreError;

use crate::{
    audit::{Event, EventKind},
    use_cases::{base::Base, refusal_log::RefusalLog},
};

/// Makes the refusals of browsers.
#[derive(Debug)]
pub struct ErrorPages {
    chance: Arc<dyn RandomSource>,
    refusal_log: Arc<RefusalLog>,
}

impl ErrorPages {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            chance: Arc::clone(&base.chance),
            refusal_log: Arc::clone(&base.refusal_log),
        }
    }

    /// A refusal that the browser sees and the audit stream explains.
    pub(crate) fn refuse(
        &self,
        refusal: Refusal,
        kind: EventKind,
        event: Event<'_>,
    ) -> BrowserReply {
        let reference = self.chance.reference();
        self.refusal_log.emit(event.reference(&reference), kind);
        reply(BrowserAnswer::Refused { refusal, reference })
    }

    /// The answer when the store fails in a browser's step.
    #[must_use]
    pub fn store_failed(&self, error: &StoreError) -> BrowserReply {
        let kind = match error {
            StoreError::DecryptionFailed => EventKind::RecordDecryptionFailed,
            StoreError::Unavailable(_) | StoreError::Malformed | StoreError::KeyRetired(_) => {
                EventKind::RequestFailed
            }
        };
        self.refuse(
            Refusal::Unavailable,
            kind,
            Event::new().reason("store_failed"),
        )
    }

    pub(crate) fn hub_unavailable(&self, source: Option<&str>) -> BrowserReply {
        let event = Event::new().source(source).reason("hub_unavailable");
        self.refuse(Refusal::Unavailable, EventKind::HubUnavailable, event)
    }

    /// A refusal that says nothing but that this browser may not.
    pub(crate) fn forbidden(&self, source: Option<&str>, word: &str) -> BrowserReply {
        self.refuse(
            Refusal::Forbidden,
            EventKind::PolicyDenied,
            Event::new().source(source).reason(word),
        )
    }

    /// As [`Self::forbidden`], where nothing is wrong but that another request was first.
    pub(crate) fn conflict(&self, source: Option<&str>) -> BrowserReply {
        self.refuse(
            Refusal::Forbidden,
            EventKind::RequestFailed,
            Event::new().source(source).reason("moved_meanwhile"),
        )
    }

    /// A link that is old, used, foreign or invented: all the same.
    pub(crate) fn invalid_link(&self, source: Option<&str>) -> BrowserReply {
        self.refuse(
            Refusal::InvalidLink,
            EventKind::PolicyDenied,
            Event::new().source(source).reason("dead_link"),
        )
    }
}

/// An answer that touches no cookie.
pub(crate) fn reply(answer: BrowserAnswer) -> BrowserReply {
    BrowserReply {
        answer,
        set_cookie: None,
        clear_cookie: None,
    }
}
