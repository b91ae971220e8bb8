"""What a `Connection` gives to its user, to libraries, and to nobody."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
import warnings
from typing import TYPE_CHECKING, Any, cast

import httpx
import hubkey
import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conftest import Api
    from scripted_broker import Broker


@pytest.fixture
async def lab(broker: Broker, api: Api) -> hubkey.Connection:
    broker.api_origins = [api.url]
    broker.connect()
    return await hubkey.connect("lab-api")


def only(broker: Broker) -> dict[str, Any]:
    return next(iter(broker.connections.values()))


def test_feature_k1_the_token_is_text(broker: Broker, lab: hubkey.Connection) -> None:
    assert isinstance(lab.token, str)
    assert lab.token == broker.access_token(only(broker))
    assert lab.headers == {"Authorization": f"Bearer {lab.token}"}


def test_feature_k1_no_view_of_a_connection_shows_the_token(lab: hubkey.Connection) -> None:
    views = [
        repr(lab),
        str(lab),
        f"{lab}",
        f"{lab!r}",
        repr([lab]),
        repr(lab.account),
        str(lab.account),
        repr(dir(lab)),
    ]
    views += lab._repr_mimebundle_().values()
    views += [repr(getattr(lab, name, None)) for name in lab.__slots__]
    assert "canary" not in "".join(views)
    assert "Lab API" in repr(lab)


async def test_feature_e2_e3_e5_found_j9_the_line_names_what_there_is_and_no_clock_that_would_be_wrong(
    broker: Broker, lab: hubkey.Connection
) -> None:
    line = "✓ Lab API as alice.liddell@lab.example · 1 scope: projects:read · "
    assert str(lab) == f"{line}renews by itself"
    broker.connections.clear()
    broker.refreshable = False
    broker.connect()
    lab = await hubkey.connect("lab-api")
    ends = cast("Any", lab.expires_at).astimezone()
    assert str(lab) == f"{line}until {ends:%Y-%m-%d %H:%M %Z}"


async def test_feature_e3_a_connection_that_does_not_renew_does_not_say_so(broker: Broker) -> None:
    broker.refreshable = False
    broker.connect()
    lab = await hubkey.connect("lab-api")
    assert not lab.refreshable
    assert "renews" not in str(lab)


def test_security_l2_a_token_is_hidden_where_nobody_asked_for_it(lab: hubkey.Connection) -> None:
    for holder in (lab.token, [lab.token], {"t": lab.token}, lab.headers, (lab.token,)):
        assert "canary" not in repr(holder)
    assert "canary" not in f"{lab.token!r} {lab.headers}"


@pytest.mark.parametrize("write", [pickle.dumps, json.dumps], ids=["pickle", "json"])
def test_security_l2_a_connection_is_not_written_down(
    lab: hubkey.Connection,
    write: Callable[[object], object],
) -> None:
    with pytest.raises(TypeError) as caught:
        write(lab)
    assert "canary" not in str(caught.value)
    with pytest.raises(TypeError):
        vars(lab)


def test_security_l2_a_token_is_not_pickled_with_what_holds_it(lab: hubkey.Connection) -> None:
    for holder in (lab.token, lab.headers):
        with pytest.raises(TypeError, match=r"Call hubkey\.connect\(\)"):
            pickle.dumps(holder)


def test_security_l2_copies_are_the_same_access(lab: hubkey.Connection) -> None:
    assert copy.copy(lab) is lab
    assert copy.deepcopy({"auth": lab})["auth"] is lab
    assert copy.deepcopy(lab.headers) == lab.headers
    assert lab != object()


def test_security_l2_a_traceback_with_locals_shows_no_token(broker: Broker, lab: hubkey.Connection) -> None:
    class Broken(dict[str, str]):
        def __setitem__(self, key: str, value: str) -> None:
            message = "cannot be set"
            raise RuntimeError(message)

    request = requests.Request("GET", only(broker)["api_origins"][0]).prepare()
    request.headers = cast("Any", Broken())
    with pytest.raises(RuntimeError) as caught:
        lab(request)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "canary-access-token" not in shown.replace(repr(broker), "")


def with_requests(url: str, auth: Any) -> None:
    requests.get(url, auth=auth, timeout=5)


def with_httpx(url: str, auth: Any) -> None:
    httpx.get(url, auth=auth, follow_redirects=True, timeout=5)


async def with_async_httpx(url: str, auth: Any) -> None:
    async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
        await client.get(url)


async def run(call: Callable[[str, Any], Awaitable[None] | None], url: str, auth: Any) -> None:
    answer = call(url, auth)
    if answer is not None:
        await answer


LIBRARIES = pytest.mark.parametrize("call", [with_requests, with_httpx, with_async_httpx])


@LIBRARIES
async def test_need_15_libraries_take_a_connection_as_it_is(lab: hubkey.Connection, api: Api, call: Any) -> None:
    await run(call, f"{api.url}/projects?x=1", lab)
    assert api.received == [f"Bearer {lab.token}"]


@LIBRARIES
async def test_need_15_other_origins_get_no_token_and_one_warning(
    lab: hubkey.Connection,
    api: Api,
    other_api: Api,
    call: Any,
) -> None:
    with pytest.warns(hubkey.OriginWarning, match="was not sent to") as caught:  # noqa: PT031 - once for both
        await run(call, f"{other_api.url}/private?secret=query", lab)
        await run(call, f"{other_api.url}/private", lab)
    assert other_api.received == [None, None]
    assert [warning.category for warning in caught] == [hubkey.OriginWarning]
    assert "secret" not in str(caught[0].message)
    assert api.url in str(caught[0].message)


@LIBRARIES
async def test_need_15_a_redirect_to_another_origin_takes_no_token_along(
    lab: hubkey.Connection,
    api: Api,
    other_api: Api,
    call: Any,
) -> None:
    # Another port of the same host is another origin.
    await run(call, f"{api.url}/redirect?to={other_api.url}/", lab)
    assert api.received == [f"Bearer {lab.token}"]
    assert other_api.received == [None]


@pytest.mark.parametrize(
    "url",
    [
        "http://api.lab.example/",
        "https://api.lab.example:8443/",
        "https://api.lab.example.evil.example/",
        "https://api.lab.example@evil.example/",
        "https://evil.example/https://api.lab.example/",
        "https://api.lab.example\\@evil.example/",
        "https://api.lab.example\t.evil.example/",
        "https://evil.example#https://api.lab.example/",
        "//api.lab.example/",
        "https://api.lab.example./",
        "https:api.lab.example/",
        "https://api.lab.exаmple/",  # noqa: RUF001 - one letter is Cyrillic
    ],
)
async def test_need_15_addresses_that_only_look_right_get_no_token(broker: Broker, url: str) -> None:
    broker.connect()
    lab = await hubkey.connect("lab-api")
    request = Asked(url)
    with pytest.warns(hubkey.OriginWarning):
        assert lab(request) is request
    assert request.headers == {}


@pytest.mark.parametrize("url", ["https://api.lab.example", "https://API.lab.example:443/a?b#c"])
async def test_need_15_the_same_origin_written_differently_gets_the_token(broker: Broker, url: str) -> None:
    broker.connect()
    lab = await hubkey.connect("lab-api")
    assert lab(Asked(url)).headers == lab.headers


async def test_need_15_without_origins_nothing_is_sent_by_itself(broker: Broker) -> None:
    broker.api_origins = []
    broker.connect()
    lab = await hubkey.connect("lab-api")
    with pytest.warns(hubkey.OriginWarning, match="its API origins are none"):
        assert lab(Asked("https://api.lab.example/")).headers == {}


class Asked:
    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: dict[str, str] = {}


def test_the_package_shows_its_names() -> None:
    with warnings.catch_warnings():
        for name in hubkey.__all__:
            assert name in dir(hubkey)
            assert getattr(hubkey, name).__doc__, name
            value = getattr(hubkey, name)
            if isinstance(value, type) and issubclass(value, (hubkey.HubkeyError, Warning)):
                assert getattr(hubkey, name).__module__ == "hubkey"
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = hubkey.conect  # type: ignore[attr-defined]
