//! One constant per endpoint, for the routers and for the client.

/// Kernel: opens a sign-in.
pub const SIGN_INS: &str = "/v1/sign-ins";
/// Kernel: the state of a sign-in (GET, long poll) or its end (DELETE).
pub const SIGN_IN: &str = "/v1/sign-ins/{nonce}";
/// Kernel: confirms that the result of a sign-in arrived.
pub const SIGN_IN_ACK: &str = "/v1/sign-ins/{nonce}/ack";
/// Kernel: the configured providers.
pub const PROVIDERS: &str = "/v1/providers";
/// Kernel: the connections of this server.
pub const CONNECTIONS: &str = "/v1/connections";
/// Kernel: one connection; DELETE ends it.
pub const CONNECTION: &str = "/v1/connections/{id}";
/// Kernel: an access token of one connection.
pub const CONNECTION_TOKEN: &str = "/v1/connections/{id}/token";
/// Kernel: a token of another API or provider for that of a connection.
pub const CONNECTION_EXCHANGE: &str = "/v1/connections/{id}/exchange";
/// Kernel: what the provider says of the account of one connection.
pub const CONNECTION_USERINFO: &str = "/v1/connections/{id}/userinfo";
/// The Hub: it stopped a single-user server.
pub const SERVERS_STOPPED: &str = "/v1/servers/stopped";
/// Kernel: the OpenAPI document of this interface.
pub const OPENAPI: &str = "/v1/openapi.json";

/// The header that carries the poll secret of a sign-in.
pub const POLL_SECRET_HEADER: &str = "hubkey-poll-secret";
/// The header by which a repeated `POST /v1/sign-ins` is recognised for 60 s.
pub const IDEMPOTENCY_KEY_HEADER: &str = "idempotency-key";

/// callback-server: names and look.
pub const INTERNAL_SITE: &str = "/internal/v1/site";
/// callback-server: a browser opened a sign-in link.
pub const INTERNAL_START: &str = "/internal/v1/start";
/// callback-server: a browser came back from the Hub.
pub const INTERNAL_HUB_CALLBACK: &str = "/internal/v1/hub-callback";
/// callback-server: a browser wants to see where its sign-in stands.
pub const INTERNAL_VIEW: &str = "/internal/v1/view";
/// callback-server: a person decided on the start page.
pub const INTERNAL_CONTINUE: &str = "/internal/v1/continue";
/// callback-server: a browser came back from a provider.
pub const INTERNAL_CALLBACK: &str = "/internal/v1/callback/{provider}";
/// callback-server: a person decided on the confirmation page.
pub const INTERNAL_CONFIRM: &str = "/internal/v1/confirm";
/// callback-server: a browser wants to see the connections of its person.
pub const INTERNAL_CONNECTIONS: &str = "/internal/v1/connections";
/// callback-server: a person ends a connection, or all of them.
pub const INTERNAL_END_CONNECTIONS: &str = "/internal/v1/end-connections";
/// callback-server: a provider says that a session there has ended.
pub const INTERNAL_BACKCHANNEL_LOGOUT: &str = "/internal/v1/backchannel-logout/{provider}";

/// Browser: a sign-in link, below the public URL.
pub const PAGE_START: &str = "/start/{ticket}";
/// Browser: the Hub's redirect, below the public URL.
pub const PAGE_HUB_CALLBACK: &str = "/oauth_callback";
/// Browser: a provider's redirect, below the public URL.
pub const PAGE_CALLBACK: &str = "/callback/{provider}";
/// Browser: the page that belongs to the state of a flow, below the public URL.
pub const PAGE_VIEW: &str = "/sign-in/{flow}";
/// Browser: the decision on the start page, below the public URL.
pub const PAGE_CONTINUE: &str = "/continue/{flow}";
/// Browser: the decision on the confirmation page, below the public URL.
pub const PAGE_CONFIRM: &str = "/confirm/{flow}";
/// Browser: the way to the page "My connections", below the public URL.
pub const PAGE_CONNECTIONS: &str = "/connections";
/// Browser: that page, once the Hub has said whose it is, below the public URL.
pub const PAGE_MY_CONNECTIONS: &str = "/connections/{flow}";
/// Browser: the end of a connection on that page, below the public URL.
pub const PAGE_END_CONNECTIONS: &str = "/connections/{flow}/end";
/// Provider: the end of a session there, below the public URL (OpenID Connect Back-Channel Logout 1.0).
pub const BACKCHANNEL_LOGOUT: &str = "/backchannel-logout/{provider}";
/// Provider: the public keys of hubkey's registration there, below the public URL (`jwks_uri`, RFC 7591 section 2).
pub const KEY_SET: &str = "/jwks/{provider}";
