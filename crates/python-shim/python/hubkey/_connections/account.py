"""The account at a provider."""

from __future__ import annotations

from dataclasses import dataclass


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
