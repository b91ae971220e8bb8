"""aiohttp (3.12 and later): a client middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubkey.auth._base import AuthBase, bearer

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from hubkey.auth._token_source import TokenSource

_UNAUTHORIZED = 401


class Middleware(AuthBase):
    """One of the `middlewares` of an `aiohttp.ClientSession`."""

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send with the token, and once more with another one after a 401. Each hop of a redirect comes here anew."""
        if not self._connection.permits(str(request.url)):
            return await handler(request)
        token = await self._connection.aget_token()
        request.headers["Authorization"] = bearer(token)
        response = await handler(request)
        if response.status == _UNAUTHORIZED and _is_repeatable(request):
            other = await self._connection.areplace_token(token)
            if other is not None:
                response.close()
                request.headers["Authorization"] = bearer(other)
                return await handler(request)
        return response


def aiohttp_middleware(connection: TokenSource) -> Middleware:
    """Give a client middleware; the same as `connection.aiohttp_middleware`.

    ```python
    async with aiohttp.ClientSession(middlewares=(lab.aiohttp_middleware,)) as session:
        await session.get("https://api.lab.example/projects")
    ```

    The token goes to the provider's API origins only. After a 401 the request is sent once more with a new token, if
    its body is text or bytes.
    """
    return Middleware(connection)


def _is_repeatable(request: ClientRequest) -> bool:
    from aiohttp import BytesPayload  # noqa: PLC0415 - loaded by whoever made the request

    return isinstance(request.body, (bytes, BytesPayload))
