"""What `Connection.exchange()` gives: a token of another API, always fresh."""

from __future__ import annotations

import asyncio
import threading
import warnings
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from hubkey._connection import Token, check_min_valid, origin_of
from hubkey._errors import InvalidArgument, InvalidArgumentType, OriginWarning, SignInFailed, SignInRequired
from hubkey._failure import public_error
from hubkey._hubkey import ClientError, Exchange, InvalidField
from hubkey._ticking import ticking
from hubkey._tokens import Gone, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hubkey._connection import AnyRequest
    from hubkey._hubkey import Broker, Grant

    _Request = TypeVar("_Request", bound=AnyRequest)


# How long the broker may take.
_PATIENCE = 15.0


@dataclass(frozen=True)
class Source:
    """The connection whose token is exchanged."""

    provider: str
    check: Callable[[], None]
    """Raises after a sign-out."""
    connected_again: Callable[[], Grant]
    """Finds the connection of a new sign-in, or raises with its link."""


async def exchanged(broker: Broker, grant: Grant, asked: Mapping[str, Any], source: Source) -> ExchangedToken:
    """Have a connection's token exchanged for what was asked."""
    request = _request(asked)
    try:
        taken = await ticking(broker.exchange(asyncio.get_running_loop(), grant, request, _PATIENCE))
    except ClientError as failure:
        error = public_error(failure, asked)
    else:
        name = asked["audience"] or asked["resource"] or asked["requested_issuer"]
        return ExchangedToken(broker, taken, name, source)
    if isinstance(error, (SignInRequired, SignInFailed)):
        # Raises with the link, unless somebody signed in meanwhile.
        await asyncio.to_thread(source.connected_again)
    raise error


def _request(asked: Mapping[str, Any]) -> Exchange:
    scopes = asked["scopes"]
    if isinstance(scopes, str):
        raise InvalidArgumentType("scopes", scopes, f"expected a list of texts, such as [{scopes!r}].")
    if all(asked[name] is None for name in ("audience", "resource", "requested_issuer")):
        raise InvalidArgument("audience", None, "name an audience, a resource or a requested_issuer.")
    for name in ("audience", "resource", "requested_issuer"):
        if not isinstance(asked[name], (str, type(None))):
            raise InvalidArgumentType(name, asked[name], "expected a text.")
    texts = scopes if scopes is None else list(scopes)
    try:
        return Exchange(asked["audience"], texts, asked["resource"], asked["requested_issuer"])
    except InvalidField as failure:
        field, reason = failure.args
        raise InvalidArgument(field, asked[field], reason) from None


class ExchangedToken:
    """An access token of another API, for which the token of a connection was exchanged.

    It is used as a connection is: as an `auth` of requests and httpx, or by its `token`, which is exchanged anew near
    its end. Nothing that shows or stores it shows or stores the token.
    """

    __slots__ = ("__weakref__", "_lock", "_name", "_source", "_tokens", "_warned")

    def __init__(self, broker: Broker, grant: Grant, name: str, source: Source) -> None:
        """Is called by `Connection.exchange()` only; `name` is what was asked for."""
        self._source = source
        self._tokens = Tokens(broker, grant)
        self._name = name
        self._lock = threading.Lock()
        self._warned: set[str] = set()

    @property
    def token(self) -> str:
        """The access token, valid now; waited for only if the one in memory has ended.

        Raises:
            SignInRequired: the connection has ended; `sign_in_url` is the link.
            AccessRefused: the provider gives no such token any more.
            BrokerUnavailable: the token has ended and the broker, or the provider, does not answer.
        """
        return Token(self._usable().expose_token())

    async def aget_token(self, *, min_valid: float | None = None) -> str:
        """Give the access token without holding up the event loop, valid for at least `min_valid` seconds.

        Raises:
            InvalidArgument: no such token lasts for so long.
            HubkeyError: as `token` does.
        """
        check_min_valid(min_valid)
        self._source.check()
        try:
            grant = await self._tokens.awaited(min_valid)
        except Gone:
            grant = await asyncio.to_thread(self._exchanged_again)
        return Token(grant.expose_token())

    @property
    def headers(self) -> dict[str, str]:
        """The header that carries the token, for libraries that take headers. Send it to that API only."""
        return {"Authorization": Token("Bearer " + self._usable().expose_token())}

    @property
    def expires_at(self) -> datetime | None:
        """When the token ends, with its time zone (UTC); `None` if the provider did not say."""
        seconds = self._tokens.newest.expires_at
        return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc)

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the token permits, as far as the provider said."""
        return tuple(self._tokens.newest.scopes)

    @property
    def api_origins(self) -> tuple[str, ...]:
        """The only origins that libraries send the token to; if there are none, it is sent nowhere by itself."""
        return tuple(self._tokens.newest.api_origins)

    def __call__(self, request: _Request) -> _Request:
        """Add the token to a request for one of its API origins, as requests and httpx ask an `auth` to."""
        origin = origin_of(str(request.url))
        if origin is not None and origin in map(origin_of, self.api_origins):
            request.headers["Authorization"] = Token("Bearer " + self._usable().expose_token())
        else:
            self._warn_once(origin or "this address")
        return request

    def _usable(self) -> Grant:
        self._source.check()
        try:
            return self._tokens.usable()
        except Gone:
            return self._exchanged_again()

    def _exchanged_again(self) -> Grant:
        """Go on with the connection of a new sign-in; if there is none yet, say so with its link."""
        with self._lock:
            connected = self._source.connected_again()
            self._tokens.take(self._tokens.newest.moved_to(connected))
            self._tokens.replace()
            return self._tokens.newest

    def _warn_once(self, origin: str) -> None:
        if origin in self._warned:
            return
        self._warned.add(origin)
        allowed = ", ".join(self.api_origins) or "none"
        warnings.warn(
            f"The token of {self._name} was not sent to {origin}: its API origins are {allowed}. If this is the right"
            " address, ask the operator to add it to the provider's exchange.api_origins.",
            OriginWarning,
            stacklevel=3,
        )

    def __copy__(self) -> ExchangedToken:
        """Give itself: a copy would be the same access."""
        return self

    def __deepcopy__(self, memo: object) -> ExchangedToken:
        """Give itself: a copy would be the same access."""
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be written down."""
        raise TypeError("A token is not pickled. Call exchange() where it is needed.")

    def __repr__(self) -> str:
        """Say what it is, without the token."""
        ends = self.expires_at
        until = "" if ends is None else f" until {ends.astimezone():%H:%M %Z}"
        return f"<hubkey.ExchangedToken {self._name} by {self._source.provider}{until}>"
