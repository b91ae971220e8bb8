"""`connection.get()` and `connection.post()`: a call of the provider's API without any library."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hubkey._exceptions import HubkeyError, InvalidArgument, InvalidArgumentType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message
    from http.client import HTTPResponse

_UNAUTHORIZED, _FIRST_FAILURE = 401, 400


class HTTPStatusError(HubkeyError):
    """An API answered with a failure; `response` is what it said."""

    def __init__(self, response: Response) -> None:
        """Name the status only."""
        super().__init__(f"the API answered {response.status_code}")
        self.response = response


# People see the name in tracebacks, and should find it there as the documentation writes it.
HTTPStatusError.__module__ = "hubkey"


@dataclass(frozen=True)
class Response:
    """What an API answered."""

    status_code: int
    """The HTTP status."""

    headers: Message
    """The headers; their names match in any case."""

    content: bytes
    """The body."""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode(self.headers.get_content_charset("utf-8"), "replace")

    def json(self) -> Any:  # noqa: ANN401 - whatever the API says
        """Give the body as JSON."""
        return json.loads(self.content)

    def raise_for_status(self) -> Response:
        """Give itself, if the call succeeded.

        Raises:
            HTTPStatusError: the status is 400 or more.
        """
        if self.status_code >= _FIRST_FAILURE:
            raise HTTPStatusError(self)
        return self

    def __repr__(self) -> str:
        """Show the status and the size."""
        return f"<hubkey.Response {self.status_code}, {len(self.content)} bytes>"


class ApiAccess(Protocol):
    """An access token, and where it may be sent."""

    @property
    def token(self) -> str:
        """The access token, valid now."""
        ...

    @property
    def api_origins(self) -> tuple[str, ...]:
        """The only origins that may receive the token."""
        ...

    @property
    def base_path(self) -> str:
        """What stands before each path."""
        ...

    def permits(self, url: str) -> bool:
        """Say whether the token may be sent to this address."""
        ...

    def replace_token(self, rejected: str) -> str | None:
        """Give another token than the rejected one, or `None` if there is no other now."""
        ...


def ask(
    access: ApiAccess,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    body: object = None,
    timeout: float = 30,
) -> Response:
    """Ask the API, once more with a new token after a 401; `body` is posted as JSON."""
    url = _address(access, path, params)
    data = None if body is None else json.dumps(body).encode()
    token = access.token
    response = _send(url, data, token, timeout)
    if response.status_code == _UNAUTHORIZED:
        other = access.replace_token(token)
        if other is not None:
            response = _send(url, data, other, timeout)
    return response


def checked_base_path(value: object) -> str:
    """Give the part before each path without its trailing slash.

    Raises:
        InvalidArgument: it is no path from the root.
    """
    if not isinstance(value, str):
        raise InvalidArgumentType("base_path", value, f"expected text, not {type(value).__name__}.")
    if not re.fullmatch(r"(/[^/?#\\\s]+)*/?", value):
        raise InvalidArgument("base_path", value, 'expected a path from the root, such as "/api/v2", or "".')
    return value.rstrip("/")


def _address(access: ApiAccess, path: str, params: Mapping[str, Any] | None) -> str:
    origins = access.api_origins
    if path.startswith("/"):
        if len(origins) != 1:
            listed = ", ".join(origins) or "none"
            raise InvalidArgument("path", path, f"expected a whole URL: the provider's API origins are {listed}.")
        path = origins[0].rstrip("/") + access.base_path + path
    if not access.permits(path):
        raise InvalidArgument("path", path, "expected a path, or a URL of one of the provider's API origins.")
    if params:
        path += ("&" if "?" in path else "?") + urllib.parse.urlencode(params, doseq=True)
    return path


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: what follows it would need the rules of origins again."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return


def _send(url: str, data: bytes | None, token: str, timeout: float) -> Response:
    request = urllib.request.Request(url, data, {"Accept": "application/json, */*"})  # noqa: S310 - permits() has read it
    if data is not None:
        request.add_header("Content-Type", "application/json")
    request.add_unredirected_header("Authorization", "Bearer " + token)
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        response: HTTPResponse = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as failure:
        with failure:
            return Response(failure.code, failure.headers, failure.read())
    with response:
        return Response(response.status, response.headers, response.read())
