//! What stops the steps of a browser.

use hubkey_protocol::internal::BrowserReply;
use hubkey_store::StoreError;

/// No later step runs.
pub(crate) enum EarlyExit {
    /// The browser is answered now.
    Reply(Box<BrowserReply>),
    /// The store failed; whoever called the step answers.
    Store(StoreError),
}

impl EarlyExit {
    /// The answer, where there is one.
    pub(crate) fn into_reply(self) -> Result<BrowserReply, StoreError> {
        match self {
            Self::Reply(reply) => Ok(*reply),
            Self::Store(error) => Err(error),
        }
    }
}

impl From<BrowserReply> for EarlyExit {
    fn from(reply: BrowserReply) -> Self {
        Self::Reply(Box::new(reply))
    }
}

impl From<StoreError> for EarlyExit {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
