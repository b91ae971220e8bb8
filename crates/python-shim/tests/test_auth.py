"""The real libraries with a connection: who gets the token, what happens after a 401, and where no token is seen."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import inspect
import io
import logging
import os
import pickle
import subprocess
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import hubkey
import libraries
import pytest
import requests
from hubkey import auth
from refusing_api import RefusingApi, refusing_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripted_broker import Broker

# Clients that live as long as the test: their sockets are closed when they are forgotten.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ALL = pytest.mark.parametrize("library", list(libraries.ALL))
REPEATING = ["with_requests", "with_httpx", "with_async_httpx", "with_aiohttp", "with_fsspec"]
LISTED = (
    "requests",
    "httpx",
    "aiohttp",
    "fsspec",
    "azure",
    "google",
    "obstore",
    "botocore",
)
CANARY = "canary-access-token"


@pytest.fixture
def api() -> Iterator[RefusingApi]:
    with refusing_api() as api:
        yield api


@pytest.fixture
def elsewhere() -> Iterator[RefusingApi]:
    with refusing_api() as api:
        yield api


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEB_IDENTITY_TOKEN_FILE", "ROLE_ARN", "DEFAULT_REGION", "ENDPOINT_URL_STS"):
        monkeypatch.setenv(f"AWS_{name}", "unset")


@pytest.fixture
async def lab(broker: Broker, api: RefusingApi) -> hubkey.Connection:
    broker.api_origins = [api.url]
    broker.connect()
    return await hubkey.connect("lab-api")


def tokens(broker: Broker, *numbers: int) -> list[str]:
    [connection] = broker.connections.values()
    return [broker.access_token(connection, number) for number in numbers]


async def run(call: Any) -> Any:
    if inspect.iscoroutinefunction(call):
        return await call()
    return await asyncio.to_thread(call)


@ALL
async def test_need_15_each_library_sends_the_token(
    broker: Broker, lab: hubkey.Connection, api: RefusingApi, library: str
) -> None:
    call = libraries.ALL[library](lab, api.url)
    await run(call)
    await run(call)
    assert api.tokens == tokens(broker, 0, 0)


@pytest.mark.parametrize("library", REPEATING)
async def test_feature_k8_a_401_is_answered_by_one_repetition_with_another_token(
    broker: Broker, lab: hubkey.Connection, api: RefusingApi, library: str
) -> None:
    api.refused.update(tokens(broker, 0))
    call = libraries.ALL[library](lab, api.url)
    await run(call)
    await run(call)
    assert api.tokens == tokens(broker, 0, 1, 1)
    assert lab.token == tokens(broker, 1)[0]


async def test_found_a9_a_rejected_token_is_named_by_its_hash(
    broker: Broker, lab: hubkey.Connection, api: RefusingApi
) -> None:
    [rejected] = tokens(broker, 0)
    api.refused.add(rejected)
    await run(libraries.with_requests(lab, api.url))
    [asked] = broker.calls("POST", ".*/token")
    digest = hashlib.sha256(rejected.encode()).digest()
    assert asked.body["rejected_ath"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert rejected not in str(asked.body)


@pytest.mark.parametrize("library", REPEATING)
async def test_feature_k8_an_api_that_refuses_all_costs_one_repetition_and_no_storm(
    broker: Broker, lab: hubkey.Connection, api: RefusingApi, library: str
) -> None:
    api.refuses_all = True
    call = libraries.ALL[library](lab, api.url)
    for _ in range(3):
        with pytest.raises(Exception, match=r"401|Unauthorized"):
            await run(call)
    assert api.tokens == tokens(broker, 0, 1, 1, 1)
    assert broker.drawn == 1


async def test_feature_k8_parallel_refusals_all_get_the_other_token(
    broker: Broker, lab: hubkey.Connection, api: RefusingApi
) -> None:
    api.refused.update(tokens(broker, 0))
    async with httpx.AsyncClient(auth=auth.httpx_auth(lab)) as client:
        answers = await asyncio.gather(*(client.get(api.url) for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20


def stream() -> Iterator[bytes]:
    yield b"once"


async def astream() -> Any:
    yield b"once"


async def post(lab: hubkey.Connection, url: str, library: str, body: Any) -> int:
    if library == "requests":
        return (await asyncio.to_thread(requests.post, url, data=body, auth=lab, timeout=10)).status_code
    if library == "httpx":
        return (await asyncio.to_thread(httpx.post, url, content=body, auth=auth.httpx_auth(lab))).status_code
    if library == "async httpx":
        async with httpx.AsyncClient(auth=auth.httpx_auth(lab)) as client:
            return (await client.post(url, content=body)).status_code
    async with aiohttp.ClientSession(middlewares=(lab.aiohttp_middleware,)) as session:
        return (await session.post(url, data=body)).status


@pytest.mark.parametrize("library", ["requests", "httpx", "async httpx", "aiohttp"])
@pytest.mark.parametrize("whole", [True, False])
async def test_feature_k8_only_a_body_that_can_be_sent_again_is(
    broker: Broker, lab: hubkey.Connection, api: RefusingApi, library: str, whole: Any
) -> None:
    api.refused.update(tokens(broker, 0))
    once = stream() if library in {"requests", "httpx"} else astream()
    status = await post(lab, api.url, library, b"again" if whole else once)
    assert status == (200 if whole else 401)
    assert api.bodies == ([b"again"] * 2 if whole else [b"once"])
    assert api.tokens == tokens(broker, 0, 1) if whole else tokens(broker, 0)


@pytest.mark.parametrize("library", REPEATING)
async def test_need_15_other_origins_get_no_token(lab: hubkey.Connection, elsewhere: RefusingApi, library: str) -> None:
    with pytest.warns(hubkey.OriginWarning), pytest.raises(Exception, match=r"401|Unauthorized"):
        await run(libraries.ALL[library](lab, elsewhere.url))
    assert elsewhere.tokens == [None]


@pytest.mark.parametrize("library", ["requests", "httpx", "async httpx", "aiohttp"])
@pytest.mark.filterwarnings("ignore::hubkey.OriginWarning")
async def test_need_15_a_redirect_elsewhere_takes_no_token_along_and_repeats_nothing(
    broker: Broker, lab: hubkey.Connection, api: RefusingApi, elsewhere: RefusingApi, library: str
) -> None:
    url = f"{api.url}/moved?to={elsewhere.url}/"
    if library == "requests":
        await asyncio.to_thread(requests.get, url, auth=lab, timeout=10)
    elif library == "httpx":
        await asyncio.to_thread(httpx.get, url, auth=auth.httpx_auth(lab), follow_redirects=True)
    elif library == "async httpx":
        async with httpx.AsyncClient(auth=auth.httpx_auth(lab), follow_redirects=True) as client:
            await client.get(url)
    else:
        async with aiohttp.ClientSession(middlewares=(lab.aiohttp_middleware,)) as session:
            await session.get(url)
    assert elsewhere.tokens == [None]
    assert broker.drawn == 0


async def test_feature_f5_a_refused_token_of_an_ended_access_asks_for_a_sign_in(
    broker: Broker, lab: hubkey.Connection, api: RefusingApi
) -> None:
    api.refuses_all = True
    broker.connections.clear()
    with pytest.raises(hubkey.SignInRequired):
        await asyncio.to_thread(requests.get, api.url, auth=lab, timeout=10)


async def test_need_14_a_401_stands_while_the_broker_is_down(
    broker: Broker, lab: hubkey.Connection, api: RefusingApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubkey._tokens.cache._TIMEOUT", 0.2)
    api.refuses_all = True
    for _ in range(30):
        broker.fault("POST /v1/connections/", "cut")
    answer = await asyncio.to_thread(requests.get, api.url, auth=lab, timeout=10)
    assert answer.status_code == 401


def test_feature_k8_google_gets_another_token_after_a_401(
    broker: Broker, lab: hubkey.Connection, api: RefusingApi
) -> None:
    api.refused.update(tokens(broker, 0))
    call = libraries.with_google(lab, api.url)
    call()
    assert api.tokens == tokens(broker, 0, 1)


def held(lab: hubkey.Connection, folder: Path) -> dict[str, Any]:
    google = auth.unrestricted_google_credentials(lab)
    google.refresh(None)
    azure = auth.unrestricted_azure_credential(lab)
    return {
        "httpx": auth.httpx_auth(lab),
        "aiohttp": auth.aiohttp_middleware(lab),
        "fsspec": auth.fsspec_options(lab),
        "azure": azure,
        "azure token": azure.get_token("any"),
        "azure token info": azure.get_token_info("any"),
        "async azure": auth.unrestricted_async_azure_credential(lab),
        "google": google,
        "obstore": auth.unrestricted_obstore_provider(lab),
        "obstore token": auth.unrestricted_obstore_provider(lab)(),
        "file": auth.unrestricted_token_file(lab, folder / "token"),
    }


def test_security_l2_no_auth_object_shows_or_stores_the_token(lab: hubkey.Connection, tmp_path: Path) -> None:
    for name, value in held(lab, tmp_path).items():
        shown = [repr(value), str(value), repr(getattr(value, "__dict__", None)), f"{value}"]
        assert CANARY not in "".join(shown), name
        with pytest.raises(TypeError, match=r"hubkey\.connect\(\)"):
            pickle.dumps(value)


@ALL
async def test_security_l1_security_l2_no_log_and_no_traceback_shows_the_token(
    lab: hubkey.Connection, api: RefusingApi, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger = logging.getLogger()
    monkeypatch.setattr(logger, "handlers", [*logger.handlers, handler])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    manager = logging.Logger.manager
    manager._clear_cache()  # type: ignore[attr-defined]
    call = libraries.ALL[library](lab, api.url)
    await run(call)
    api.refuses_all = True
    with pytest.raises(Exception, match=r"\S") as caught:
        await run(call)
    assert [token for token in api.tokens if token is None] == []
    shown = "".join(traceback.TracebackException.from_exception(caught.value).format())
    for text in (shown, repr(caught.value), str(caught.value), repr(caught.value.args), written.getvalue()):
        assert CANARY not in text
    manager._clear_cache()  # type: ignore[attr-defined]


def test_need_15_the_file_is_whole_private_fresh_and_goes(broker: Broker, lab: hubkey.Connection) -> None:
    broker.token_seconds = 3
    with auth.unrestricted_token_file(lab) as file:
        assert file.path.read_text() == tokens(broker, 0)[0]
        assert (file.path.stat().st_mode & 0o777, file.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert os.fspath(file) == str(file.path)
        file.write()
        assert [path.name for path in file.path.parent.iterdir()] == ["token"]
    assert not file.path.parent.exists()
    file.close()


async def test_feature_g14_the_file_follows_the_token_while_it_is_open(broker: Broker, tmp_path: Path) -> None:
    broker.token_seconds = 4
    broker.api_origins = []
    broker.connect()
    lab = await hubkey.connect("lab-api")
    place = tmp_path / "token"
    with auth.unrestricted_token_file(lab, place):
        await until(lambda: broker.drawn >= 2 and place.read_text() != tokens(broker, 0)[0])
        place.read_text().index(CANARY)
        broker.connections.clear()
        await until(lambda: not place.exists())


async def until(condition: Any) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.05)


def test_the_package_loads_no_library_before_it_is_asked_for() -> None:
    code = f"import hubkey, sys; hubkey.Connection, hubkey.auth; print([n for n in {LISTED!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    for name in auth.__all__:
        assert name in dir(auth)
        assert getattr(auth, name).__doc__
