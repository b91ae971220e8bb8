"""azure-core: token credentials, sync and async."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from azure.core.credentials import AccessToken, AccessTokenInfo

from hubkey.auth._base import AuthBase

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from azure.core.credentials import TokenRequestOptions
    from typing_extensions import Self

    from hubkey.auth._token_source import TokenSource

# Where the provider does not say when a token ends, Azure's clients ask for it again after this.
_UNKNOWN = 60


class HiddenTokenInfo(AccessTokenInfo):
    """`AccessTokenInfo`, whose own `repr` would show the token."""

    def __repr__(self) -> str:
        """Show all but the token."""
        return f"AccessTokenInfo(<hidden token>, expires_on={self.expires_on})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be written down."""
        raise TypeError("A token is not pickled. Call hubkey.connect() where it is needed.")


class AzureCredential(AuthBase):
    """`azure.core.credentials.TokenCredential` and `SupportsTokenInfo`."""

    def get_token(self, *scopes: str, claims: str | None = None, **options: Any) -> AccessToken:  # noqa: ANN401
        """Give the token. The scopes are those of the connection; a claims challenge asks for another token."""
        del scopes, options
        token, ends = self._connection.token_with_expiry()
        if claims and self._connection.replace_token(token):
            token, ends = self._connection.token_with_expiry()
        return AccessToken(token, _seconds(ends))

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Give the same in the newer form."""
        token, ends = self.get_token(*scopes, claims=(options or {}).get("claims"))
        return HiddenTokenInfo(token, ends)

    def close(self) -> None:
        """Do nothing: the connection lives on."""

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Do nothing."""


class AsyncAzureCredential(AuthBase):
    """`azure.core.credentials_async.AsyncTokenCredential` and `AsyncSupportsTokenInfo`."""

    async def get_token(self, *scopes: str, claims: str | None = None, **options: Any) -> AccessToken:  # noqa: ANN401
        """Give the token. The scopes are those of the connection; a claims challenge asks for another token."""
        del scopes, options
        token, ends = await self._connection.atoken_with_expiry()
        if claims and await self._connection.areplace_token(token):
            token, ends = await self._connection.atoken_with_expiry()
        return AccessToken(token, _seconds(ends))

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Give the same in the newer form."""
        token, ends = await self.get_token(*scopes, claims=(options or {}).get("claims"))
        return HiddenTokenInfo(token, ends)

    async def close(self) -> None:
        """Do nothing: the connection lives on."""

    async def __aenter__(self) -> Self:
        """Give itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Do nothing."""


def unrestricted_azure_credential(connection: TokenSource) -> AzureCredential:
    """Give a credential for Azure's clients (`azure-storage-blob`, `azure-core`'s `BearerTokenCredentialPolicy`, …).

    ```python
    BlobServiceClient("https://lab.blob.core.windows.net", credential=hubkey.auth.unrestricted_azure_credential(lab))
    ```

    Unrestricted: azure-core does not say where it sends the token. It goes wherever that client goes, so give the
    client an endpoint of the provider. What the client asks for as scopes is not looked at: the token is that of the
    connection.
    """
    return AzureCredential(connection)


def unrestricted_async_azure_credential(connection: TokenSource) -> AsyncAzureCredential:
    """Give the same for Azure's `aio` clients, unrestricted as well."""
    return AsyncAzureCredential(connection)


def _seconds(ends: datetime | None) -> int:
    return int(time.time()) + _UNKNOWN if ends is None else int(ends.timestamp())
