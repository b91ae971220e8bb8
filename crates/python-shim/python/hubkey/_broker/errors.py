"""Turns what the client of the broker says into what the person in the notebook can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hubkey._exceptions import (
    AccessRefused,
    BrokerUnavailable,
    ConfigurationError,
    HubkeyError,
    InvalidArgument,
    SignInDenied,
    SignInFailed,
    SignInRequired,
    SignInTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubkey._hubkey import ClientError, InvalidField, SignInResult

_FIELDS = {
    "unknown_provider": "provider",
    "provider_required": "provider",
    "scope_not_allowed": "scopes",
    "audience_not_allowed": "audience",
    "resource_not_allowed": "resource",
    "issuer_not_allowed": "requested_issuer",
}
_CLASSES: dict[str, type[HubkeyError]] = {
    "missing_token": AccessRefused,
    "invalid_token": AccessRefused,
    "not_a_server_token": AccessRefused,
    "shared_server": AccessRefused,
    "target_refused": AccessRefused,
    "sign_in_required": SignInRequired,
    "token_too_short": SignInRequired,
    "rate_limited": BrokerUnavailable,
    "too_many_sign_ins": BrokerUnavailable,
    "hub_unavailable": BrokerUnavailable,
    "store_unavailable": BrokerUnavailable,
    "provider_unavailable": BrokerUnavailable,
    "provider_misconfigured": AccessRefused,
    "refresh_in_progress": BrokerUnavailable,
    "overloaded": BrokerUnavailable,
    "timeout": BrokerUnavailable,
    "internal": BrokerUnavailable,
}
_OF_THE_SIGN_IN = {
    "not_found": "The broker does not know this sign-in any more. Run the cell again for a new link.",
    "gone": "The result of this sign-in was already fetched. Run the cell again.",
    "superseded": "Another cell took over this sign-in. Run the cell again.",
}
_UNTRUSTED = {
    "unknown_authority": (
        "Ask the operator of this JupyterHub to give hubkey.hub.configure a ca_file (HUBKEY_CA_FILE): a PEM file, in"
        " your server, with the authority that signed it."
    ),
    "other_name": "Ask the operator of this JupyterHub for a certificate that names the host of HUBKEY_URL.",
    "out_of_time": "Tell the operator of this JupyterHub that the certificate has to be renewed.",
    "no_tls": "Ask the operator of this JupyterHub to correct HUBKEY_URL: https is not what is spoken there.",
}
_AGAIN = "Run the cell again for a new link."
_FAULTS = {
    "provider_denied": "the provider did not let this account in, or you declined there.",
    "provider_unavailable": "the provider did not answer.",
    "provider_misbehaved": "the provider's answer broke a rule. Tell the operator of this JupyterHub.",
    "provider_misconfigured": "the provider refused what was asked for. Tell the operator of this JupyterHub.",
    "answer_too_long": (
        "what came back from the provider was longer than hubkey takes. Tell the operator of this JupyterHub."
    ),
    "retry_sign_in": "its outcome is not known.",
    "operator_needed": "hubkey cannot read any more whose this account is. The operator of this JupyterHub was told.",
}
_AFTER_OPERATOR = "Run the cell again when they have acted."
CANCELLED = f"the sign-in was cancelled. {_AGAIN}"

_Error = TypeVar("_Error", bound=HubkeyError)


def public_error(failure: ClientError, asked: Mapping[str, object] | None = None) -> HubkeyError:
    """Name the failure. `asked` are the arguments that the person gave, for the one that the broker refused."""
    return with_details(failure, _named(failure, asked or {}))


def refused_argument(failure: ClientError, field: str, value: object) -> InvalidArgument:
    """Say that the broker refused this argument."""
    return with_details(failure, InvalidArgument(field, value, _said(failure)))


def invalid_argument(failure: InvalidField, value: object) -> InvalidArgument:
    """Say that an argument is not of the form that the wire takes."""
    expected = failure.expected.strip().removesuffix(".") or "expected another form"
    return InvalidArgument(failure.field, value, f"{expected}.")


def ended_sign_in(ended: SignInResult, name: str, within: str) -> HubkeyError:
    """Say how the sign-in at the provider of this name ended; `within` is how long the person had."""
    if ended.state in {"expired", "pending"}:
        return sign_in_timeout(name, within)
    if ended.state == "denied":
        return SignInDenied(f"{name}: the sign-in was refused or cancelled in the browser. {_AGAIN}")
    then = _AFTER_OPERATOR if ended.reason == "operator_needed" else _AGAIN
    text = f"{name}: the sign-in failed: {_FAULTS.get(ended.reason or '', 'hubkey met a fault.')} {then}"
    error = SignInDenied(text) if ended.reason == "provider_denied" else SignInFailed(text)
    error.code = ended.reason
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


def _named(failure: ClientError, asked: Mapping[str, object]) -> HubkeyError:
    code = failure.code or ""
    match failure.kind:
        case "unreachable":
            return BrokerUnavailable(
                "The token broker of this JupyterHub did not answer. Try again in a minute; if it stays so, tell the"
                " operator that HUBKEY_URL cannot be reached from your server.",
            )
        case "malformed":
            cause = f" ({failure.title})" if failure.title else ""
            return BrokerUnavailable(
                "HUBKEY_URL leads to something that is not hubkey's broker, or to another version of it"
                f"{cause}. Tell the operator of this JupyterHub.",
            )
        case "setup":
            return ConfigurationError(f"{_said(failure)} Check HUBKEY_URL and HUBKEY_CA_FILE.")
        case "untrusted":
            advice = _UNTRUSTED.get(code, "Tell the operator of this JupyterHub.")
            return ConfigurationError(f"{_said(failure)} Nothing was sent to it. {advice}")
        case "refused":
            return _refusal(failure, code, asked)


def _refusal(failure: ClientError, code: str, asked: Mapping[str, object]) -> HubkeyError:
    if code in _FIELDS:
        return refused_argument(failure, _FIELDS[code], asked.get(_FIELDS[code]))
    if code in _OF_THE_SIGN_IN:
        return SignInFailed(_OF_THE_SIGN_IN[code])
    return _CLASSES.get(code, HubkeyError)(_said(failure))


def _said(failure: ClientError) -> str:
    """Say what happened, and what to do where that is known; never nothing."""
    parts = [sentence for text in (failure.title, failure.detail) if (sentence := _sentence(text))]
    if parts:
        return " ".join(parts)
    code = f" ({failure.code})" if failure.code else ""
    return f"The token broker gave no reason{code}. Tell the operator of this JupyterHub."


def _sentence(text: str) -> str:
    """Give the text with a capital in front and a stop behind; nothing, if it says nothing."""
    text = text.strip()
    end = "" if text.endswith((".", "!", "?")) else "."
    return text and f"{text[0].upper()}{text[1:]}{end}"
