"""`connection.get()` and `connection.post()`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import hubkey
import pytest
from hubkey._connections import http
from refusing_api import RefusingApi, refusing_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_broker import Broker


@pytest.fixture
def api() -> Iterator[RefusingApi]:
    with refusing_api() as api:
        yield api


@pytest.fixture
async def lab(broker: Broker, api: RefusingApi) -> hubkey.Connection:
    broker.api_origins = [api.url]
    broker.connect()
    return await hubkey.connect("lab-api")


def test_feature_k8_get_and_post_speak_to_the_api(lab: hubkey.Connection, api: RefusingApi) -> None:
    answer = lab.get("/projects", params={"page": 2})
    assert (answer.status_code, answer.json(), answer.text) == (200, ["aurora"], '["aurora"]')
    assert answer.raise_for_status() is answer
    assert answer.headers["Content-Type"] == "application/json"
    assert lab.post(f"{api.url}/projects", {"name": "basalt"}).status_code == 200
    assert api.bodies == [b"", b'{"name": "basalt"}']
    assert api.tokens == [str(lab.token)] * 2
    assert "canary" not in repr(answer)


def test_found_j17_the_other_methods_are_there(lab: hubkey.Connection, api: RefusingApi) -> None:
    lab.put("/projects/1", {"name": "basalt"}).raise_for_status()
    lab.patch("/projects/1", None).raise_for_status()
    lab.delete("/projects/1", params={"force": 1}).raise_for_status()
    assert api.methods == ["PUT", "PATCH", "DELETE"]
    assert api.bodies == [b'{"name": "basalt"}', b"null", b""]
    assert api.paths[-1] == "/projects/1?force=1"
    assert api.tokens == [str(lab.token)] * 3


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        ("application/problem+json", '{"title": "no such\nproject"}', ': {"title": "no such project"}'),
        ("text/plain; charset=utf-8", "Ä\r\n\x1b[2Jb", ": Ä ?[2Jb"),
        ("text/plain", "x" * 1000, ": " + "x" * 200 + "…"),
        ("application/json", '{"sent": "Bearer {token}"}', ': {"sent": "Bearer <hidden token>"}'),
        ("text/plain", "x" * 195 + "{token}" * 50, ": " + "x" * 195 + "<hidd…"),
        ("application/json", '{"error":' + " " * 900 + '"{token}"}', ': {"error": "<hidden token>"}'),
        ("application/json", '{"error":' + " " * 70_000 + '"{token}"}', ': {"error":'),
        ("text/html", "<!doctype html><title>Sorry</title>", ""),
        ("image/png", "\x89PNG", ""),
        ("application/octet-stream", "\0\0", ""),
        ("application/json", "", ""),
    ],
)
def test_found_j17_a_failure_says_how_the_api_explains_it(
    lab: hubkey.Connection, api: RefusingApi, kind: str, text: str, shown: str
) -> None:
    api.refuses_all, api.explains = True, (kind, text)
    answer = lab.get("/projects")
    with pytest.raises(hubkey.HTTPStatusError) as caught:
        answer.raise_for_status()
    assert str(caught.value) == f"the API answered 401{shown}"
    assert "canary" not in repr(answer) + str(caught.value)


@pytest.mark.parametrize("form", ["{}", "\\{}", "\\u{:04x}", "\\u{:04X}", "%{:02x}", "%{:02X}", "&#x{:x};", "&#{:d};"])
def test_found_j17_a_token_is_hidden_however_it_is_written(form: str) -> None:
    token = "canary-abc/def+ghi=="
    written = "".join(
        letter if letter.isalnum() else form.format(letter if form in ("{}", "\\{}") else ord(letter))
        for letter in token
    )
    assert http._excerpt(f'{{"sent": "{written}"}}'.encode(), ("other", token)) == '{"sent": "<hidden token>"}'


async def test_feature_k8_a_base_path_goes_before_a_path_and_never_to_another_origin(
    lab: hubkey.Connection,
    api: RefusingApi,
) -> None:
    assert lab.base_path == ""
    based = await hubkey.connect("lab-api", base_path="/api/v2/")
    assert based.base_path == "/api/v2"
    based.get("/projects", params={"page": 2})
    based.post("/projects", [])
    based.get(f"{api.url}/projects")
    assert api.paths == ["/api/v2/projects?page=2", "/api/v2/projects", "/projects"]
    for wrong in ("api", "//elsewhere.example", "https://elsewhere.example", "/\\elsewhere", "/a?b=", "/a#b"):
        with pytest.raises(hubkey.InvalidArgument, match="base_path="):
            await hubkey.connect("lab-api", base_path=wrong)
    with pytest.raises(TypeError, match="base_path=1: expected text"):
        await hubkey.connect("lab-api", base_path=1)  # type: ignore[arg-type]
    assert (await asyncio.to_thread(hubkey.connect_sync, "lab-api", base_path="/api")).base_path == "/api"
    lab.get("/projects")
    assert api.paths[-1] == "/projects"


def test_feature_k8_get_repeats_once_after_a_401(broker: Broker, lab: hubkey.Connection, api: RefusingApi) -> None:
    [connection] = broker.connections.values()
    first, second = (broker.access_token(connection, number) for number in (0, 1))
    api.refused.add(first)
    assert lab.post("/projects", [1]).status_code == 200
    assert (api.tokens, api.bodies) == ([first, second], [b"[1]"] * 2)
    api.refuses_all = True
    with pytest.raises(hubkey.HTTPStatusError, match="the API answered 401") as caught:
        lab.get("/projects").raise_for_status()
    assert caught.value.response.status_code == 401


@pytest.mark.filterwarnings("ignore::hubkey.OriginWarning")
def test_feature_k8_get_goes_nowhere_else_and_follows_nothing(lab: hubkey.Connection, api: RefusingApi) -> None:
    with refusing_api() as elsewhere:
        for address in (elsewhere.url, "file:///etc/passwd", "projects", f"{api.url}@{elsewhere.url[7:]}/"):
            with pytest.raises(hubkey.InvalidArgument, match="path="):
                lab.get(address)
        assert lab.get(f"/moved?to={elsewhere.url}/").status_code == 302
        assert elsewhere.tokens == []


async def test_feature_k8_a_path_needs_one_origin(broker: Broker) -> None:
    for origins in ([], ["https://a.example", "https://b.example"]):
        broker.connections.clear()
        broker.api_origins = origins
        broker.connect()
        lab = await hubkey.connect("lab-api")
        with pytest.raises(hubkey.InvalidArgument, match="expected a whole URL"):
            lab.get("/projects")
