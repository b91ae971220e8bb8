"""A token of another API for that of a connection."""

from __future__ import annotations

import copy
import pickle
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import hubkey
import pytest
import requests
from hubkey._tokens import cache
from hubkey.auth import httpx_auth
from refusing_api import RefusingApi, refusing_api
from scripted_broker import Broker, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Api

EXCHANGE = "/v1/connections/.*/exchange"
ENDED = problem(409, "sign_in_required", "A person has to sign in.", "Sign in.")


def pass_(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    wall, monotonic = time.time, cache._now
    monkeypatch.setattr(time, "time", lambda: wall() + seconds)
    monkeypatch.setattr("hubkey._tokens.cache._now", lambda: monotonic() + seconds)


@pytest.fixture
async def lab(broker: Broker) -> hubkey.Connection:
    broker.token_seconds = 300
    broker.connect()
    return await hubkey.connect("lab-api")


async def test_feature_g1_a_connection_is_exchanged_for_another_api(broker: Broker, lab: hubkey.Connection) -> None:
    other = await lab.exchange("other-api", scopes=["read"], resource="https://other.example.org")
    [seen] = broker.calls("POST", EXCHANGE)
    asked = {"audience": "other-api", "scopes": ["read"], "resource": "https://other.example.org"}
    asked |= {"min_valid_seconds": 0}
    assert seen.body == asked
    assert other.token == await other.aget_token() == "canary-exchanged-token-1"
    assert other.headers == {"Authorization": "Bearer canary-exchanged-token-1"}
    assert other.scopes == ("read",)
    assert other.expires_at is not None
    assert len(broker.calls("POST", EXCHANGE)) == 1
    assert lab.token != other.token


async def test_feature_k1_nothing_shows_or_stores_the_token(lab: hubkey.Connection) -> None:
    other = await lab.exchange("other-api")
    shown = " ".join([repr(other), str(other), repr(other.token), repr(other.headers), repr([other])])
    assert "canary" not in shown
    assert "other-api" in repr(other)
    assert copy.copy(other) is copy.deepcopy(other) is other
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(other)


async def test_feature_g1_an_exchanged_token_stays_fresh(
    broker: Broker,
    lab: hubkey.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = await lab.exchange("other-api")
    pass_(monkeypatch, 301)
    assert other.token == "canary-exchanged-token-2"
    assert await other.aget_token(min_valid=200) == "canary-exchanged-token-2"
    assert [seen.body["audience"] for seen in broker.calls("POST", EXCHANGE)] == ["other-api"] * 2
    with pytest.raises(hubkey.InvalidArgument, match="min_valid"):
        await other.aget_token(min_valid=5000)


@pytest.fixture
async def other(broker: Broker, lab: hubkey.Connection, other_api: Api) -> hubkey.ExchangedToken:
    broker.exchange_origins = [other_api.url]
    return await lab.exchange("other-api")


def test_the_token_goes_to_the_origins_of_that_api_only(
    other: hubkey.ExchangedToken,
    api: Api,
    other_api: Api,
) -> None:
    requests.get(other_api.url, auth=other, timeout=5)
    httpx.get(other_api.url, auth=other)
    assert other_api.received == ["Bearer canary-exchanged-token-1"] * 2
    with pytest.warns(hubkey.OriginWarning, match="exchange.api_origins"):
        requests.get(api.url, auth=other, timeout=5)
    assert api.received == [None]


@pytest.fixture
def refusing() -> Iterator[RefusingApi]:
    with refusing_api() as api:
        api.refused.add("canary-exchanged-token-1")
        yield api


@pytest.fixture
async def refused(broker: Broker, lab: hubkey.Connection, refusing: RefusingApi) -> hubkey.ExchangedToken:
    broker.exchange_origins = [refusing.url]
    return await lab.exchange("other-api")


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_feature_k8_a_refused_exchanged_token_is_replaced_once(
    refused: hubkey.ExchangedToken,
    refusing: RefusingApi,
    library: str,
) -> None:
    if library == "requests":
        answer = requests.get(refusing.url, auth=refused, timeout=5)
    else:
        answer = httpx.get(refusing.url, auth=httpx_auth(refused))
    assert answer.status_code == 200
    # A newer one that is refused too, so soon, is not replaced: the API refuses the person.
    refusing.refuses_all = True
    assert requests.get(refusing.url, auth=refused, timeout=5).status_code == 401
    assert refusing.tokens == [f"canary-exchanged-token-{number}" for number in (1, 2, 2)]


async def test_feature_k8_aiohttp_replaces_a_refused_exchanged_token(
    refused: hubkey.ExchangedToken,
    refusing: RefusingApi,
) -> None:
    async with (
        aiohttp.ClientSession(middlewares=(refused.aiohttp_middleware,)) as session,
        session.get(refusing.url) as answer,
    ):
        assert answer.status == 200
    assert refusing.tokens == ["canary-exchanged-token-1", "canary-exchanged-token-2"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "audience"),
        ({"requested_issuer": "github"}, "requested_issuer"),
        ({"audience": "other-api", "scopes": "read"}, "scopes"),
        ({"audience": "other-api", "scopes": ["a b"]}, "scopes"),
    ],
)
async def test_what_cannot_work_names_the_argument(lab: hubkey.Connection, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(hubkey.InvalidArgument) as caught:
        await lab.exchange(**asked)
    assert caught.value.field == field


async def test_a_provider_that_gives_no_token_is_told_as_such(broker: Broker, lab: hubkey.Connection) -> None:
    with pytest.raises(hubkey.AccessRefused, match="no token for that"):
        await lab.exchange("third-api")
    other = await lab.exchange("other-api")
    assert other.token
    assert lab.token
    broker.connections.clear()
    with pytest.raises(hubkey.SignInRequired):
        await lab.exchange("other-api")


async def test_feature_g7_signing_out_ends_the_exchanged_token_too(lab: hubkey.Connection) -> None:
    other = await lab.exchange("other-api")
    await lab.sign_out()
    with pytest.raises(hubkey.SignInRequired, match="signed out"):
        _ = other.token


async def test_after_a_new_sign_in_the_exchanged_token_goes_on(
    broker: Broker,
    lab: hubkey.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = await lab.exchange("other-api")
    pass_(monkeypatch, 301)
    broker.connections.clear()
    with pytest.raises(hubkey.SignInRequired):
        _ = other.token
    broker.connect()
    assert other.token.startswith("canary-exchanged-token-")
