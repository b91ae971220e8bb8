"""httpx, both clients: the token, and one repetition after a 401."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from hubkey.auth._base import AuthBase, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from hubkey.auth._token_source import TokenSource

_UNAUTHORIZED = 401


class HttpxAuth(AuthBase, httpx.Auth):
    """`auth` of `httpx.Client` and `httpx.AsyncClient`."""

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send with the token, and once more with another one after a 401."""
        if not self._connection.permits(str(request.url)):
            yield request
            return
        token = self._connection.token
        request.headers["Authorization"] = bearer(token)
        response = yield request
        if _is_repeatable(request, response, token):
            other = self._connection.replace_token(token)
            if other is not None:
                request.headers["Authorization"] = bearer(other)
                yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same without holding up the event loop."""
        if not self._connection.permits(str(request.url)):
            yield request
            return
        token = await self._connection.aget_token()
        request.headers["Authorization"] = bearer(token)
        response = yield request
        if _is_repeatable(request, response, token):
            other = await self._connection.areplace_token(token)
            if other is not None:
                request.headers["Authorization"] = bearer(other)
                yield request


def httpx_auth(connection: TokenSource) -> httpx.Auth:
    """Give the `auth` of an httpx client.

    ```python
    async with httpx.AsyncClient(auth=hubkey.auth.httpx_auth(lab)) as client:
        await client.get("https://api.lab.example/projects")
    ```

    The token goes to the provider's API origins only. After a 401 the request is sent once more with a new token, if
    its body is text or bytes. `auth=lab` works too, but does not repeat, and waits for a new token in the event loop.
    """
    return HttpxAuth(connection)


def _is_repeatable(request: httpx.Request, response: httpx.Response, token: str) -> bool:
    # After a redirect to another origin the answer is to a request without the token.
    refused = response.request.headers.get("Authorization") == "Bearer " + token
    whole = isinstance(request.stream, httpx.ByteStream)
    return response.status_code == _UNAUTHORIZED and refused and whole
