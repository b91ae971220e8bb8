"""What is known of an access: here, and at the broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from hubkey._connections.account import Account


@dataclass(frozen=True)
class Status:
    """The state of a connection, for people. It holds no token."""

    provider: str
    """The provider's id."""

    display_name: str
    """The provider's name for people."""

    account: Account
    """Who signed in."""

    scopes: tuple[str, ...]
    """What the newest token permits."""

    expires_at: datetime | None
    """When the newest token here ends; a use fetches the next one in time."""

    api_origins: tuple[str, ...]
    """Where libraries may send the token."""

    broker: Literal["connected", "ended", "signed out", "unreachable"]
    """What the broker says: it has the connection, or not any more, or you signed out here, or it does not answer."""

    broker_expires_at: datetime | None
    """When the newest token at the broker ends."""

    def __repr__(self) -> str:
        """Show one fact a line."""
        lines = [
            ("provider", f"{self.provider} ({self.display_name})"),
            ("account", str(self.account)),
            ("scopes", " ".join(self.scopes) or "none"),
            ("token here", _until(self.expires_at)),
            ("API origins", ", ".join(self.api_origins) or "none"),
            ("broker", self.broker),
        ]
        if self.broker == "connected":
            lines.append(("token there", _until(self.broker_expires_at)))
        return "\n".join(f"{name + ':':13}{value}" for name, value in lines)


def _until(moment: datetime | None) -> str:
    return "no end known" if moment is None else f"until {moment.astimezone():%Y-%m-%d %H:%M:%S %Z}"
