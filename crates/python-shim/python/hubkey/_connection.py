"""What `connect()` gives."""

from __future__ import annotations

import math
import re
import time
import warnings
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from hubkey import _display
from hubkey._errors import BrokerUnavailable, OriginWarning, SignInFailed, SignInRequired
from hubkey._failure import public_error
from hubkey._hubkey import ClientError

if TYPE_CHECKING:
    from collections.abc import Container, MutableMapping

    from hubkey._hubkey import Broker, Grant

# A token that ends sooner is drawn anew, if the broker has one that lasts longer.
_RENEW_BELOW = 60
# What is left must outlast the request that it is for.
_USABLE_ABOVE = 5
_PATIENCE = 15.0
_DEFAULT_PORTS = {"http": "80", "https": "443"}
# Stricter than any URL parser, so that none can read another host than is compared here.
_ORIGIN = re.compile(
    r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?(?:[/?#][!-~]*)?", re.ASCII | re.IGNORECASE
)


class _Request(Protocol):
    """A request of requests, httpx or a library that is used like them."""

    @property
    def url(self) -> Any: ...  # noqa: ANN401 - text, or an object that says it
    @property
    def headers(self) -> MutableMapping[str, str]: ...


_AnyRequest = TypeVar("_AnyRequest", bound=_Request)


@dataclass(frozen=True)
class Account:
    """Who signed in at the provider."""

    sub: str
    """The provider's own id of the account."""

    name: str | None
    """A name, for people only."""

    email: str | None
    """An e-mail address, for people only."""

    def __str__(self) -> str:
        """Give what a person recognises the account by."""
        return self.email or self.name or self.sub


class Token(str):
    """A token: text, but hidden where Python shows values without being asked for this one."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Hide the token from cell outputs, containers, debuggers and tracebacks."""
        return "<hidden token>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be written down."""
        raise TypeError("A token is not pickled. Call hubkey.connect() where it is needed.")

    def __copy__(self) -> Token:
        """Give itself: text does not change."""
        return self

    def __deepcopy__(self, memo: object) -> Token:
        """Give itself: text does not change."""
        return self


class Connection:
    """A person's access to one provider, for this server.

    Hand it to a library as it is (`requests.get(url, auth=connection)`, `httpx.Client(auth=connection)`), or take its
    `token`. Nothing that shows or stores a connection shows or stores its token. Two connections are equal only if they
    are the same object.
    """

    __slots__ = ("__weakref__", "_broker", "_grant", "_warned")

    def __init__(self, broker: Broker, grant: Grant) -> None:
        """Is called by `connect()` only."""
        self._broker = broker
        self._grant = grant
        self._warned: set[str] = set()

    @property
    def token(self) -> str:
        """The access token, valid now.

        Raises:
            SignInRequired: it has ended; run `await hubkey.connect(…)` again.
            BrokerUnavailable: it has ended and the broker does not answer.
        """
        return Token(self._usable().expose_token())

    @property
    def headers(self) -> dict[str, str]:
        """The header that carries the token, for libraries that take headers. Send it to the provider's API only."""
        return {"Authorization": Token("Bearer " + self._usable().expose_token())}

    @property
    def expires_at(self) -> datetime | None:
        """When the token ends, with its time zone (UTC); `None` if the provider did not say."""
        seconds = self._grant.expires_at
        return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc)

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the provider granted."""
        return tuple(self._grant.scopes)

    @property
    def account(self) -> Account:
        """Who signed in at the provider."""
        return Account(self._grant.account_sub, self._grant.account_name, self._grant.account_email)

    @property
    def provider(self) -> str:
        """The provider's id, as `connect()` takes it."""
        return self._grant.provider

    @property
    def display_name(self) -> str:
        """The provider's name for people."""
        return self._grant.display_name

    @property
    def api_origins(self) -> tuple[str, ...]:
        """The only origins that libraries send the token to; if there are none, it is sent nowhere by itself."""
        return tuple(self._grant.api_origins)

    def __call__(self, request: _AnyRequest) -> _AnyRequest:
        """Add the token to a request for one of the provider's API origins, as requests and httpx ask an `auth` to."""
        origin = _origin(str(request.url))
        if origin is not None and origin in map(_origin, self._grant.api_origins):
            request.headers["Authorization"] = Token("Bearer " + self._usable().expose_token())
        else:
            self._warn_once(origin or "this address")
        return request

    def __copy__(self) -> Connection:
        """Give itself: a copy would be the same access."""
        return self

    def __deepcopy__(self, memo: object) -> Connection:
        """Give itself: a copy would be the same access."""
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be written down."""
        raise TypeError(
            "A connection belongs to this server and is not pickled. Call hubkey.connect() where it is needed.",
        )

    def _usable(self) -> Grant:
        left = _seconds_left(self._grant)
        if left > _RENEW_BELOW:
            return self._grant
        try:
            self._grant = self._broker.draw_token(self._grant, _RENEW_BELOW, _PATIENCE)
        except ClientError as failure:
            code, error = failure.args[1], public_error(failure)
        else:
            return self._grant
        if left > _USABLE_ABOVE and (code == "token_too_short" or isinstance(error, BrokerUnavailable)):
            return self._grant
        raise self._ended() if isinstance(error, (SignInRequired, SignInFailed)) else error

    def _ended(self) -> SignInRequired:
        when = f" at {self.expires_at.astimezone():%H:%M %Z}" if self.expires_at else ""
        return SignInRequired(
            f"The access to {self.display_name} has ended{when}. Run `await hubkey.connect({self.provider!r})` to sign"
            " in again.",
        )

    def _warn_once(self, origin: str) -> None:
        if origin in self._warned:
            return
        self._warned.add(origin)
        allowed = ", ".join(self._grant.api_origins) or "none"
        warnings.warn(
            f"The token of {self.display_name} was not sent to {origin}: its API origins are {allowed}. If this is the"
            " right address, ask the operator to add it to the provider's api_origins.",
            OriginWarning,
            stacklevel=3,
        )

    def __repr__(self) -> str:
        """Say what the connection is, without its token."""
        return f"<hubkey.Connection {self.provider}: {self._line()}>"

    def __str__(self) -> str:
        """Say what the connection is, as the card does."""
        return self._line()

    def _repr_mimebundle_(
        self,
        include: Container[str] | None = None,
        exclude: Container[str] | None = None,
    ) -> dict[str, str]:
        """Show the connection in a notebook, as the card does."""
        del include, exclude
        return {"text/plain": self._line(), "text/html": connection_html(self)}

    def _line(self) -> str:
        return " · ".join([f"✓ {self.display_name} as {self.account}", *connection_details(self)])


def connection_html(connection: Connection) -> str:
    """Show a connection as the card does, when it is connected."""
    return _display.connected_html(connection.display_name, str(connection.account), connection_details(connection))


def connection_details(connection: Connection) -> list[str]:
    """Say what a connection permits, and until when."""
    scopes, ends = connection.scopes, connection.expires_at
    details = [f"{len(scopes)} scope{'' if len(scopes) == 1 else 's'}: {' '.join(scopes)}"] if scopes else []
    if ends is not None:
        details.append(f"until {ends.astimezone():%H:%M %Z}")
    return details


def _seconds_left(grant: Grant) -> float:
    return math.inf if grant.expires_at is None else grant.expires_at - time.time()


def _origin(url: str) -> str | None:
    """Give `scheme://host:port` of a URL, or nothing where two parsers could read it differently."""
    match = _ORIGIN.fullmatch(url)
    if match is None:
        return None
    scheme, host, port = match[1].lower(), match[2].lower(), match[3]
    return f"{scheme}://{host}:{int(port or _DEFAULT_PORTS[scheme])}"
