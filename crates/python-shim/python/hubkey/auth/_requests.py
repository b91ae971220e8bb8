"""requests: the connection is the auth object; this adds the repetition after a 401."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

from hubkey.auth._base import bearer

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from hubkey.auth._token_source import TokenSource

_UNAUTHORIZED = 401


def is_prepared_request(request: object) -> TypeGuard[PreparedRequest]:
    """Say whether this is a request of requests, without loading it."""
    requests = sys.modules.get("requests")
    return requests is not None and isinstance(request, requests.PreparedRequest)


def repeat_once(connection: TokenSource, request: PreparedRequest) -> None:
    """Have the request sent once more, with a new token, when it is answered 401 and its body can be sent again."""
    if not (request.body is None or isinstance(request.body, (bytes, str))):
        return

    def repeat(response: Response, **sending: Any) -> Response:  # noqa: ANN401 - what requests sends with, handed back
        sent = response.request
        authorization = str(sent.headers.get("Authorization", ""))
        # After a redirect to another origin the header is gone, and there is nothing to repeat.
        if response.status_code != _UNAUTHORIZED or not authorization.startswith("Bearer "):
            return response
        if not connection.permits(str(sent.url)):
            return response
        token = connection.replace_token(authorization.removeprefix("Bearer "))
        if token is None:
            return response
        response.close()
        again = sent.copy()
        again.headers["Authorization"] = bearer(token)
        answer: Response = response.connection.send(again, **sending)  # type: ignore[attr-defined]
        answer.history.append(response)
        answer.request = again
        return answer

    request.register_hook("response", repeat)
