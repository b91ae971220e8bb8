//! The words of hubkey's wire: paths, messages, error codes and secret types. No I/O.
//!
//! | who asks | method and path | request | answer |
//! |---|---|---|---|
//! | kernel | `POST /v1/sign-ins` | [`CreateSignIn`] | [`CreateSignInAnswer`] |
//! | kernel | `GET /v1/sign-ins/{nonce}` | header [`path::POLL_SECRET_HEADER`] | [`SignInStatus`] |
//! | kernel | `POST /v1/sign-ins/{nonce}/ack` | header [`path::POLL_SECRET_HEADER`] | 204 |
//! | kernel | `DELETE /v1/sign-ins/{nonce}` | header [`path::POLL_SECRET_HEADER`] | 204 |
//! | kernel | `GET /v1/providers` | | [`ProviderList`] |
//! | kernel | `GET /v1/connections` | | [`ConnectionList`] |
//! | kernel | `DELETE /v1/connections/{id}` | | 204 |
//! | kernel | `POST /v1/connections/{id}/token` | [`TokenRequest`] | [`TokenAnswer`] |
//! | kernel | `POST /v1/connections/{id}/exchange` | [`ExchangeRequest`] | [`TokenAnswer`] |
//! | kernel | `GET /v1/connections/{id}/userinfo` | | [`UserInfo`] |
//! | anybody | `GET /v1/openapi.json` | | the OpenAPI document |
//! | the Hub | `POST /v1/servers/stopped` | [`ServerStopped`] | 204 |
//! | callback-server | `GET /internal/v1/site` | | [`internal::SiteInfo`] |
//! | callback-server | `POST /internal/v1/start` | [`internal::OpenLink`] | [`internal::BrowserReply`] |
//! | callback-server | `POST /internal/v1/hub-callback` | [`internal::HubCallback`] | [`internal::BrowserReply`] |
//! | callback-server | `POST /internal/v1/view` | [`internal::GetPage`] | [`internal::BrowserReply`] |
//! | callback-server | `POST /internal/v1/continue` | [`internal::SubmitDecision`] | [`internal::BrowserReply`] |
//! | callback-server | `POST /internal/v1/callback/{provider}` | [`internal::ProviderCallback`] | [`internal::BrowserReply`] |
//! | callback-server | `POST /internal/v1/confirm` | [`internal::SubmitDecision`] | [`internal::BrowserReply`] |
//! | callback-server | `POST /internal/v1/connections` | [`internal::OpenConnectionsPage`] | [`internal::BrowserReply`] |
//! | callback-server | `POST /internal/v1/end-connections` | [`internal::EndConnections`] | [`internal::BrowserReply`] |
//! | callback-server | `POST /internal/v1/backchannel-logout/{provider}` | [`internal::BackchannelLogout`] | [`internal::LogoutReply`] |
//!
//! Every kernel request carries the server token as `Authorization: Bearer …`; the Hub's carries the API token of its
//! service hubkey, and every internal request the shared secret, the same way. Every failure is a [`Problem`].

pub mod bounds;
mod connection;
mod connections_page;
pub mod failures;
mod id;
pub mod internal;
mod label;
pub mod path;
mod problem;
mod provider;
pub mod provider_rules;
mod scope;
pub mod secret;
mod server;
mod sign_in;
mod table;
pub mod trace;
mod userinfo;

pub use connection::{
    Account, Connection, ConnectionList, ExchangeRequest, TokenAnswer, TokenRequest,
};
pub use failures::{ErrorCode, SignInFailure};
pub use id::{
    AccessTokenHash, ConnectionId, ErrorReference, InvalidId, Nonce, ProviderId, ShortId, prefixed,
};
pub use problem::Problem;
pub use provider::{Provider, ProviderList, ProviderStatus};
pub use scope::{InvalidScope, InvalidScopes, Scope, Scopes};
pub use server::ServerStopped;
pub use sign_in::{CreateSignIn, CreateSignInAnswer, SignInCause, SignInOpened, SignInStatus};
pub use userinfo::UserInfo;
