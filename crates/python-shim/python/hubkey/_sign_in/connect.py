"""`connect()`: from a name to a connection, by at most one link."""

from __future__ import annotations

import asyncio
import difflib
import math
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, NoReturn, cast

from hubkey._broker.awaited import awaited
from hubkey._broker.client import open_broker
from hubkey._broker.environment import DEFAULT_TIMEOUT, Settings, read_settings
from hubkey._broker.errors import (
    ended_sign_in,
    invalid_argument,
    public_error,
    sign_in_timeout,
    with_details,
)
from hubkey._broker.event_loop import running_loop
from hubkey._broker.trace import start_span
from hubkey._connections.connection import Connection, connection_html
from hubkey._connections.http import checked_base_path
from hubkey._exceptions import (
    HubkeyError,
    InvalidArgument,
    InvalidArgumentType,
    SignInFailed,
    SignInRequired,
)
from hubkey._hubkey import CANCELLED, Broker, ClientError, Grant, InvalidField, Request, SignIn
from hubkey._notebook.card import duration, show_card
from hubkey._notebook.frontend import Frontend, current_cell
from hubkey._notebook.interruptible import interruptible_wait
from hubkey._traceback import told

# For calls that have nothing to wait for.
_TIMEOUT = 10.0
_OPTIONS = ("provider", "scopes", "audience", "resource", "account", "timeout", "interactive", "base_path")


@dataclass(frozen=True)
class _ConnectRequest:
    """The arguments of one call, checked, with the settings in place of what was left out."""

    provider: str | None
    scopes: tuple[str, ...] | None
    audience: str | None
    resource: str | None
    account: str | None
    timeout: float | None
    interactive: bool | None
    base_path: str
    began: float = field(default_factory=time.monotonic)

    def with_defaults(self, settings: Settings) -> _ConnectRequest:
        return replace(
            self,
            provider=self.provider or settings.provider,
            timeout=self.timeout or settings.timeout,
            interactive=settings.interactive if self.interactive is None else self.interactive,
        )

    def message(self, *, interactive: bool) -> Request:
        scopes = None if self.scopes is None else list(self.scopes)
        try:
            message = Request(self.provider, scopes, self.audience, self.resource, interactive)
        except InvalidField as invalid:
            raise invalid_argument(invalid, getattr(self, invalid.field)) from None
        return message if self.account is None else message.of_account(self.account)

    @property
    def total_timeout(self) -> float:
        """How long this call waits in all."""
        return self.timeout or DEFAULT_TIMEOUT

    @property
    def remaining(self) -> float:
        """How long it still waits."""
        return max(0.0, self.began + self.total_timeout - time.monotonic())


@awaited('lab = await hubkey.connect("…")')
async def connect(  # noqa: PLR0913 - what a sign-in can be asked for, each by its name
    provider: str | None = None,
    *,
    scopes: Iterable[str] | None = None,
    audience: str | None = None,
    resource: str | None = None,
    account: str | None = None,
    timeout: float | None = None,
    interactive: bool | Literal["auto"] = "auto",
    base_path: str = "",
    **unknown: NoReturn,
) -> Connection:
    """Get access to a provider for this server; show one link if a person has to sign in first.

    Args:
        provider: its id, as the operator named it. May be left out where there is only one, or `HUBKEY_PROVIDER` says.
        scopes: what to ask for, as names or one string with spaces; the provider's default if left out.
        audience: the API that the token is for, out of the provider's list.
        resource: the same in the words of RFC 8707.
        account: which of your accounts there: its e-mail address, its name or the provider's id of it.
        timeout: how many seconds to wait for the person; 300, or what `HUBKEY_TIMEOUT` says, if left out.
        interactive: whether to show a link; `"auto"` finds out if somebody is there to click it.
        base_path: what `get` and its like of the connection put before a path, such as `"/api/v2"`.
        **unknown: there are no others.

    Returns:
        The connection. Where one exists already, it is given at once and nothing is shown.

    Raises:
        InvalidArgument: an argument cannot work; its field and value are named and nothing was opened.
        NotOnJupyterHub: there is no Hub here, or it does not offer hubkey.
        SignInRequired: a person has to sign in, and nobody is there.
        SignInTimeout: nobody finished in time. Whoever finishes later is connected by the next call.
        SignInDenied: the sign-in was refused or cancelled in the browser.
        SignInFailed: a fault ended the sign-in.
        AccessRefused: the broker does not serve this server.
        BrokerUnavailable: the broker did not answer.
    """
    _refuse_unknown(unknown)
    asked = _ConnectRequest(
        provider=_checked_text("provider", provider),
        scopes=_checked_scopes(scopes),
        audience=_checked_text("audience", audience),
        resource=_checked_text("resource", resource),
        account=_checked_text("account", account),
        timeout=_checked_timeout(timeout),
        interactive=_checked_interactive(interactive),
        base_path=checked_base_path(base_path),
    )
    settings = read_settings()
    request = asked.with_defaults(settings)
    frontend, cell = Frontend.current(), current_cell()
    interactive = frontend.has_a_person if request.interactive is None else request.interactive
    broker = open_broker(settings)
    calls = start_span(broker)
    try:
        answer = await _find_or_create(calls, request, frontend, interactive=interactive)
        grant = await _sign_in(calls, answer, request, frontend) if isinstance(answer, SignIn) else answer
    except HubkeyError as error:
        # The broker's sentences are those of a notebook.
        error.args = tuple(frontend.words(part) if isinstance(part, str) else part for part in error.args)
        raise
    shown_in = cell if isinstance(answer, SignIn) else None
    return Connection(broker, grant, request.scopes, request.base_path, shown_in)


async def _find_or_create(
    broker: Broker, request: _ConnectRequest, frontend: Frontend, *, interactive: bool
) -> Grant | SignIn:
    """Get the connection that exists, or open a sign-in."""
    message = request.message(interactive=interactive)
    loop = running_loop()
    timeout = min(_TIMEOUT, request.remaining)
    try:
        return await interruptible_wait(broker.create_sign_in(loop, message, secrets.token_urlsafe(24), timeout))
    except ClientError as failure:
        error = public_error(failure, {name: getattr(request, name) for name in _OPTIONS})
    if not interactive and isinstance(error, SignInRequired):
        call = f"hubkey.connect({request.provider!r})" if request.provider else "hubkey.connect()"
        text = (
            f"{request.provider or 'The provider'} needs a sign-in, and this is {frontend.value}. Run `await {call}`"
            " once in a notebook of this server; then it works here too, as long as the server runs."
        )
        raise with_details(error, SignInRequired(text))
    if isinstance(error, InvalidArgument) and error.field == "provider":
        error = await _with_known_providers(broker, error)
    raise error


async def _sign_in(broker: Broker, sign_in: SignIn, request: _ConnectRequest, frontend: Frontend) -> Grant:
    """Show the link and wait. However this ends, the link is gone from the notebook then."""
    if not sign_in.url.startswith(("https://", "http://")):
        raise SignInFailed("The broker's link is no web address. Tell the operator of this JupyterHub.")
    name, loop = sign_in.display_name, running_loop()
    wait = min(request.remaining, sign_in.expires_in)
    within = duration(min(request.total_timeout, sign_in.expires_in))
    card = show_card(frontend, sign_in, wait)
    try:
        answer = await interruptible_wait(broker.wait_for_sign_in(loop, sign_in, wait), wait)
        if isinstance(answer, Grant):
            connection = Connection(broker, answer)
            card.connected(str(connection), connection_html(connection))
            await _acknowledge(broker, sign_in)
            return answer
        error = ended_sign_in(answer, name, within)
    except ClientError as failure:
        error = public_error(failure)
    except TimeoutError:
        error = sign_in_timeout(name, within)
    except BaseException as stopped:
        # Stop, Ctrl-C, or the end of the loop: nobody waits any more.
        card.ended(name, CANCELLED)
        broker.cancel(sign_in, _TIMEOUT)
        if isinstance(stopped, (asyncio.CancelledError, KeyboardInterrupt)):
            told(stopped)
        raise
    card.ended(name, str(error).removeprefix(f"{name}: "))
    raise error


async def _acknowledge(broker: Broker, sign_in: SignIn) -> None:
    try:
        await interruptible_wait(broker.acknowledge(running_loop(), sign_in, 2.0), 2.0)
    except (ClientError, TimeoutError):
        # The broker forgets the result by itself a little later.
        return


async def _with_known_providers(broker: Broker, error: InvalidArgument) -> InvalidArgument:
    try:
        known = await interruptible_wait(broker.providers(running_loop(), 2.0), 2.0)
    except (ClientError, TimeoutError):
        return error
    close = difflib.get_close_matches(str(error.value or ""), known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    # The broker's sentence lists them, unless it is an older one's.
    listed = (
        "" if all(provider in error.reason for provider in known) else f" Known here: {', '.join(map(repr, known))}."
    )
    return with_details(error, InvalidArgument("provider", error.value, f"{error.reason}{hint}{listed}"))


def _refuse_unknown(unknown: dict[str, NoReturn]) -> None:
    for name, value in unknown.items():
        close = difflib.get_close_matches(name, _OPTIONS, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"It takes {', '.join(_OPTIONS)}."
        raise InvalidArgumentType(name, value, f"connect() has no such argument. {hint}")


def _checked_text(field: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidArgumentType(field, value, f"expected text, not {type(value).__name__}.")
    if not value.strip():
        raise InvalidArgument(field, value, "expected text that is not empty, or leave it out.")
    return value


def _checked_scopes(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, Iterable):
        raise InvalidArgumentType("scopes", value, "expected names of scopes, such as ['read', 'write'].")
    names = tuple(cast("Iterable[object]", value))
    return tuple(name for name in (_checked_text("scopes", name) for name in names) if name is not None)


def _checked_timeout(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgumentType("timeout", value, "expected a number of seconds.")
    if not 0 < value < math.inf:
        raise InvalidArgument("timeout", value, "expected more than 0 seconds, and an end.")
    return float(value)


def _checked_interactive(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if value == "auto":
        return None
    raise InvalidArgument("interactive", value, "expected True, False or 'auto'.")
