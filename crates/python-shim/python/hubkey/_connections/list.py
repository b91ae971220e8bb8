"""`connections()`: what this server can reach now, without a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from typing import TYPE_CHECKING, ClassVar, overload

from hubkey._broker.awaited import awaited
from hubkey._broker.client import open_broker
from hubkey._broker.environment import read_settings
from hubkey._broker.errors import public_error
from hubkey._broker.event_loop import running_loop
from hubkey._hubkey import ClientError
from hubkey._notebook.interruptible import interruptible_wait

if TYPE_CHECKING:
    from hubkey._hubkey import ConnectionSummary

_TIMEOUT = 10.0
_CELL = "padding:4px 12px 4px 0;text-align:left;vertical-align:top"


@dataclass(frozen=True)
class ConnectionInfo:
    """One connection of this server. `await hubkey.connect(provider, account=account)` gives what draws its tokens."""

    provider: str
    """The provider's id."""
    display_name: str
    """The provider's name for people."""
    account: str
    """What a person recognises the account by."""
    scopes: tuple[str, ...]
    """What it permits."""
    expires_at: datetime | None
    """When its current token ends; the broker gets the next one by itself where it can."""
    audience: str | None = None
    """The API that its tokens are for, where that was asked for."""

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.display_name} ({self.provider}) as {self.account}: {' '.join(self.scopes) or 'no scopes'}"


class Connections(Sequence[ConnectionInfo]):
    """The connections of this server, newest first. A notebook shows them as a table."""

    def __init__(self, found: Sequence[ConnectionInfo]) -> None:
        """Take what was found."""
        self._found = tuple(found)

    @overload
    def __getitem__(self, index: int) -> ConnectionInfo: ...
    @overload
    def __getitem__(self, index: slice) -> Connections: ...
    def __getitem__(self, index: int | slice) -> ConnectionInfo | Connections:
        """Give one by its place, or some."""
        return Connections(self._found[index]) if isinstance(index, slice) else self._found[index]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._found)

    def __eq__(self, other: object) -> bool:
        """Whether both list the same."""
        return self._found == other._found if isinstance(other, Connections) else NotImplemented

    __hash__: ClassVar[None]  # pyright: ignore[reportIncompatibleMethodOverride]

    def __repr__(self) -> str:
        """Say each in a line of its own."""
        if not self._found:
            return "No connections: this server can reach nothing with an account of yours."
        return "\n".join(str(one) for one in self._found)

    def _repr_html_(self) -> str:
        if not self._found:
            return f"<p>{escape(repr(self))}</p>"
        head = "".join(f'<th style="{_CELL}">{name}</th>' for name in ("Service", "Account", "May", "Token until"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_row, self._found))}</tbody></table>"


@awaited("await hubkey.connections()")
async def connections() -> Connections:
    """List what this server can reach now: the connections of all its notebooks. Opens no sign-in and shows no token.

    Raises:
        NotOnJupyterHub: there is no Hub here, or it does not offer hubkey.
        AccessRefused: the broker does not serve this server.
        BrokerUnavailable: the broker did not answer.
    """
    broker = open_broker(read_settings())
    try:
        listed = await interruptible_wait(broker.connections(running_loop(), _TIMEOUT))
    except ClientError as failure:
        raise public_error(failure) from None
    return Connections([_info(one) for one in listed])


def _info(listed: ConnectionSummary) -> ConnectionInfo:
    end = listed.expires_at
    return ConnectionInfo(
        provider=listed.provider,
        display_name=listed.display_name,
        account=listed.account_label,
        scopes=tuple(listed.scopes),
        expires_at=None if end is None else datetime.fromtimestamp(end, timezone.utc),
        audience=listed.audience,
    )


def _row(one: ConnectionInfo) -> str:
    until = "" if one.expires_at is None else f"{one.expires_at:%Y-%m-%d %H:%M} UTC"
    cells = (f"{one.display_name} ({one.provider})", one.account, " ".join(one.scopes), until)
    return "<tr>" + "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in cells) + "</tr>"
