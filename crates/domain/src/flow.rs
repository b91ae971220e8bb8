//! The browser's half of a sign-in.

use hubkey_protocol::{
    ErrorReference, Nonce, ProviderId, ShortId, SignInFailure,
    internal::EndedConnections,
    secret::{self, CsrfToken, HubAccessToken, OidcNonce, PkceVerifier, Ticket},
};
use serde::{Deserialize, Serialize};

use crate::{identity::HubUser, keyed_hash::KeyedHash};

/// A flow: tied to one browser by a flow cookie, by which its record is found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Flow {
    /// The sign-in's short id; also names the cookie.
    pub short: ShortId,
    /// Of which sign-in. For "My connections" there is none of that name.
    pub nonce: Nonce,
    /// Where the browser stands.
    pub stage: FlowStage,
}

/// Where a browser stands, with what the next step needs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum FlowStage {
    /// At the Hub, to say who its person is.
    AtHub {
        /// The link that it opened; used up when the Hub has answered.
        #[serde(serialize_with = "secret::exposed")]
        ticket: Ticket,
        /// Of the PKCE challenge that the Hub got.
        #[serde(serialize_with = "secret::exposed")]
        verifier: PkceVerifier,
    },
    /// On the start page.
    Asked {
        /// To ask the Hub again.
        #[serde(serialize_with = "secret::exposed")]
        hub_token: HubAccessToken,
        /// In the page's form.
        #[serde(serialize_with = "secret::exposed")]
        csrf: CsrfToken,
    },
    /// At the provider.
    AtProvider(Box<AtProvider>),
    /// On the confirmation page.
    Confirming {
        /// To ask the Hub again.
        #[serde(serialize_with = "secret::exposed")]
        hub_token: HubAccessToken,
        /// In the page's form.
        #[serde(serialize_with = "secret::exposed")]
        csrf: CsrfToken,
    },
    /// On the page that says that the notebook goes on.
    Done {
        /// The id of the provider.
        provider: ProviderId,
        /// As whom, as people recognise it.
        account: String,
    },
    /// On a page that says that the sign-in ended without a connection.
    Ended {
        /// The id of the provider.
        provider: ProviderId,
        /// Why the sign-in ended.
        reason: SignInFailure,
        /// In the audit stream too.
        reference: ErrorReference,
    },
    /// On the page "My connections".
    Visiting(Box<Visiting>),
}

/// A browser on the page "My connections".
#[derive(Debug, Serialize, Deserialize)]
pub struct Visiting {
    /// Whose connections these are.
    #[serde(flatten)]
    pub user: HubUser,
    /// To ask the Hub again.
    #[serde(serialize_with = "secret::exposed")]
    pub hub_token: HubAccessToken,
    /// In the page's forms.
    #[serde(serialize_with = "secret::exposed")]
    pub csrf: CsrfToken,
    /// What the person has just ended.
    pub just_ended: Option<EndedConnections>,
}

/// What a callback must fit to.
#[derive(Debug, Serialize, Deserialize)]
pub struct AtProvider {
    /// To ask the Hub again.
    #[serde(serialize_with = "secret::exposed")]
    pub hub_token: HubAccessToken,
    /// Of the PKCE challenge that the provider got.
    #[serde(serialize_with = "secret::exposed")]
    pub verifier: PkceVerifier,
    /// What the ID token must repeat.
    #[serde(serialize_with = "secret::exposed")]
    pub oidc_nonce: OidcNonce,
    /// Whose authorization server the browser was sent to.
    pub issuer: String,
    /// What the code was asked for with.
    pub redirect_uri: String,
}

/// The way from a ticket to its sign-in.
#[derive(Debug, Serialize, Deserialize)]
pub struct TicketRecord {
    /// The public id of the sign-in.
    pub nonce: Nonce,
}

/// The way from a state to its sign-in and to the one browser that may bring it back.
#[derive(Debug, Serialize, Deserialize)]
pub struct StateRecord {
    /// Of which sign-in.
    pub nonce: Nonce,
    /// Of the flow cookie.
    pub flow: KeyedHash,
    /// Where the browser was sent with it.
    pub leg: RedirectTarget,
}

/// Where a browser was sent with a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum RedirectTarget {
    /// To the Hub.
    Hub,
    /// To a provider.
    Provider {
        /// The id of the provider.
        id: ProviderId,
    },
}
