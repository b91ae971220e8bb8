"""What an auth object asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import datetime


class TokenSource(Protocol):
    """An access token that is always valid, and the rule of where it may be sent."""

    @property
    def provider(self) -> str:
        """The id of the provider."""
        ...

    @property
    def token(self) -> str:
        """The access token, valid now."""
        ...

    def aget_token(self) -> Coroutine[Any, Any, str]:
        """Give the same without holding up the event loop."""
        ...

    def token_with_expiry(self) -> tuple[str, datetime | None]:
        """Give the access token and when it ends; `None` if the provider did not say."""
        ...

    def atoken_with_expiry(self) -> Coroutine[Any, Any, tuple[str, datetime | None]]:
        """Give the same without holding up the event loop."""
        ...

    def replace_token(self, rejected: str) -> str | None:
        """Give another token than the rejected one, or `None` if there is no other now."""
        ...

    def areplace_token(self, rejected: str) -> Coroutine[Any, Any, str | None]:
        """Give the same without holding up the event loop."""
        ...

    def permits(self, url: str) -> bool:
        """Say whether the token may be sent to this address."""
        ...

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            TypeError: always.
        """
        ...
