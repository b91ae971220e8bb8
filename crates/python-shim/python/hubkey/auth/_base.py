"""What all auth objects are: a connection in the shape that one library asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from hubkey.auth._token_source import TokenSource


class AuthBase:
    """Holds a connection; shows and stores nothing of it but its provider."""

    def __init__(self, connection: TokenSource) -> None:
        """Hold this connection."""
        self._connection = connection

    def __repr__(self) -> str:
        """Name the object, so that no two that live are named alike: fsspec keeps file systems by this text."""
        return f"<hubkey.auth {type(self).__name__} of {self._connection.provider} at {id(self):#x}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be written down, as the connection does."""
        return self._connection.__reduce_ex__(protocol)


def bearer(token: str) -> str:
    """Give the value of the header, as hidden as the token is."""
    return type(token)("Bearer " + token)
