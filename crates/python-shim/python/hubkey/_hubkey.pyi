"""The compiled half: the broker's client. Its objects keep the secrets, and decide nothing."""

import asyncio
from typing import Final, Literal, TypeAlias, final

__all__ = [
    "CANCELLED",
    "Broker",
    "ClientError",
    "ConnectionSummary",
    "Exchange",
    "Grant",
    "InvalidField",
    "PendingToken",
    "Request",
    "SignIn",
    "SignInResult",
    "run_command",
]

# The words of the wire. A test compares each list with the OpenAPI document.
_ErrorCode: TypeAlias = Literal[
    "bad_request",
    "unknown_provider",
    "provider_required",
    "scope_not_allowed",
    "audience_not_allowed",
    "resource_not_allowed",
    "issuer_not_allowed",
    "idempotency_key_reused",
    "missing_token",
    "invalid_token",
    "not_a_server_token",
    "missing_server_scope",
    "not_the_hub",
    "shared_server",
    "invalid_target",
    "not_found",
    "method_not_allowed",
    "request_timeout",
    "superseded",
    "sign_in_required",
    "token_lifetime_too_short",
    "already_delivered",
    "payload_too_large",
    "uri_too_long",
    "unsupported_media_type",
    "rate_limited",
    "too_many_sign_ins",
    "headers_too_large",
    "internal",
    "provider_misconfigured",
    "provider_rejects_token",
    "userinfo_refused",
    "userinfo_subject_mismatch",
    "userinfo_unreadable",
    "hub_unavailable",
    "store_unavailable",
    "provider_unavailable",
    "refresh_in_progress",
    "overloaded",
    "timeout",
    "unknown",
]
_SignInFailure: TypeAlias = Literal[
    "cancelled",
    "account_refused",
    "account_differs",
    "access_denied",
    "interaction_required",
    "code_expired",
    "not_offered",
    "provider_unavailable",
    "hub_unavailable",
    "store_unavailable",
    "outcome_unknown",
    "provider_misconfigured",
    "not_supported",
    "provider_protocol_error",
    "answer_too_long",
    "cookies_too_long",
    "owner_unreadable",
]
_SignInCause: TypeAlias = Literal[
    "access_ended",
    "not_renewed",
    "registration_refused",
]
# The classes of `hubkey._exceptions` that the table of failures names.
_Exception: TypeAlias = Literal[
    "HubkeyError",
    "ConfigurationError",
    "InvalidArgument",
    "BrokerUnavailable",
    "AccessRefused",
    "SignInRequired",
    "SignInDenied",
    "SignInFailed",
]
# Why whoever answered is not believed to be the broker.
_Distrust: TypeAlias = Literal[
    "unknown_authority",
    "other_name",
    "out_of_time",
    "no_tls",
    "other",
]

CANCELLED: Final[str]
"""What a cell says of a sign-in that its own side cancelled."""

class ClientError(Exception):
    """A call to the broker failed."""

    kind: Literal["unreachable", "refused", "malformed", "setup", "untrusted"]
    """Nobody answered, the broker refused, no broker answered, the client is not set up, no proof of the broker."""
    code: _ErrorCode | _Distrust | None
    """The broker's error code if it refused; why it is not trusted if it gave no proof."""
    reference: str | None
    """The `X-Request-Id` of the broker's refusal."""
    title: str
    """What happened."""
    detail: str
    """What to do; empty where the broker did not say it."""
    retry_after: int | None
    """Seconds after which to try again, where the broker said it."""
    exception: _Exception
    """The class of the public exception that says so."""
    argument: str | None
    """The argument that cannot work, if that is why."""
    needs_operator: bool
    """Whether it is the operator who can put it right, and finds the request by `reference`."""

class InvalidField(Exception):
    """A value is not of the form that its field takes."""

    field: str
    """The name of the field."""
    expected: str
    """What it takes."""

@final
class Request:
    """What `connect()` asks for."""

    def __new__(
        cls,
        provider: str | None,
        scopes: list[str] | None,
        audience: str | None,
        resource: str | None,
        interactive: bool,
    ) -> Request:
        """Check the form of each value.

        Raises:
            InvalidField: one of them has another form than the wire takes.
        """

    def of_account(self, account: str) -> Request:
        """Ask the same for one of several accounts."""

@final
class Exchange:
    """What `Connection.exchange()` asks for."""

    def __new__(
        cls,
        audience: str | None,
        scopes: list[str] | None,
        resource: str | None,
        requested_issuer: str | None,
    ) -> Exchange:
        """Check the form of each value.

        Raises:
            InvalidField: one of them has another form than the wire takes.
        """

@final
class SignIn:
    """A sign-in that waits for its person. Its poll secret stays inside."""

    @property
    def url(self) -> str:
        """The link for the person; it ends in a one-time ticket."""
    @property
    def expires_in(self) -> int:
        """Seconds until the sign-in ends by itself."""
    @property
    def provider(self) -> str:
        """The provider's id."""
    @property
    def display_name(self) -> str:
        """The provider's name for people."""
    @property
    def user(self) -> str:
        """The hub user whose link this is."""
    @property
    def more_scopes(self) -> list[str]:
        """What is asked for beyond what a connection has; empty where there is none."""
    @property
    def cause(self) -> _SignInCause | None:
        """Why a person is asked although there is a connection, in the word of the wire; `None` where there is none."""
    @property
    def cause_sentence(self) -> str | None:
        """The same as a sentence for the card."""

@final
class Grant:
    """A connection with one access token of it."""

    @property
    def provider(self) -> str:
        """The provider's id."""
    @property
    def display_name(self) -> str:
        """The provider's name for people."""
    @property
    def account_sub(self) -> str:
        """The provider's own id of the account."""
    @property
    def account_name(self) -> str | None:
        """The account's name."""
    @property
    def account_email(self) -> str | None:
        """The account's e-mail address."""
    @property
    def account_label(self) -> str:
        """What a person recognises the account by."""
    @property
    def scopes(self) -> list[str]:
        """What the token permits."""
    @property
    def audience(self) -> str | None:
        """The audience that was asked for."""
    @property
    def resource(self) -> str | None:
        """The resource that was asked for."""
    @property
    def expires_at(self) -> int | None:
        """When the token ends, in Unix seconds by this machine's clock, if the provider said so."""
    @property
    def seconds_left(self) -> float | None:
        """How many seconds the token is still good, whatever any clock says; `None` if the provider did not say."""
    @property
    def refreshable(self) -> bool:
        """Whether the broker gets a new token when this one ends, without a person."""
    @property
    def api_origins(self) -> list[str]:
        """Where libraries may send the token."""
    def moved_to(self, other: Grant) -> Grant:
        """Give this token, to be fetched from now on by another connection of the same person."""
    def expose_token(self) -> str:
        """Give the token itself."""

@final
class ConnectionSummary:
    """A connection in a list: without a token."""

    @property
    def provider(self) -> str:
        """The provider's id."""
    @property
    def display_name(self) -> str:
        """The provider's name for people."""
    @property
    def account_label(self) -> str:
        """What a person recognises the account by."""
    @property
    def scopes(self) -> list[str]:
        """What it permits."""
    @property
    def audience(self) -> str | None:
        """The audience that was asked for."""
    @property
    def expires_at(self) -> int | None:
        """When its current token ends, in Unix seconds, if the provider said so."""

@final
class PendingToken:
    """A token that is fetched in the background."""

    @property
    def is_pending(self) -> bool:
        """Whether it goes on."""
    def take(self) -> Grant | None:
        """Give what was fetched, once.

        Raises:
            ClientError: it could not be fetched.
        """

@final
class SignInResult:
    """A sign-in that ended without a connection."""

    @property
    def state(self) -> Literal["pending", "denied", "expired", "failed"]:
        """How it ended."""
    @property
    def reason(self) -> _SignInFailure | None:
        """The broker's word for a fault."""
    @property
    def reference(self) -> str | None:
        """By which the operator finds the fault; the person's page shows it too."""
    @property
    def sentence(self) -> str | None:
        """What happened and what to do; `None` where nobody finished it in time."""
    @property
    def exception(self) -> _Exception | None:
        """The class of the public exception that says so; `None` where nobody finished it in time."""

@final
class Broker:
    """A client of one broker, for the server whose token it holds. Each `timeout` is in seconds."""

    def __new__(cls, url: str, token: str, ca_pem: bytes | None) -> Broker:
        """Set up the client; connects to nothing yet.

        Raises:
            InvalidField: the URL cannot be read.
            ClientError: the certificates or the token cannot be used.
        """

    def with_trace(self, traceparent: str, above: int) -> Broker:
        """Give the same client for the calls of one `connect()`: its span, and the id of the span above it, or 0.

        Raises:
            InvalidField: this is no traceparent.
        """

    def create_sign_in(
        self,
        event_loop: asyncio.AbstractEventLoop,
        request: Request,
        idempotency_key: str,
        timeout: float,
    ) -> asyncio.Future[Grant | SignIn]:
        """Ask for a connection, or else open a sign-in. The key must be new for each call."""

    def wait_for_sign_in(
        self,
        event_loop: asyncio.AbstractEventLoop,
        sign_in: SignIn,
        timeout: float,
    ) -> asyncio.Future[Grant | SignInResult]:
        """Wait until a sign-in has ended."""

    def acknowledge(
        self,
        event_loop: asyncio.AbstractEventLoop,
        sign_in: SignIn,
        timeout: float,
    ) -> asyncio.Future[None]:
        """Say that the result of a sign-in has arrived."""

    def cancel(self, sign_in: SignIn, timeout: float) -> None:
        """End a sign-in, in the background."""

    def providers(self, event_loop: asyncio.AbstractEventLoop, timeout: float) -> asyncio.Future[list[str]]:
        """Ask for the ids of the configured providers."""

    def connections(
        self, event_loop: asyncio.AbstractEventLoop, timeout: float
    ) -> asyncio.Future[list[ConnectionSummary]]:
        """Ask which connections this server has."""

    def get_token(self, grant: Grant, min_valid: int, timeout: float) -> Grant:
        """Get a token of the same connection that is valid for so many seconds more. Waits in the calling thread."""

    def get_token_async(
        self,
        event_loop: asyncio.AbstractEventLoop,
        grant: Grant,
        min_valid: int,
        timeout: float,
    ) -> asyncio.Future[Grant]:
        """Get a token of the same connection that is valid for so many seconds more."""

    def replace_token(self, grant: Grant, timeout: float) -> Grant:
        """Get another token than this one, which an API rejected. Waits in the calling thread."""

    def replace_token_async(
        self,
        event_loop: asyncio.AbstractEventLoop,
        grant: Grant,
        timeout: float,
    ) -> asyncio.Future[Grant]:
        """Get another token than this one, which an API rejected."""

    def exchange(
        self,
        event_loop: asyncio.AbstractEventLoop,
        grant: Grant,
        exchange: Exchange,
        timeout: float,
    ) -> asyncio.Future[Grant]:
        """Get a token that the connection's own is exchanged for. Each token got from it is exchanged anew."""

    def sign_out(self, event_loop: asyncio.AbstractEventLoop, grant: Grant, timeout: float) -> asyncio.Future[None]:
        """End the connection and have its tokens revoked."""

    def userinfo(self, grant: Grant, timeout: float) -> str:
        """Ask what the provider says of the account; gives JSON. Waits in the calling thread."""

    def connection_expiry(self, grant: Grant, timeout: float) -> tuple[int | None] | None:
        """Ask whether the broker has the connection: when its newest token ends, or nothing. Waits in the thread."""

    def prefetch_token(self, grant: Grant, min_valid: int, timeout: float) -> PendingToken:
        """Begin to get such a token in the background."""

    def create_sign_in_blocking(self, request: Request, idempotency_key: str, timeout: float) -> Grant | SignIn:
        """Ask for a connection, or else open a sign-in. Waits in the calling thread."""

def run_command(arguments: list[str]) -> int:
    """Run the `hubkey` command with these arguments, of which the first is its name, and give its exit code."""
