"""obstore: a credential provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from hubkey.auth._base import AuthBase

if TYPE_CHECKING:
    from datetime import datetime

    from hubkey.auth._token_source import TokenSource


class BearerToken(TypedDict):
    """What obstore takes from a provider, for Azure and for Google."""

    token: str
    expires_at: datetime | None


class ObstoreProvider(AuthBase):
    """`credential_provider` of obstore's `AzureStore` and `GCSStore`."""

    def __call__(self) -> BearerToken:
        """Give the token and its end; obstore asks again before that."""
        token, ends = self._connection.token_with_expiry()
        return {"token": token, "expires_at": ends}


def unrestricted_obstore_provider(connection: TokenSource) -> ObstoreProvider:
    """Give the `credential_provider` of `obstore.store.AzureStore` or `GCSStore`.

    ```python
    AzureStore("data", account_name="lab", credential_provider=hubkey.auth.unrestricted_obstore_provider(lab))
    ```

    Unrestricted: obstore does not say where it sends the token. It goes to the store's endpoint.
    """
    return ObstoreProvider(connection)
