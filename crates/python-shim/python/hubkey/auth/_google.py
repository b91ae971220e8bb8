"""google-auth: credentials."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from google.auth.credentials import Credentials, TokenState

if TYPE_CHECKING:
    from hubkey.auth._token_source import TokenSource

# Where the provider does not say when a token ends: google-auth asks again when less than 225 seconds are left.
_UNKNOWN = timedelta(seconds=300)


class GoogleCredentials(Credentials):
    """Credentials whose token is the connection's."""

    def __init__(self, connection: TokenSource) -> None:
        """Hold this connection."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.token: str | None = None
        self._connection = connection

    def refresh(self, request: object) -> None:
        """Take the connection's token. Of a token that should be good and was refused, another one."""
        del request
        if self.token is not None and self.token_state == TokenState.FRESH:
            self._connection.replace_token(self.token)
        self.token, ends = self._connection.token_with_expiry()
        # google-auth counts in UTC without saying so.
        self.expiry = (ends or datetime.now(timezone.utc) + _UNKNOWN).astimezone(timezone.utc).replace(tzinfo=None)

    def __repr__(self) -> str:
        """Name the provider only."""
        return f"<hubkey.auth GoogleCredentials of {self._connection.provider}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:  # noqa: ANN401 - as the base class has it
        """Refuse to be written down, as the connection does."""
        self._connection.__reduce_ex__(protocol)


def unrestricted_google_credentials(connection: TokenSource) -> Credentials:
    """Give credentials for Google's clients and `google.auth.transport.requests.AuthorizedSession`.

    ```python
    storage.Client(project="lab", credentials=hubkey.auth.unrestricted_google_credentials(lab))
    ```

    Unrestricted: google-auth does not say where it sends the token. It goes wherever that client goes.
    """
    return GoogleCredentials(connection)
