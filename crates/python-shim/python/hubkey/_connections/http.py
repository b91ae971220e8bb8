"""`connection.get()` and its like: a call of the provider's API without any library."""

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
# What stands in place of a body where there is none: `None` is a body, `null` in JSON.
NOTHING = object()
_EXCERPT = 200
_LOOKED_AT = 1 << 16
# How long a character of a token may become.
_LONGEST_FORM = 8


class HTTPStatusError(HubkeyError):
    """An API answered with a failure; `response` is what it said."""

    def __init__(self, response: Response) -> None:
        """Name the status, and how the API begins to explain it."""
        why = f": {response.excerpt}" if response.excerpt else ""
        super().__init__(f"the API answered {response.status_code}{why}")
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

    excerpt: str = ""
    """How the body begins, in one line for people, without the token that was sent; empty where it is no plain text."""

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


def ask(  # noqa: PLR0913 - what a request consists of, each by its name
    access: ApiAccess,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    body: object = NOTHING,
    timeout: float = 30,
) -> Response:
    """Ask the API, once more with a new token after a 401; `body` is sent as JSON."""
    url = _address(access, path, params)
    data = None if body is NOTHING else json.dumps(body).encode()
    token = access.token
    response = _send((method, url), data, (token,), timeout)
    if response.status_code == _UNAUTHORIZED:
        other = access.replace_token(token)
        if other is not None:
            response = _send((method, url), data, (other, token), timeout)
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


def _send(what: tuple[str, str], data: bytes | None, tokens: tuple[str, ...], timeout: float) -> Response:
    """Send the first of the tokens; the API may know the others from before."""
    method, url = what
    headers = {"Accept": "application/json, */*"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - permits() has read it
    if data is not None:
        request.add_header("Content-Type", "application/json")
    request.add_unredirected_header("Authorization", "Bearer " + tokens[0])
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        response: HTTPResponse = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as failure:
        with failure:
            return _response(failure.code, failure.headers, failure.read(), tokens)
    with response:
        return _response(response.status, response.headers, response.read(), tokens)


def _response(status: int, headers: Message, content: bytes, tokens: tuple[str, ...]) -> Response:
    plain = headers.get_content_type() != "text/html" and headers.get_content_maintype() in {"application", "text"}
    return Response(status, headers, content, _excerpt(content, tokens) if plain else "")


def _excerpt(content: bytes, tokens: tuple[str, ...]) -> str:
    """Say how a body begins, without the tokens, which some APIs repeat: they are looked for before anything is cut."""
    looked_at = content[:_LOOKED_AT]
    if b"\0" in looked_at:
        return ""
    text = looked_at.decode("utf-8", "ignore")
    for token in tokens:
        text = re.sub("".join(map(_any_form, str(token))), "<hidden token>", text)
        if len(content) > _LOOKED_AT:
            # One that was cut at the end is not found as a whole.
            text = text[: -_LONGEST_FORM * len(token)]
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return line if len(line) <= _EXCERPT else line[:_EXCERPT] + "…"


def _any_form(letter: str) -> str:
    """Match a character of a token as JSON, URLs and XML may write it."""
    if letter.isalnum():
        return re.escape(letter)
    code = ord(letter)
    forms = (
        re.escape(letter),
        re.escape("\\" + letter),
        rf"\\u00(?i:{code:02x})",
        f"%(?i:{code:02x})",
        f"&#(?i:x0*{code:x}|0*{code});",
    )
    return f"(?:{'|'.join(forms)})"
