//! What stops the steps of a browser.

use hubkey_protocol::internal::BrowserReply;
use hubkey_store::StoreError;

/// No later step runs.
pub(crate) enum Stop {
    /// The browser is answered now.
    Reply(Box<BrowserReply>),
    /// The store failed; whoever called the step answers.
    Store(StoreError),
}

impl Stop {
    /// The answer, where there is one.
    pub(crate) fn into_reply(self) -> Result<BrowserReply, StoreError> {
        match self {
            Self::Reply(reply) => Ok(*reply),
            Self::Store(error) => Err(error),
        }
    }
}

impl From<BrowserReply> for Stop {
    fn from(reply: BrowserReply) -> Self {
        Self::Reply(Box::new(reply))
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
