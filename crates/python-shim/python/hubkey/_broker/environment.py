"""What the Hub's operator, and the person in the notebook, set in the environment."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hubkey._exceptions import ConfigurationError, NotOnJupyterHub

TOKEN_VARIABLE = "JUPYTERHUB_API_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT_TIMEOUT = 300.0

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class Settings:
    """The settings of this kernel. The Hub's token is not among them: only the broker's client gets it."""

    url: str
    """`HUBKEY_URL`: where the token broker is. Set by `hubkey.hub.configure`."""

    ca_pem: bytes | None = None
    """What is in `HUBKEY_CA_FILE`: authorities that may have signed the broker's certificate, beside the system's."""

    provider: str | None = None
    """`HUBKEY_PROVIDER`: what `connect()` without a provider means."""

    interactive: bool | None = None
    """`HUBKEY_INTERACTIVE`: 0 = never show a link, 1 = always, absent = find out."""

    timeout: float = DEFAULT_TIMEOUT
    """`HUBKEY_TIMEOUT`: how many seconds `connect()` waits for the person."""


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        NotOnJupyterHub: there is no Hub, or it does not offer hubkey.
        ConfigurationError: variables have values that cannot work; each is named.
    """
    # Nothing here keeps the environment in a variable of its own, which a traceback with locals would show.
    url = _text("HUBKEY_URL")
    if _text(TOKEN_VARIABLE) is None:
        raise NotOnJupyterHub(
            f"This Python does not run in a JupyterHub server: {TOKEN_VARIABLE} is not set. Open the notebook on your"
            " JupyterHub and run it there.",
        )
    if url is None:
        raise NotOnJupyterHub(
            "This JupyterHub does not offer hubkey: HUBKEY_URL is not set. Ask its operator to call"
            " hubkey.hub.configure in jupyterhub_config.py, then restart your server.",
        )
    mistakes: list[str] = []
    settings = Settings(
        url=_checked_url(url, mistakes),
        ca_pem=_certificates("HUBKEY_CA_FILE", mistakes),
        provider=_text("HUBKEY_PROVIDER"),
        interactive=_switch("HUBKEY_INTERACTIVE", mistakes),
        timeout=_seconds("HUBKEY_TIMEOUT", mistakes),
    )
    if mistakes:
        raise ConfigurationError(
            "\n".join(["The environment of this server is wrong:", *mistakes, "Correct it and restart the server."]),
        )
    return settings


def _text(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _checked_url(url: str, mistakes: list[str]) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query:
        mistakes.append(f"HUBKEY_URL={url!r}: expected a whole URL, such as 'https://hubkey-broker.internal:8443'")
    elif parts.scheme == "http" and parts.hostname not in _LOOPBACK and os.environ.get("HUBKEY_ALLOW_PLAINTEXT") != "1":
        mistakes.append(
            f"HUBKEY_URL={url!r}: expected https, or HUBKEY_ALLOW_PLAINTEXT=1 if something else encrypts the way to it",
        )
    return url


def _certificates(name: str, mistakes: list[str]) -> bytes | None:
    path = _text(name)
    if path is None:
        return None
    try:
        pem = Path(path).read_bytes()
    except OSError as error:
        mistakes.append(f"{name}={path!r}: expected a file with PEM certificates ({type(error).__name__})")
        return None
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        mistakes.append(f"{name}={path!r}: expected a file with PEM certificates, which this one has none of")
    return pem


def _switch(name: str, mistakes: list[str]) -> bool | None:
    text = _text(name)
    if text is None or text.lower() == "auto":
        return None
    if text.lower() not in _SWITCH:
        mistakes.append(f"{name}={text!r}: expected 0, 1 or auto")
    return _SWITCH.get(text.lower())


def _seconds(name: str, mistakes: list[str]) -> float:
    text = _text(name)
    if text is None:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        mistakes.append(f"{name}={text!r}: expected a number of seconds, more than 0")
    return seconds
