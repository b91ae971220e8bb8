"""Turns what the client of the broker says into what the person in the notebook can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hubkey import _exceptions
from hubkey._exceptions import HubkeyError, InvalidArgument, SignInTimeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubkey._hubkey import ClientError, InvalidField, SignInResult

_Error = TypeVar("_Error", bound=HubkeyError)


def public_error(failure: ClientError, asked: Mapping[str, object] | None = None) -> HubkeyError:
    """Name the failure. `asked` are the arguments that the person gave, for the one that the broker refused."""
    if failure.argument is not None:
        return refused_argument(failure, failure.argument, (asked or {}).get(failure.argument))
    return with_details(failure, _class(failure.exception)(_said(failure)))


def refused_argument(failure: ClientError, field: str, value: object) -> InvalidArgument:
    """Say that the broker refused this argument."""
    return with_details(failure, InvalidArgument(field, value, _said(failure)))


def invalid_argument(failure: InvalidField, value: object) -> InvalidArgument:
    """Say that an argument is not of the form that the wire takes."""
    expected = failure.expected.strip().removesuffix(".") or "expected another form"
    return InvalidArgument(failure.field, value, f"{expected}.")


def ended_sign_in(ended: SignInResult, name: str, within: str) -> HubkeyError:
    """Say how the sign-in at the provider of this name ended; `within` is how long the person had."""
    if ended.exception is None:
        return sign_in_timeout(name, within)
    error = _class(ended.exception)(f"{name}: {ended.sentence}")
    error.code, error.reference = ended.reason, ended.reference
    return error


def sign_in_timeout(name: str, within: str) -> SignInTimeout:
    """Say that nobody finished the sign-in at the provider of this name in time."""
    return SignInTimeout(
        f"{name}: the sign-in was not finished within {within}. Run the cell again for a new link; if you finish in the"
        " open tab first, it needs none.",
    )


def with_details(failure: ClientError | HubkeyError, error: _Error) -> _Error:
    """Give `error` the code and the reference of the failure behind it, and how long to wait."""
    error.code, error.reference, error.retry_after = failure.code, failure.reference, failure.retry_after
    return error


def _class(name: str) -> type[HubkeyError]:
    error: type[HubkeyError] = getattr(_exceptions, name)
    return error


def _said(failure: ClientError) -> str:
    """Say what happened, and what to do where that is known; never nothing."""
    parts = [sentence for text in (failure.title, failure.detail) if (sentence := _sentence(text))]
    if not parts:
        code = f" ({failure.code})" if failure.code else ""
        parts = [f"The token broker gave no reason{code}. Tell the operator of this JupyterHub."]
    if failure.needs_operator:
        parts.append(f"Reference: {failure.reference}.")
    return " ".join(parts)


def _sentence(text: str) -> str:
    """Give the text with a capital in front and a stop behind; nothing, if it says nothing."""
    text = text.strip()
    end = "" if text.endswith((".", "!", "?")) else "."
    return text and f"{text[0].upper()}{text[1:]}{end}"
