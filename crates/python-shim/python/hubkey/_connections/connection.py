"""What `connect()` gives."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from hubkey._broker.awaited import awaited
from hubkey._broker.errors import public_error
from hubkey._broker.event_loop import running_loop
from hubkey._connections.account import Account
from hubkey._connections.http import Response, ask
from hubkey._connections.status import Status
from hubkey._exceptions import InvalidArgument, SignInFailed, SignInRequired
from hubkey._hubkey import ClientError, Request, SignIn
from hubkey._notebook.card import Card, connected_html, show_card
from hubkey._notebook.frontend import Frontend, current_cell
from hubkey._notebook.interruptible import interruptible_wait
from hubkey._tokens.exchanged import ExchangedToken, Source, exchange_token
from hubkey._tokens.jwt import UnverifiedToken, inspect_token
from hubkey._tokens.source import FreshToken, to_datetime

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from hubkey._hubkey import Broker, Grant

# How long the broker may take to say whether there is a connection again.
_TIMEOUT = 10.0
# One thread shows the link, the others wait for it: as long as it may take to ask.
_LOCK_TIMEOUT = 12.0


@dataclass(frozen=True)
class _Link:
    """A link that is shown to the person, until it ends."""

    url: str = field(repr=False)
    card: Card
    ends: float


class Connection(FreshToken):
    """A person's access to one provider, for this server.

    Hand it to a library as it is (`requests.get(url, auth=connection)`, `httpx.Client(auth=connection)`), or take its
    `token`. Nothing that shows or stores a connection shows or stores its token. Two connections are equal only if they
    are the same object.
    """

    __slots__ = ("_asked", "_base_path", "_broker", "_link", "_shown_in", "_signed_out")

    def __init__(
        self,
        broker: Broker,
        grant: Grant,
        asked: tuple[str, ...] | None = None,
        base_path: str = "",
        shown_in: int | None = None,
    ) -> None:
        """Is called by `connect()` only; `asked` are the scopes that it was called with.

        `shown_in` is the cell whose card shows it: as the value of that cell it is not shown again.
        """
        super().__init__(broker, grant)
        self._broker = broker
        self._asked = asked
        self._link: _Link | None = None
        self._signed_out = False
        self._base_path = base_path
        self._shown_in = shown_in

    @property
    def refreshable(self) -> bool:
        """Whether a new token comes by itself when this one ends; if not, somebody has to sign in again then."""
        return self._newest.refreshable

    @property
    def account(self) -> Account:
        """Who signed in at the provider."""
        return Account(self._newest.account_sub, self._newest.account_name, self._newest.account_email)

    @property
    def provider(self) -> str:
        """The provider's id, as `connect()` takes it."""
        return self._newest.provider

    @property
    def display_name(self) -> str:
        """The provider's name for people."""
        return self._newest.display_name

    @property
    def base_path(self) -> str:
        """What `get` and its like put before a path, as `connect()` took it; a whole URL is taken as it is."""
        return self._base_path

    def get(self, path: str, *, params: Mapping[str, Any] | None = None, timeout: float = 30) -> Response:
        """Ask the provider's API: `connection.get("/projects").json()`. Redirects are answers and are not followed.

        Raises:
            InvalidArgument: the address is not of one of the provider's API origins; nothing was sent.
            SignInRequired: as `token` does.
            OSError: the API did not answer.
        """
        return ask(self, "GET", path, params=params, timeout=timeout)

    def post(self, path: str, json: object, *, timeout: float = 30) -> Response:
        """Send something as JSON to the provider's API, and else do as `get` does."""
        return ask(self, "POST", path, body=json, timeout=timeout)

    def put(self, path: str, json: object, *, timeout: float = 30) -> Response:
        """Put something as JSON in the place of what is there, and else do as `get` does."""
        return ask(self, "PUT", path, body=json, timeout=timeout)

    def patch(self, path: str, json: object, *, timeout: float = 30) -> Response:
        """Change what is there by something in JSON, and else do as `get` does."""
        return ask(self, "PATCH", path, body=json, timeout=timeout)

    def delete(self, path: str, *, params: Mapping[str, Any] | None = None, timeout: float = 30) -> Response:
        """Delete what is there, and else do as `get` does."""
        return ask(self, "DELETE", path, params=params, timeout=timeout)

    def userinfo(self) -> dict[str, Any]:
        """Ask the provider, through the broker, what it says of the account: its userinfo document, as it is.

        What it holds is for people: before a picture's address or a name goes into HTML, escape it.

        Raises:
            SignInRequired: as `token` does.
            AccessRefused: the provider has no userinfo for this connection.
            BrokerUnavailable: the broker or the provider does not answer.
        """
        self._valid_grant()
        try:
            return json.loads(self._broker.userinfo(self._newest, _TIMEOUT))
        except ClientError as failure:
            error = public_error(failure)
        raise self._access_ended(None) if isinstance(error, SignInFailed) else error

    def inspect(self) -> UnverifiedToken:
        """Read the token here, without asking anybody and **without verifying it**: to look at, not to decide by.

        What it shows has no part that could be used as a token.
        """
        return inspect_token(self._newest.expose_token())

    def status(self) -> Status:
        """Say what is known of the access here, and what the broker says of it now. For people; raises nothing."""
        newest = self._newest
        try:
            known = None if self._signed_out else self._broker.connection_expiry(newest, _TIMEOUT)
            broker = "signed out" if self._signed_out else "ended" if known is None else "connected"
        except ClientError:
            known, broker = None, "unreachable"
        return Status(
            provider=self.provider,
            display_name=self.display_name,
            account=self.account,
            scopes=self.scopes,
            expires_at=to_datetime(newest.expires_at),
            api_origins=self.api_origins,
            broker=broker,
            broker_expires_at=None if known is None else to_datetime(known[0]),
        )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be written down."""
        raise TypeError(
            "A connection belongs to this server and is not pickled. Call hubkey.connect() where it is needed.",
        )

    @awaited('other = await lab.exchange("…")')
    async def exchange(
        self,
        audience: str | None = None,
        *,
        scopes: Iterable[str] | None = None,
        resource: str | None = None,
        requested_issuer: str | None = None,
    ) -> ExchangedToken:
        """Exchange the token for one of another API, or of a provider behind this one (RFC 8693).

        What can be asked for is in the operator's lists. What comes back stays fresh, as a connection does.

        Raises:
            InvalidArgument: an argument is not in the operator's lists, or none was given.
            AccessRefused: the provider gives this person no such token.
            SignInRequired: the connection has ended; `sign_in_url` is the link.
            BrokerUnavailable: the broker, or the provider, does not answer.
        """
        asked = {"audience": audience, "scopes": scopes, "resource": resource, "requested_issuer": requested_issuer}
        await self._valid_grant_async(None)
        return await exchange_token(
            self._broker, self._newest, asked, Source(self.provider, self._check_signed_in, self._reconnect)
        )

    @awaited("await lab.sign_out()")
    async def sign_out(self) -> None:
        """End the access, for every notebook of this server; its tokens are revoked at the provider.

        The next `connect()` needs a new sign-in. Signing out twice is as good as once.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        loop = running_loop()
        self._signed_out = True
        try:
            await interruptible_wait(self._broker.sign_out(loop, self._newest, _TIMEOUT))
        except ClientError as failure:
            if failure.code != "not_found":
                self._signed_out = False
                raise public_error(failure) from None

    def _reconnect(self) -> Grant:
        """Find the connection of a new sign-in; if there is none yet, show its link, once."""
        with self._lock.held(_LOCK_TIMEOUT):
            link = self._link if self._link is not None and self._link.ends > time.monotonic() else None
            frontend = Frontend.current()
            answer = self._find_or_create(interactive=link is None and frontend.has_a_person)
            if isinstance(answer, SignIn):
                seconds = answer.expires_in
                card = show_card(frontend, answer, seconds, waits=False)
                link = self._link = _Link(answer.url, card, time.monotonic() + seconds)
            elif answer is not None and answer.account_sub == self._newest.account_sub:
                self._cache.take(answer)
                if link is not None:
                    link.card.connected(str(self), connection_html(self))
                self._link = None
                return answer
        raise self._access_ended(None if link is None else link.url)

    def _find_or_create(self, *, interactive: bool) -> Grant | SignIn | None:
        grant = self._newest
        scopes = None if self._asked is None else list(self._asked)
        request = Request(grant.provider, scopes, grant.audience, grant.resource, interactive)
        try:
            return self._broker.create_sign_in_blocking(request, secrets.token_urlsafe(24), _TIMEOUT)
        except ClientError as failure:
            error = public_error(failure)
        if isinstance(error, (SignInRequired, InvalidArgument)):
            return None
        raise error

    def _check_signed_in(self) -> None:
        if self._signed_out:
            raise SignInRequired(
                f"You signed out of {self.display_name}. Run `await hubkey.connect({self.provider!r})` to sign in"
                " again.",
            )

    def _access_ended(self, sign_in_url: str | None) -> SignInRequired:
        when = f" at {self.expires_at.astimezone():%H:%M %Z}" if self.expires_at else ""
        again = "Sign in by the link and run this again, or run" if sign_in_url else "Run"
        return SignInRequired(
            f"The access to {self.display_name} has ended{when}. {again} `await hubkey.connect({self.provider!r})` to"
            " sign in again.",
            sign_in_url,
        )

    def _named(self) -> tuple[str, str]:
        return self.display_name, "api_origins"

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

    def _ipython_display_(self) -> None:
        if self._shown_in is None or self._shown_in != current_cell():
            # IPython then asks for what there is to show.
            raise NotImplementedError

    def _line(self) -> str:
        return " · ".join([f"✓ {self.display_name} as {self.account}", *connection_details(self)])


def connection_html(connection: Connection) -> str:
    """Show a connection as the card does, when it is connected."""
    return connected_html(connection.display_name, str(connection.account), connection_details(connection))


def connection_details(connection: Connection) -> list[str]:
    """Say what a connection permits, and until when: what renews itself has no end that a saved card could name."""
    scopes, ends = connection.scopes, connection.expires_at
    details = [f"{len(scopes)} scope{'' if len(scopes) == 1 else 's'}: {' '.join(scopes)}"] if scopes else []
    if connection.refreshable:
        details.append("renews by itself")
    elif ends is not None:
        details.append(f"until {ends.astimezone():%Y-%m-%d %H:%M %Z}")
    return details
