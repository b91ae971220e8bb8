"""A look at an access token, here in the process: what it says, unverified, and never the token itself."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, cast

# A longer text is not looked at.
_LONGEST = 65_536
_PARTS = 3


@dataclass(frozen=True)
class UnverifiedToken:
    """What an access token says of itself. Nobody verified it: neither its signature nor that it is still good."""

    header: dict[str, Any] | None
    """How a JWT is signed; `None` if the token is opaque."""

    claims: dict[str, Any] | None
    """What a JWT says; `None` if the token is opaque."""

    @property
    def is_jwt(self) -> bool:
        """Whether the token could be read at all."""
        return self.claims is not None

    def __repr__(self) -> str:
        """Show header and claims, and say what they are worth."""
        if self.claims is None:
            return "Opaque token: only its provider can tell what it says. (Nothing was asked or verified.)"
        return (
            "JWT, read but NOT verified: anybody could have written this.\n"
            f"header {_shown(self.header)}\nclaims {_shown(self.claims)}"
        )


def inspect_token(token: str) -> UnverifiedToken:
    """Read a token if it is a JWT (RFC 7519, signed); anything else counts as opaque."""
    parts = token.split(".") if len(token) <= _LONGEST else []
    if len(parts) != _PARTS:
        return UnverifiedToken(None, None)
    header, claims = _object(parts[0]), _object(parts[1])
    if header is None or claims is None or "alg" not in header:
        return UnverifiedToken(None, None)
    return UnverifiedToken(header, claims)


def _object(part: str) -> dict[str, Any] | None:
    try:
        value: object = json.loads(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _shown(value: object) -> str:
    # ASCII only: what a claim says must not steer the terminal.
    return json.dumps(value, indent=2, ensure_ascii=True)
