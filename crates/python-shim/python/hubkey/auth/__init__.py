"""Auth objects for libraries that take no plain callable. Each library is loaded only when its object is asked for.

A connection itself is the auth object of requests and httpx (`auth=connection`). What is here goes further:

```python
from hubkey import auth

httpx.AsyncClient(auth=auth.httpx_auth(lab))
aiohttp.ClientSession(middlewares=(auth.aiohttp_middleware(lab),))
fsspec.filesystem("http", **auth.fsspec_options(lab))
```

These add the token only to requests for the provider's API origins, and repeat a request once with a new token when the
API answers 401 and the body can be sent again.

**Names that begin with `unrestricted_` are different.** Their libraries ask for a token and do not say where they
send it, so nothing here can keep it from a wrong address. Call them for clients whose endpoint you chose yourself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from hubkey._exceptions import LibraryMissing

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubkey.auth._aiohttp import aiohttp_middleware
    from hubkey.auth._azure import unrestricted_async_azure_credential, unrestricted_azure_credential
    from hubkey.auth._fsspec import fsspec_options
    from hubkey.auth._google import unrestricted_google_credentials
    from hubkey.auth._httpx import httpx_auth
    from hubkey.auth._obstore import unrestricted_obstore_provider
    from hubkey.auth._token_file import TokenFile, unrestricted_token_file

__all__ = [
    "TokenFile",
    "aiohttp_middleware",
    "fsspec_options",
    "httpx_auth",
    "unrestricted_async_azure_credential",
    "unrestricted_azure_credential",
    "unrestricted_google_credentials",
    "unrestricted_obstore_provider",
    "unrestricted_token_file",
]

_LAZY = {
    "TokenFile": "_token_file",
    "aiohttp_middleware": "_aiohttp",
    "fsspec_options": "_fsspec",
    "httpx_auth": "_httpx",
    "unrestricted_async_azure_credential": "_azure",
    "unrestricted_azure_credential": "_azure",
    "unrestricted_google_credentials": "_google",
    "unrestricted_obstore_provider": "_obstore",
    "unrestricted_token_file": "_token_file",
}


# What those modules cannot be loaded without, as it is installed.
_LIBRARIES = {"_azure": "azure-core", "_google": "google-auth", "_httpx": "httpx"}
_PACKAGES = ("azure", "google", "httpx")


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        message = f"module 'hubkey.auth' has no attribute {name!r}"
        raise AttributeError(message)
    module = _LAZY[name]
    try:
        return getattr(import_module(f"hubkey.auth.{module}"), name)
    except ImportError as cause:
        if module not in _LIBRARIES:
            raise
        return _without_library(name, _LIBRARIES[module], cause)


def _without_library(name: str, library: str, cause: ImportError) -> Callable[..., NoReturn]:
    """Stand for an adapter whose library is not there: whoever only looks around is not held up."""
    absent = isinstance(cause, ModuleNotFoundError) and (cause.name or "").partition(".")[0] in _PACKAGES
    why = "which is not installed here" if absent else f"and what is installed does not fit ({cause})"
    install = f"pip install {library}" if absent else f"pip install --upgrade {library}"

    def missing(*_: object, **__: object) -> NoReturn:
        raise LibraryMissing(
            f"hubkey.auth.{name} needs {library}, {why}. Run `{install}`, in a notebook `%{install}`.",
        ) from cause

    missing.__name__ = missing.__qualname__ = name
    missing.__doc__ = f"Needs {library}, {why}."
    return missing


def __dir__() -> list[str]:
    return sorted([*__all__, "__all__", "__doc__"])
