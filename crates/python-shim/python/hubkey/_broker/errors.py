"""Turns what the client of the broker says into what the person in the notebook can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubkey._exceptions import (
    AccessRefused,
    BrokerUnavailable,
    ConfigurationError,
    HubkeyError,
    InvalidArgument,
    SignInFailed,
    SignInRequired,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubkey._hubkey import ClientError

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


def public_error(failure: ClientError, asked: Mapping[str, object] | None = None) -> HubkeyError:
    """Name the failure. `asked` are the arguments that the person gave, for the one that the broker refused."""
    kind, code, title, detail, _ = failure.args
    if kind == "unreachable":
        return BrokerUnavailable(
            "The token broker of this JupyterHub did not answer. Try again in a minute; if it stays so, tell the"
            " operator that HUBKEY_URL cannot be reached from your server.",
        )
    if kind == "malformed":
        return BrokerUnavailable(
            f"HUBKEY_URL leads to something that is not hubkey's broker, or to another version of it ({title}). Tell"
            " the operator of this JupyterHub.",
        )
    if kind in {"setup", "untrusted"}:
        return _configuration_error(kind, code, title)
    said = " ".join(part for part in (title, detail) if part)
    if code in _FIELDS:
        field = _FIELDS[code]
        return InvalidArgument(field, (asked or {}).get(field), said)
    if code in _OF_THE_SIGN_IN:
        return SignInFailed(_OF_THE_SIGN_IN[code], reason=code)
    return _CLASSES.get(code or "", HubkeyError)(said)


def _configuration_error(kind: str, code: str | None, title: str) -> ConfigurationError:
    if kind == "setup":
        advice = "Check HUBKEY_URL and HUBKEY_CA_FILE."
    else:
        advice = "Nothing was sent to it. " + _UNTRUSTED.get(code or "", "Tell the operator of this JupyterHub.")
    return ConfigurationError(f"{title[:1].upper()}{title[1:]}. {advice}")
