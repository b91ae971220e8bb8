"""What `Connection.exchange()` gives: a token of another API, always fresh."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from hubkey._broker.errors import invalid_argument, public_error
from hubkey._broker.event_loop import running_loop
from hubkey._exceptions import InvalidArgument, InvalidArgumentType, SignInFailed, SignInRequired
from hubkey._hubkey import ClientError, Exchange, InvalidField
from hubkey._notebook.interruptible import interruptible_wait
from hubkey._tokens.source import FreshToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hubkey._hubkey import Broker, Grant

# How long the broker may take.
_TIMEOUT = 15.0


@dataclass(frozen=True)
class Source:
    """The connection whose token is exchanged."""

    provider: str
    check: Callable[[], None]
    """Raises after a sign-out."""
    reconnect: Callable[[], Grant]
    """Finds the connection of a new sign-in, or raises with its link."""


async def exchange_token(broker: Broker, grant: Grant, asked: Mapping[str, Any], source: Source) -> ExchangedToken:
    """Have a connection's token exchanged for what was asked."""
    request = _request(asked)
    try:
        taken = await interruptible_wait(broker.exchange(running_loop(), grant, request, _TIMEOUT))
    except ClientError as failure:
        error = public_error(failure, asked)
    else:
        name = asked["audience"] or asked["resource"] or asked["requested_issuer"]
        return ExchangedToken(broker, taken, name, source)
    if isinstance(error, (SignInRequired, SignInFailed)):
        # Raises with the link, unless somebody signed in meanwhile.
        await asyncio.to_thread(source.reconnect)
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
        raise invalid_argument(failure, asked[failure.field]) from None


class ExchangedToken(FreshToken):
    """An access token of another API, for which the token of a connection was exchanged.

    It is used as a connection is: as an `auth` of requests and httpx, by the auth objects of `hubkey.auth`, or by its
    `token`, which is exchanged anew near its end. Nothing that shows or stores it shows or stores the token.
    """

    __slots__ = ("_name", "_source")

    def __init__(self, broker: Broker, grant: Grant, name: str, source: Source) -> None:
        """Is called by `Connection.exchange()` only; `name` is what was asked for."""
        super().__init__(broker, grant)
        self._source = source
        self._name = name

    @property
    def provider(self) -> str:
        """The id of the provider whose connection was exchanged."""
        return self._source.provider

    def _check_signed_in(self) -> None:
        self._source.check()

    def _reconnect(self) -> Grant:
        """Go on with the connection of a new sign-in; if there is none yet, say so with its link."""
        with self._lock.held(2 * _TIMEOUT):
            connected = self._source.reconnect()
            self._cache.take(self._cache.newest.moved_to(connected))
            self._cache.fetch()
            return self._cache.newest

    def _named(self) -> tuple[str, str]:
        return self._name, "exchange.api_origins"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be written down."""
        raise TypeError("A token is not pickled. Call exchange() where it is needed.")

    def __repr__(self) -> str:
        """Say what it is, without the token."""
        ends = self.expires_at
        until = "" if ends is None else f" until {ends.astimezone():%H:%M %Z}"
        return f"<hubkey.ExchangedToken {self._name} by {self._source.provider}{until}>"
