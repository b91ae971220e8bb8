"""How people use each library: one client for a long time. Also run in a kernel against the real API.

Each `with_…` takes a connection and the API's address, and gives a call, to be made again and again, that raises unless
the API accepts the token.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

from hubkey import auth

if TYPE_CHECKING:
    from collections.abc import Callable

    import hubkey


def with_requests(lab: hubkey.Connection, api: str) -> Callable[[], Any]:
    import requests

    session = requests.Session()
    session.auth = lab
    return lambda: session.get(f"{api}/projects", timeout=10).raise_for_status()


def with_httpx(lab: hubkey.Connection, api: str) -> Callable[[], Any]:
    import httpx

    client = httpx.Client(auth=auth.httpx_auth(lab))

    def call() -> object:
        return client.get(f"{api}/projects").raise_for_status()

    # It keeps its connection open, and says so to whichever test is running when it is collected.
    weakref.finalize(call, client.close)
    return call


def with_async_httpx(lab: hubkey.Connection, api: str) -> Callable[[], Any]:
    import httpx

    async def call() -> None:
        async with httpx.AsyncClient(auth=auth.httpx_auth(lab)) as client:
            (await client.get(f"{api}/projects")).raise_for_status()

    return call


def with_aiohttp(lab: hubkey.Connection, api: str) -> Callable[[], Any]:
    import aiohttp

    async def call() -> None:
        async with aiohttp.ClientSession(middlewares=(lab.aiohttp_middleware,)) as session:
            (await session.get(f"{api}/projects")).raise_for_status()

    return call


def with_fsspec(lab: hubkey.Connection, api: str) -> Callable[[], Any]:
    import fsspec

    files = fsspec.filesystem("http", **auth.fsspec_options(lab))
    return lambda: files.cat_file(f"{api}/projects")


def with_azure(lab: hubkey.Connection, api: str) -> Callable[[], Any]:
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy
    from azure.core.rest import HttpRequest

    policy = BearerTokenCredentialPolicy(auth.unrestricted_azure_credential(lab), "https://api.lab.example/.default")
    client = PipelineClient(api, policies=[policy])
    request = f"{api}/projects"
    # The API of the tests speaks http, on loopback.
    return lambda: client.send_request(HttpRequest("GET", request), enforce_https=False).raise_for_status()


def with_async_azure(lab: hubkey.Connection, api: str) -> Callable[[], Any]:
    from azure.core import AsyncPipelineClient
    from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
    from azure.core.rest import HttpRequest

    policy = AsyncBearerTokenCredentialPolicy(auth.unrestricted_async_azure_credential(lab), "any")

    async def call() -> None:
        async with AsyncPipelineClient(api, policies=[policy]) as client:
            answer = await client.send_request(HttpRequest("GET", f"{api}/projects"), enforce_https=False)
            answer.raise_for_status()

    return call


def with_google(lab: hubkey.Connection, api: str) -> Callable[[], Any]:
    from google.auth.transport.requests import AuthorizedSession

    session = AuthorizedSession(auth.unrestricted_google_credentials(lab))
    return lambda: session.get(f"{api}/projects").raise_for_status()


def with_obstore(lab: hubkey.Connection, api: str) -> Callable[[], Any]:
    from obstore.store import AzureStore

    provider = auth.unrestricted_obstore_provider(lab)
    options = {"allow_http": True}
    store = AzureStore(
        "projects", account_name="lab", endpoint=api, credential_provider=provider, client_options=options
    )
    return lambda: store.get("aurora").bytes()


def with_botocore(lab: hubkey.Connection, api: str) -> Callable[[], Any]:
    from botocore.session import Session

    file = auth.unrestricted_token_file(lab)
    os.environ.update(
        AWS_WEB_IDENTITY_TOKEN_FILE=str(file.path),
        AWS_ROLE_ARN="arn:aws:iam::123456789012:role/lab",
        AWS_DEFAULT_REGION="eu-central-1",
        AWS_ENDPOINT_URL_STS=f"{api}/sts",
    )
    credentials = Session().get_credentials()

    def call(_: object = file) -> None:
        assert credentials.get_frozen_credentials().access_key == "ROLE"

    return call


ALL: dict[str, Callable[[hubkey.Connection, str], Callable[[], Any]]] = {
    name: value for name, value in list(globals().items()) if name.startswith("with_")
}
