"""fsspec over HTTP: its file system is a client of aiohttp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubkey.auth._aiohttp import Middleware

if TYPE_CHECKING:
    from hubkey.auth._token_source import TokenSource


def fsspec_options(connection: TokenSource) -> dict[str, Any]:
    """Give the storage options of fsspec's `http` and `https` file systems.

    ```python
    files = fsspec.filesystem("https", **hubkey.auth.fsspec_options(lab))
    files.cat("https://api.lab.example/files/a.csv")
    pandas.read_csv("https://api.lab.example/files/a.csv", storage_options=hubkey.auth.fsspec_options(lab))
    ```

    The header stays fresh for as long as the file system lives, and goes to the provider's API origins only.
    """
    return {"client_kwargs": {"middlewares": (Middleware(connection),)}}
