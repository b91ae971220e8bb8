//! A sign-in and the ways in which it may change.

use hubkey_protocol::{
    ConnectionId, ErrorReference, Nonce, ProviderId, SignInFailure, trace::SignInSpan,
};
use serde::{Deserialize, Serialize};

use crate::{
    access_request::AccessRequest, clock::Timestamp, connection::PendingConnection,
    identity::ServerIdentity, keyed_hash::KeyedHash,
};

/// One attempt of a kernel to get a person to sign in at a provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignIn {
    /// Its public handle.
    pub nonce: Nonce,
    /// Who opened it: the result goes to this very server token and to no other.
    pub kernel: ServerIdentity,
    /// Where to sign in.
    pub provider: ProviderId,
    /// What for.
    pub wish: AccessRequest,
    /// Which account the provider is to suggest (OpenID Connect Core 1.0 section 3.1.2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// Of the poll secret.
    pub poll_secret: KeyedHash,
    /// Whether other people may enter the server.
    pub shared_server: bool,
    /// When the kernel asked.
    pub asked_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// The span that its steps are part of, where its requests are traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<SignInSpan>,
    /// Where it stands.
    pub state: SignInState,
}

/// Where a sign-in stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum SignInState {
    /// Its link waits for a browser.
    Created,
    /// A browser of its hub user opened the link; the ticket is used up.
    Claimed {
        /// The flow cookie's fingerprint: the one browser that may go on.
        flow: KeyedHash,
    },
    /// The browser is at the provider.
    Authorizing {
        /// As in `Claimed`.
        flow: KeyedHash,
    },
    /// The browser came back; its code is being redeemed, once.
    Exchanging {
        /// As in `Claimed`.
        flow: KeyedHash,
    },
    /// The person is asked whether the two accounts belong together.
    Confirming {
        /// As in `Claimed`.
        flow: KeyedHash,
        /// What becomes the connection.
        candidate: Box<PendingConnection>,
    },
    /// The kernel may collect its connection.
    Ready {
        /// Which.
        connection: ConnectionId,
    },
    /// The kernel got it at least once, and may ask again until it acknowledges.
    Delivered {
        /// Which.
        connection: ConnectionId,
        /// When it was delivered first.
        since: Timestamp,
    },
    /// Delivered and acknowledged.
    Closed,
    /// Refused or cancelled.
    Denied,
    /// Ended by a fault.
    Failed {
        /// Which.
        reason: SignInFailure,
        /// By which the operator finds it.
        reference: ErrorReference,
    },
}

/// A change that the state does not permit. Always a refusal, never shown in detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sign-in is not in a state that permits this")]
pub struct InvalidTransition;

impl SignIn {
    /// Whether nobody finished it in time.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.is_open() && now >= self.expires_at
    }

    /// Whether a person may still finish it, were there time.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.state {
            SignInState::Created
            | SignInState::Claimed { .. }
            | SignInState::Authorizing { .. }
            | SignInState::Exchanging { .. }
            | SignInState::Confirming { .. } => true,
            SignInState::Ready { .. }
            | SignInState::Delivered { .. }
            | SignInState::Closed
            | SignInState::Denied
            | SignInState::Failed { .. } => false,
        }
    }

    /// `created → claimed`: the Hub says that the browser is the sign-in's hub user.
    pub fn claim(self, flow: KeyedHash) -> Result<Self, InvalidTransition> {
        match self.state {
            SignInState::Created => Ok(self.to(SignInState::Claimed { flow })),
            SignInState::Claimed { .. }
            | SignInState::Authorizing { .. }
            | SignInState::Exchanging { .. }
            | SignInState::Confirming { .. }
            | SignInState::Ready { .. }
            | SignInState::Delivered { .. }
            | SignInState::Closed
            | SignInState::Denied
            | SignInState::Failed { .. } => Err(InvalidTransition),
        }
    }

    /// `claimed → authorizing`: the browser goes to the provider.
    pub fn authorize(self) -> Result<Self, InvalidTransition> {
        match self.state {
            SignInState::Claimed { flow } => Ok(self.to(SignInState::Authorizing { flow })),
            SignInState::Created
            | SignInState::Authorizing { .. }
            | SignInState::Exchanging { .. }
            | SignInState::Confirming { .. }
            | SignInState::Ready { .. }
            | SignInState::Delivered { .. }
            | SignInState::Closed
            | SignInState::Denied
            | SignInState::Failed { .. } => Err(InvalidTransition),
        }
    }

    /// `authorizing → exchanging`: the same browser came back.
    pub fn exchange(self, browser: &KeyedHash) -> Result<Self, InvalidTransition> {
        match self.state {
            SignInState::Authorizing { flow } if flow.matches(browser) => {
                Ok(self.to(SignInState::Exchanging { flow }))
            }
            SignInState::Created
            | SignInState::Claimed { .. }
            | SignInState::Authorizing { .. }
            | SignInState::Exchanging { .. }
            | SignInState::Confirming { .. }
            | SignInState::Ready { .. }
            | SignInState::Delivered { .. }
            | SignInState::Closed
            | SignInState::Denied
            | SignInState::Failed { .. } => Err(InvalidTransition),
        }
    }

    /// `exchanging → confirming`: the person is to compare the accounts.
    pub fn ask(self, candidate: PendingConnection) -> Result<Self, InvalidTransition> {
        match self.state {
            SignInState::Exchanging { flow } => Ok(self.to(SignInState::Confirming {
                flow,
                candidate: Box::new(candidate),
            })),
            SignInState::Created
            | SignInState::Claimed { .. }
            | SignInState::Authorizing { .. }
            | SignInState::Confirming { .. }
            | SignInState::Ready { .. }
            | SignInState::Delivered { .. }
            | SignInState::Closed
            | SignInState::Denied
            | SignInState::Failed { .. } => Err(InvalidTransition),
        }
    }

    /// `exchanging | confirming → ready`: the account fits, or the person said so.
    pub fn finish(self, connection: ConnectionId) -> Result<Self, InvalidTransition> {
        match self.state {
            SignInState::Exchanging { .. } | SignInState::Confirming { .. } => {
                Ok(self.to(SignInState::Ready { connection }))
            }
            SignInState::Created
            | SignInState::Claimed { .. }
            | SignInState::Authorizing { .. }
            | SignInState::Ready { .. }
            | SignInState::Delivered { .. }
            | SignInState::Closed
            | SignInState::Denied
            | SignInState::Failed { .. } => Err(InvalidTransition),
        }
    }

    /// `created | claimed | authorizing → ready`: another sign-in of the same server token brought a connection that
    /// satisfies this one too.
    pub fn satisfy(self, connection: ConnectionId) -> Result<Self, InvalidTransition> {
        match self.state {
            SignInState::Created
            | SignInState::Claimed { .. }
            | SignInState::Authorizing { .. } => Ok(self.to(SignInState::Ready { connection })),
            SignInState::Exchanging { .. }
            | SignInState::Confirming { .. }
            | SignInState::Ready { .. }
            | SignInState::Delivered { .. }
            | SignInState::Closed
            | SignInState::Denied
            | SignInState::Failed { .. } => Err(InvalidTransition),
        }
    }

    /// `ready → delivered`: the kernel collects.
    pub fn deliver(self, now: Timestamp) -> Result<Self, InvalidTransition> {
        match self.state {
            SignInState::Ready { ref connection } => {
                let connection = connection.clone();
                Ok(self.to(SignInState::Delivered {
                    connection,
                    since: now,
                }))
            }
            SignInState::Created
            | SignInState::Claimed { .. }
            | SignInState::Authorizing { .. }
            | SignInState::Exchanging { .. }
            | SignInState::Confirming { .. }
            | SignInState::Delivered { .. }
            | SignInState::Closed
            | SignInState::Denied
            | SignInState::Failed { .. } => Err(InvalidTransition),
        }
    }

    /// `delivered → closed`: the kernel acknowledges.
    pub fn close(self) -> Result<Self, InvalidTransition> {
        match self.state {
            SignInState::Delivered { .. } => Ok(self.to(SignInState::Closed)),
            SignInState::Created
            | SignInState::Claimed { .. }
            | SignInState::Authorizing { .. }
            | SignInState::Exchanging { .. }
            | SignInState::Confirming { .. }
            | SignInState::Ready { .. }
            | SignInState::Closed
            | SignInState::Denied
            | SignInState::Failed { .. } => Err(InvalidTransition),
        }
    }

    /// `any open → denied`: refused or cancelled.
    pub fn deny(self) -> Result<Self, InvalidTransition> {
        if self.is_open() {
            Ok(self.to(SignInState::Denied))
        } else {
            Err(InvalidTransition)
        }
    }

    /// `any open → failed`: ended by a fault.
    pub fn fail(
        self,
        reason: SignInFailure,
        reference: ErrorReference,
    ) -> Result<Self, InvalidTransition> {
        if self.is_open() {
            Ok(self.to(SignInState::Failed { reason, reference }))
        } else {
            Err(InvalidTransition)
        }
    }

    fn to(self, state: SignInState) -> Self {
        Self { state, ..self }
    }
}
