"""Access tokens for notebooks on JupyterHub: sign in once, by a link in the cell.

```python
import hubkey

lab = await hubkey.connect("lab-api")
requests.get("https://api.lab.example/projects", auth=lab)
```
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from hubkey._exceptions import (
    AccessRefused,
    BrokerUnavailable,
    ConfigurationError,
    HubkeyError,
    InvalidArgument,
    InvalidArgumentType,
    LibraryMissing,
    NotAwaited,
    NotOnJupyterHub,
    OriginWarning,
    SignInDenied,
    SignInFailed,
    SignInRequired,
    SignInTimeout,
)
from hubkey._traceback import install as _install_excepthook

if TYPE_CHECKING:
    from hubkey import auth
    from hubkey._connections.account import Account
    from hubkey._connections.connection import Connection
    from hubkey._connections.http import HTTPStatusError, Response
    from hubkey._connections.list import ConnectionInfo, Connections, connections
    from hubkey._connections.status import Status
    from hubkey._sign_in.connect import connect
    from hubkey._sign_in.sync import connect_sync
    from hubkey._tokens.exchanged import ExchangedToken
    from hubkey._tokens.jwt import UnverifiedToken

__all__ = [
    "AccessRefused",
    "Account",
    "BrokerUnavailable",
    "ConfigurationError",
    "Connection",
    "ConnectionInfo",
    "Connections",
    "ExchangedToken",
    "HTTPStatusError",
    "HubkeyError",
    "InvalidArgument",
    "InvalidArgumentType",
    "LibraryMissing",
    "NotAwaited",
    "NotOnJupyterHub",
    "OriginWarning",
    "Response",
    "SignInDenied",
    "SignInFailed",
    "SignInRequired",
    "SignInTimeout",
    "Status",
    "UnverifiedToken",
    "auth",
    "connect",
    "connect_sync",
    "connections",
]

# People see these names in tracebacks, and should find them there as the documentation writes them.
for _error in (HubkeyError, *HubkeyError.__subclasses__(), InvalidArgumentType, OriginWarning):
    _error.__module__ = __name__

_install_excepthook(HubkeyError)

# Loaded when first used: `hubkey.hub` runs in a Hub, which has no need of the compiled module.
_LAZY = {
    "Account": "hubkey._connections.account",
    "Response": "hubkey._connections.http",
    "HTTPStatusError": "hubkey._connections.http",
    "Connection": "hubkey._connections.connection",
    "ConnectionInfo": "hubkey._connections.list",
    "Connections": "hubkey._connections.list",
    "ExchangedToken": "hubkey._tokens.exchanged",
    "connect": "hubkey._sign_in.connect",
    "connections": "hubkey._connections.list",
    "UnverifiedToken": "hubkey._tokens.jwt",
    "Status": "hubkey._connections.status",
    "connect_sync": "hubkey._sign_in.sync",
}


def __getattr__(name: str) -> object:
    if name == "auth":
        # Importing a part of the package also puts it there.
        return import_module("hubkey.auth")
    if name == "__version__":
        # Of what is installed, whatever it was built from.
        return import_module("importlib.metadata").version("hubkey")
    if name not in _LAZY:
        message = f"module 'hubkey' has no attribute {name!r}"
        raise AttributeError(message)
    value: object = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__all__", "__doc__", "__version__"])
