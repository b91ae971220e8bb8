"""What a connection and an exchanged token have in common: one access token that stays fresh, and who gets it."""

from __future__ import annotations

import asyncio
import math
import re
import warnings
from abc import ABC, abstractmethod
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from hubkey._broker.awaited import awaited
from hubkey._broker.lock import Lock
from hubkey._exceptions import InvalidArgument, InvalidArgumentType, OriginWarning
from hubkey._tokens.cache import SignInNeeded, TokenCache
from hubkey.auth._aiohttp import Middleware
from hubkey.auth._requests import is_prepared_request, repeat_once

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from typing_extensions import Self

    from hubkey._hubkey import Broker, Grant

_DEFAULT_PORTS = {"http": "80", "https": "443"}
# Stricter than any URL parser, so that none can read another host than is compared here.
_ORIGIN = re.compile(
    r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?(?:[/?#][!-~]*)?", re.ASCII | re.IGNORECASE
)


class AnyRequest(Protocol):
    """A request of requests, httpx or a library that is used like them."""

    @property
    def url(self) -> Any: ...  # noqa: ANN401 - text, or an object that says it
    @property
    def headers(self) -> MutableMapping[str, str]: ...


_AnyRequest = TypeVar("_AnyRequest", bound=AnyRequest)


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


class FreshToken(ABC):
    """An access token that is always valid, and goes to its API origins only.

    Nothing that shows or stores it shows or stores the token.
    """

    __slots__ = ("__weakref__", "_cache", "_lock", "_warned")

    def __init__(self, broker: Broker, grant: Grant) -> None:
        """Begin with a token that was just fetched."""
        self._cache = TokenCache(broker, grant)
        self._lock = Lock()
        self._warned: set[str] = set()

    @property
    @abstractmethod
    def provider(self) -> str:
        """The id of the provider of the connection, as `connect()` takes it."""

    @abstractmethod
    def _check_signed_in(self) -> None:
        """Raise after a sign-out."""

    @abstractmethod
    def _reconnect(self) -> Grant:
        """Go on with the connection of a new sign-in; if there is none yet, raise with its link."""

    @abstractmethod
    def _named(self) -> tuple[str, str]:
        """Say whose token it is, and which setting lists its origins."""

    @property
    def token(self) -> str:
        """The access token, valid now.

        It is kept in memory, fetched anew in the background while it is used near its end, and waited for only if it
        has ended.

        Raises:
            SignInRequired: the access has ended; `sign_in_url` is the link, which is shown once.
            AccessRefused: of an exchanged token: the provider gives no such token any more.
            BrokerUnavailable: the token has ended and the broker, or the provider, does not answer.
        """
        return Token(self._valid_grant().expose_token())

    def get_token(self, *, min_valid: float | None = None) -> str:
        """Give the access token, valid for at least `min_valid` seconds. Waits in the calling thread.

        Raises:
            InvalidArgument: no token lasts for so long; the text says for how long one does.
            HubkeyError: as `token` does.
        """
        check_min_valid(min_valid)
        return Token(self._valid_grant(min_valid).expose_token())

    @awaited("token = await lab.aget_token()")
    async def aget_token(self, *, min_valid: float | None = None) -> str:
        """Give the same without holding up the event loop.

        Raises:
            InvalidArgument: as `get_token` does.
            HubkeyError: as `token` does.
        """
        check_min_valid(min_valid)
        return Token((await self._valid_grant_async(min_valid)).expose_token())

    def token_with_expiry(self) -> tuple[str, datetime | None]:
        """Give the access token as `token` does, and when this very token ends; `None` if the provider did not say."""
        grant = self._valid_grant()
        return Token(grant.expose_token()), to_datetime(grant.expires_at)

    @awaited("token, ends = await lab.atoken_with_expiry()")
    async def atoken_with_expiry(self) -> tuple[str, datetime | None]:
        """Give the same without holding up the event loop."""
        grant = await self._valid_grant_async(None)
        return Token(grant.expose_token()), to_datetime(grant.expires_at)

    def replace_token(self, rejected: str) -> str | None:
        """Give another token than this one, which an API rejected, or `None` if there is no other now.

        For whoever writes an adapter: repeat the request once with what this gives, if it can be repeated.

        Raises:
            SignInRequired: as `token` does.
        """
        self._check_signed_in()
        try:
            grant = self._cache.replace(rejected)
        except SignInNeeded:
            grant = self._reconnect()
        return None if grant is None else Token(grant.expose_token())

    @awaited("token = await lab.areplace_token(rejected)")
    async def areplace_token(self, rejected: str) -> str | None:
        """Give the same without holding up the event loop."""
        self._check_signed_in()
        try:
            grant = await self._cache.replace_async(rejected)
        except SignInNeeded:
            grant = await asyncio.to_thread(self._reconnect)
        return None if grant is None else Token(grant.expose_token())

    @property
    def headers(self) -> dict[str, str]:
        """The header that carries the token, for libraries that take headers. Send it to its API only."""
        return {"Authorization": Token("Bearer " + self._valid_grant().expose_token())}

    @property
    def expires_at(self) -> datetime | None:
        """When the token ends, with its time zone (UTC); `None` if the provider did not say."""
        return to_datetime(self._newest.expires_at)

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the token permits, as far as the provider said."""
        return tuple(self._newest.scopes)

    @property
    def api_origins(self) -> tuple[str, ...]:
        """The only origins that libraries send the token to; if there are none, it is sent nowhere by itself."""
        return tuple(self._newest.api_origins)

    def __call__(self, request: _AnyRequest) -> _AnyRequest:
        """Add the token to a request for one of its API origins, as requests and httpx ask an `auth` to."""
        if self.permits(str(request.url)):
            request.headers["Authorization"] = Token("Bearer " + self._valid_grant().expose_token())
            if is_prepared_request(request):
                repeat_once(self, request)
        return request

    def permits(self, url: str) -> bool:
        """Say whether libraries may send the token to this address; if not, a warning tells it once per origin."""
        origin = origin_of(url)
        if origin is not None and origin in map(origin_of, self._newest.api_origins):
            return True
        self._warn_once(origin or "this address")
        return False

    @property
    def aiohttp_middleware(self) -> Middleware:
        """A client middleware: `aiohttp.ClientSession(middlewares=(connection.aiohttp_middleware,))`."""
        return Middleware(self)

    @property
    def _newest(self) -> Grant:
        return self._cache.newest

    def _valid_grant(self, min_valid: float | None = None) -> Grant:
        self._check_signed_in()
        try:
            return self._cache.get(min_valid)
        except SignInNeeded:
            return self._reconnect()

    async def _valid_grant_async(self, min_valid: float | None) -> Grant:
        self._check_signed_in()
        try:
            return await self._cache.get_async(min_valid)
        except SignInNeeded:
            return await asyncio.to_thread(self._reconnect)

    def _warn_once(self, origin: str) -> None:
        if origin in self._warned:
            return
        self._warned.add(origin)
        allowed = ", ".join(self._newest.api_origins) or "none"
        name, setting = self._named()
        warnings.warn(
            f"The token of {name} was not sent to {origin}: its API origins are {allowed}. If this is the right"
            f" address, ask the operator to add it to the provider's {setting}.",
            OriginWarning,
            stacklevel=4,
        )

    @abstractmethod
    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be written down."""
        raise NotImplementedError

    def __copy__(self) -> Self:
        """Give itself: a copy would be the same access."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Give itself: a copy would be the same access."""
        return self


def to_datetime(seconds: int | None) -> datetime | None:
    """Give a moment in Unix seconds with its time zone (UTC)."""
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc)


def check_min_valid(value: object) -> None:
    """Refuse what is no length of time."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgumentType("min_valid", value, "expected a number of seconds.")
    if not 0 <= value < math.inf:
        raise InvalidArgument("min_valid", value, "expected 0 or more seconds, and an end.")


def origin_of(url: str) -> str | None:
    """Give `scheme://host:port` of a URL, or nothing where two parsers could read it differently."""
    match = _ORIGIN.fullmatch(url)
    if match is None:
        return None
    scheme, host, port = match[1].lower(), match[2].lower(), match[3]
    return f"{scheme}://{host}:{int(port or _DEFAULT_PORTS[scheme])}"
