//! Why a request failed.

use serde::{Deserialize, Serialize};

use crate::table::closed_table;

use super::{ErrorRow, Exit, PythonException as Python};

closed_table! {
    /// What went wrong with a request, as a stable word.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum ErrorCode: ErrorRow {
        /// The request is not of the form that the endpoint takes. 400
        BadRequest {
            name: "bad_request",
            status: 400,
            transient: false,
            title: "The request says too little, or something that cannot be.",
            remedy: "Correct it; `detail` names the field.",
            cell: None,
            exit: Exit::Usage,
            python: Python::HubkeyError,
        }
        /// No provider of that id. 400
        UnknownProvider {
            name: "unknown_provider",
            status: 400,
            transient: false,
            title: "There is no provider of that name.",
            remedy: "Choose one that `GET /v1/providers` names.",
            cell: None,
            exit: Exit::Usage,
            python: Python::InvalidArgument("provider"),
        }
        /// Several providers are configured and the request names none. 400
        ProviderRequired {
            name: "provider_required",
            status: 400,
            transient: false,
            title: "There are several providers, and the request names none.",
            remedy: "Name one.",
            cell: None,
            exit: Exit::Usage,
            python: Python::InvalidArgument("provider"),
        }
        /// A scope outside the provider's allow-list. 400
        ScopeNotAllowed {
            name: "scope_not_allowed",
            status: 400,
            transient: false,
            title: "The provider is not configured for a scope that was asked for.",
            remedy: "Ask for less, or ask the operator to allow it.",
            cell: None,
            exit: Exit::Usage,
            python: Python::InvalidArgument("scopes"),
        }
        /// An audience outside the provider's allow-list. 400
        AudienceNotAllowed {
            name: "audience_not_allowed",
            status: 400,
            transient: false,
            title: "The provider is not configured for that audience.",
            remedy: "Choose an audience that is allowed, or ask the operator to allow it.",
            cell: None,
            exit: Exit::Usage,
            python: Python::InvalidArgument("audience"),
        }
        /// A resource outside the provider's allow-list. 400
        ResourceNotAllowed {
            name: "resource_not_allowed",
            status: 400,
            transient: false,
            title: "The provider is not configured for that resource.",
            remedy: "Choose a resource that is allowed, or ask the operator to allow it.",
            cell: None,
            exit: Exit::Usage,
            python: Python::InvalidArgument("resource"),
        }
        /// An issuer outside the provider's allow-list. 400
        IssuerNotAllowed {
            name: "issuer_not_allowed",
            status: 400,
            transient: false,
            title: "The provider is not configured for that issuer.",
            remedy: "Choose an issuer that is allowed, or ask the operator to allow it.",
            cell: None,
            exit: Exit::Usage,
            python: Python::InvalidArgument("requested_issuer"),
        }
        /// The idempotency key belongs to another request. 400
        IdempotencyKeyReused {
            name: "idempotency_key_reused",
            status: 400,
            transient: false,
            title: "This idempotency key belongs to another request.",
            remedy: "Make a new key for each new request.",
            cell: None,
            exit: Exit::Usage,
            python: Python::HubkeyError,
        }
        /// No usable `Authorization` header. 401
        MissingToken {
            name: "missing_token",
            status: 401,
            transient: false,
            title: "The request has no server token, or something that cannot be one.",
            remedy: "Send this server's JUPYTERHUB_API_TOKEN as it is, as `Authorization: Bearer …`.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// The token is not known to the Hub. 403
        InvalidToken {
            name: "invalid_token",
            status: 403,
            transient: false,
            title: "The Hub does not know this token.",
            remedy: "Restart the server from the Hub's control panel; its token ends when it stops.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// The token is known to the Hub and is not the token of a single-user server. 403
        NotAServerToken {
            name: "not_a_server_token",
            status: 403,
            transient: false,
            title: "This is not the token of a single-user server.",
            remedy: "Ask from a notebook, with that server's own JUPYTERHUB_API_TOKEN. If the server's hub user was \
                     renamed while it ran, restart the server.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// The server's token lacks hubkey's scope. 403
        MissingServerScope {
            name: "missing_server_scope",
            status: 403,
            transient: false,
            title: "This server's token lacks the scope for hubkey.",
            remedy: "Restart the server; if that does not help, the operator has to call hubkey.hub.configure in \
                     jupyterhub_config.py, which adds custom:hubkey:kernel!user to Spawner.server_token_scopes.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// Only the Hub may ask this. 403
        NotTheHub {
            name: "not_the_hub",
            status: 403,
            transient: false,
            title: "Only the Hub may ask this.",
            remedy: "Ask with the API token of the Hub's service hubkey; hubkey.hub.configure sets the hook that does.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// The server is shared with other people and the operator does not allow that. 403
        SharedServer {
            name: "shared_server",
            status: 403,
            transient: false,
            title: "Other people may enter this server, and the operator does not allow that.",
            remedy: "Stop sharing the server, or use one that is not shared.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// The provider gives no token for what was asked for (RFC 8693 section 2.2.2, RFC 8707 section 2). 403
        InvalidTarget {
            name: "invalid_target",
            status: 403,
            transient: false,
            title: "The provider gives this connection no token for what was asked for.",
            remedy: "Ask for something else, or ask whoever administers the provider for access; the connection itself \
                     still works.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// No such thing, or not yours. 404
        NotFound {
            name: "not_found",
            status: 404,
            transient: false,
            title: "There is no such thing, or it is not yours.",
            remedy: "Check the address; if it was right before, start again.",
            cell: Some("The broker does not know this sign-in any more. Run the cell again for a new link."),
            exit: Exit::SignIn,
            python: Python::SignInFailed,
        }
        /// The method does not exist here. 405
        MethodNotAllowed {
            name: "method_not_allowed",
            status: 405,
            transient: false,
            title: "This address does not take that method.",
            remedy: "Correct the call.",
            cell: None,
            exit: Exit::Failed,
            python: Python::HubkeyError,
        }
        /// The request took too long to arrive. 408
        RequestTimeout {
            name: "request_timeout",
            status: 408,
            transient: false,
            title: "The request took too long to arrive.",
            remedy: "Send it again, in one go.",
            cell: None,
            exit: Exit::Failed,
            python: Python::HubkeyError,
        }
        /// A newer poll of the same sign-in took over. 409
        Superseded {
            name: "superseded",
            status: 409,
            transient: false,
            title: "A newer request waits for the same sign-in.",
            remedy: "Let the newer one go on.",
            cell: Some("Another cell took over this sign-in. Run the cell again."),
            exit: Exit::SignIn,
            python: Python::SignInFailed,
        }
        /// No usable connection: a person has to sign in. 409
        SignInRequired {
            name: "sign_in_required",
            status: 409,
            transient: false,
            title: "A person has to sign in.",
            remedy: "Open a sign-in with POST /v1/sign-ins and show its link.",
            cell: None,
            exit: Exit::SignIn,
            python: Python::SignInRequired,
        }
        /// A token that was given in place of a rejected one a moment ago is rejected too. 409
        ProviderRejectsToken {
            name: "provider_rejects_token",
            status: 409,
            transient: false,
            title: "New tokens of this connection are rejected too.",
            remedy: "The API does not take what the provider gives: ask for the scopes, audience or resource that it \
                     wants, or try again in a minute.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// No token of the connection is valid for as long as was asked for. 409
        TokenLifetimeTooShort {
            name: "token_lifetime_too_short",
            status: 409,
            transient: false,
            title: "No token of this connection is valid for as long as that.",
            remedy: "Ask for less.",
            cell: None,
            exit: Exit::Usage,
            python: Python::SignInRequired,
        }
        /// The result was delivered and acknowledged. 410
        AlreadyDelivered {
            name: "already_delivered",
            status: 410,
            transient: false,
            title: "The result of this sign-in was delivered already.",
            remedy: "Look in GET /v1/connections, or open a new sign-in.",
            cell: Some("The result of this sign-in was already fetched. Run the cell again."),
            exit: Exit::SignIn,
            python: Python::SignInFailed,
        }
        /// Body too large. 413
        PayloadTooLarge {
            name: "payload_too_large",
            status: 413,
            transient: false,
            title: "The body is too large.",
            remedy: "Send less than 16 KiB.",
            cell: None,
            exit: Exit::Failed,
            python: Python::HubkeyError,
        }
        /// URL too long. 414
        UriTooLong {
            name: "uri_too_long",
            status: 414,
            transient: false,
            title: "The address is too long.",
            remedy: "Correct the call: an address has less than 4 KiB.",
            cell: None,
            exit: Exit::Failed,
            python: Python::HubkeyError,
        }
        /// The body is of another kind than JSON. 415
        UnsupportedMediaType {
            name: "unsupported_media_type",
            status: 415,
            transient: false,
            title: "The body is not sent as JSON.",
            remedy: "Send it with the header `Content-Type: application/json`.",
            cell: None,
            exit: Exit::Failed,
            python: Python::HubkeyError,
        }
        /// Too many requests of this user or server. 429
        RateLimited {
            name: "rate_limited",
            status: 429,
            transient: true,
            title: "Too many sign-ins were opened within a minute, or too many unknown tokens were tried from here.",
            remedy: "Wait for as long as `Retry-After` says, then try again.",
            cell: None,
            exit: Exit::Transient,
            python: Python::BrokerUnavailable,
        }
        /// Too many sign-ins of this hub user are open. 429
        TooManySignIns {
            name: "too_many_sign_ins",
            status: 429,
            transient: false,
            title: "Too many sign-ins of yours wait already.",
            remedy: "Finish one of them, stop the cells that wait, or wait until one expires.",
            cell: None,
            exit: Exit::Transient,
            python: Python::BrokerUnavailable,
        }
        /// Header too large. 431
        HeadersTooLarge {
            name: "headers_too_large",
            status: 431,
            transient: false,
            title: "The header is too large.",
            remedy: "Send less than 16 KiB and fewer than 64 fields.",
            cell: None,
            exit: Exit::Failed,
            python: Python::HubkeyError,
        }
        /// A fault in hubkey. 500
        Internal {
            name: "internal",
            status: 500,
            transient: false,
            title: "Something went wrong inside hubkey.",
            remedy: "Try again; if it happens again, tell the operator the request id.",
            cell: None,
            exit: Exit::Transient,
            python: Python::BrokerUnavailable,
        }
        /// The provider refuses hubkey's own registration or request; the operator has to act. 502
        ProviderMisconfigured {
            name: "provider_misconfigured",
            status: 502,
            transient: false,
            title: "The provider refuses hubkey's registration or request.",
            remedy: "Tell the operator of this JupyterHub; nobody has to sign in again once that is corrected.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// The provider does not say whose account it is: it refused the question (OpenID Connect Core section 5.3.3). 502
        UserinfoRefused {
            name: "userinfo_refused",
            status: 502,
            transient: false,
            title: "The provider refuses to say whose account this is.",
            remedy: "Its userinfo endpoint did not take the token. Connect with the scopes that it wants, such as openid \
                     or profile; the token itself may still work elsewhere.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// The provider's userinfo is about another account (OpenID Connect Core section 5.3.2). 502
        UserinfoSubjectMismatch {
            name: "userinfo_subject_mismatch",
            status: 502,
            transient: false,
            title: "The provider described another account than the one that signed in, so its answer was thrown away.",
            remedy: "Tell the operator of this JupyterHub: the provider answers about the wrong person.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// The provider's userinfo has a form that hubkey does not read. 502
        UserinfoUnreadable {
            name: "userinfo_unreadable",
            status: 502,
            transient: false,
            title: "The provider's userinfo has a form that hubkey does not read: neither JSON nor a signed token.",
            remedy: "Tell the operator of this JupyterHub, who finds in the log what was sent; the token still works.",
            cell: None,
            exit: Exit::Denied,
            python: Python::AccessRefused,
        }
        /// The Hub did not answer. 503
        HubUnavailable {
            name: "hub_unavailable",
            status: 503,
            transient: true,
            title: "The Hub did not answer.",
            remedy: "Try again in a moment.",
            cell: None,
            exit: Exit::Transient,
            python: Python::BrokerUnavailable,
        }
        /// The store did not answer. 503
        StoreUnavailable {
            name: "store_unavailable",
            status: 503,
            transient: true,
            title: "The store of hubkey did not answer.",
            remedy: "Try again in a moment.",
            cell: None,
            exit: Exit::Transient,
            python: Python::BrokerUnavailable,
        }
        /// The provider did not answer. 503
        ProviderUnavailable {
            name: "provider_unavailable",
            status: 503,
            transient: true,
            title: "The provider did not answer.",
            remedy: "Try again in a moment; nobody has to sign in again.",
            cell: None,
            exit: Exit::Transient,
            python: Python::BrokerUnavailable,
        }
        /// The token is being refreshed, or nobody knows yet how that ended. 503
        RefreshInProgress {
            name: "refresh_in_progress",
            status: 503,
            transient: true,
            title: "The token is being refreshed.",
            remedy: "Try again in a moment.",
            cell: None,
            exit: Exit::Transient,
            python: Python::BrokerUnavailable,
        }
        /// Too many requests at once. 503
        Overloaded {
            name: "overloaded",
            status: 503,
            transient: true,
            title: "Too much is going on at once.",
            remedy: "Try again in a moment.",
            cell: None,
            exit: Exit::Transient,
            python: Python::BrokerUnavailable,
        }
        /// The handler took too long. 503
        Timeout {
            name: "timeout",
            status: 503,
            transient: true,
            title: "The answer took too long.",
            remedy: "Try again in a moment.",
            cell: None,
            exit: Exit::Transient,
            python: Python::BrokerUnavailable,
        }
        /// A code that this client does not know yet.
        #[serde(other)]
        Unknown {
            name: "unknown",
            status: 500,
            transient: false,
            title: "The broker gave no reason that is known here.",
            remedy: "Tell the operator of this JupyterHub.",
            cell: None,
            exit: Exit::Failed,
            python: Python::HubkeyError,
        }
    }
}

impl ErrorCode {
    /// The HTTP status that goes with the word.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// Whether it is the operator who can put it right, and looks for the request in the log.
    #[must_use]
    pub const fn needs_operator(self) -> bool {
        matches!(self.row().exit, Exit::Denied) || matches!(self, Self::Internal | Self::Unknown)
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        self.row().transient
    }
}
