"""What the exceptions say, in their text and in their attributes."""

from __future__ import annotations

import ast
import asyncio
import json
import pickle
from pathlib import Path
from typing import Any, Literal, get_args

import hubkey
import pytest
from hubkey import _exceptions, _hubkey, _traceback
from hubkey._broker.errors import invalid_argument, public_error, refused_argument
from scripted_broker import REQUEST_ID, SERVER_TOKEN, Broker, problem

STUB = Path(__file__).parents[1] / "python" / "hubkey" / "_hubkey.pyi"
OPENAPI = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"
ATTRIBUTES = ("code", "reference", "retry_after", "sign_in_url")
EXCEPTIONS = [
    error
    for error in (getattr(hubkey, name) for name in hubkey.__all__)
    if isinstance(error, type) and issubclass(error, hubkey.HubkeyError)
]


def literal(name: str) -> set[str]:
    """Read a Literal of the stub: an alias, or the annotation of `Class.attribute`."""
    owner, _, attribute = name.rpartition(".")
    body = ast.parse(STUB.read_text()).body
    if owner:
        body = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == owner).body
    for node in body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == attribute:
            return set(get_args(eval(ast.unparse(node.value or node.annotation), {"Literal": Literal})))
    raise AssertionError(name)


def wire(name: str) -> set[str]:
    """Give the words of an enumeration of the kernel API."""
    schema = json.loads(OPENAPI.read_text())["components"]["schemas"][name]
    return set(schema.get("enum") or [word for variant in schema["oneOf"] for word in variant["enum"]])


def client_error(kind: str, code: str | None = None, **said: Any) -> _hubkey.ClientError:
    error = _hubkey.ClientError()
    nothing = {"title": "", "detail": "", "reference": None, "retry_after": None, "argument": None}
    nothing |= {"exception": "HubkeyError", "needs_operator": False}
    for name, value in {"kind": kind, "code": code, **nothing, **said}.items():
        setattr(error, name, value)
    return error


def raised_by(url: str, ca_pem: bytes | None = None) -> _hubkey.ClientError:
    """Have a call fail at this address."""

    async def ask() -> None:
        broker = _hubkey.Broker(url, SERVER_TOKEN, ca_pem)
        await broker.providers(asyncio.get_running_loop(), 0.3)

    with pytest.raises(_hubkey.ClientError) as caught:
        asyncio.run(ask())
    return caught.value


def whole(text: str) -> bool:
    """Whether a text is made of whole sentences."""
    broken = ("  ", " .", "..", "()", ": .", "None", " ,")
    return text[:1].isupper() and text.endswith(".") and not [part for part in broken if part in text]


def test_the_stub_names_every_kind_of_failure(broker: Broker) -> None:
    broker.fault("GET /v1/providers", problem(403, "invalid_token", "No.", "Ask."))
    refused = raised_by(broker.url)
    broker.fault("GET /v1/providers", (200, "<html>"))
    malformed = raised_by(broker.url)
    raised = [
        refused,
        malformed,
        raised_by("http://127.0.0.1:1"),
        raised_by(broker.url.replace("http:", "https:")),
        raised_by(broker.url, b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
    ]
    assert {error.kind for error in raised} == literal("ClientError.kind")
    assert (refused.code, refused.title, refused.detail, refused.retry_after) == ("invalid_token", "No.", "Ask.", None)
    assert [error.title for error in raised] == [str(error) for error in raised]


@pytest.mark.parametrize("name", ["ErrorCode", "SignInFailure", "SignInCause"])
def test_the_stub_has_the_words_of_the_wire(name: str) -> None:
    assert literal(f"_{name}") == wire(name)


def test_every_exception_that_the_table_of_failures_names_is_there() -> None:
    for name in literal("_Exception"):
        assert issubclass(getattr(_exceptions, name), hubkey.HubkeyError)


# What the client asks again for by itself.
TRANSIENT = {"rate_limited", "refresh_in_progress", "overloaded", "timeout"} | {
    f"{part}_unavailable" for part in ("hub", "store", "provider")
}


@pytest.mark.parametrize("code", sorted(wire("ErrorCode") - TRANSIENT - {"unknown"}))
async def test_every_error_code_becomes_an_exception_with_its_sentences(broker: Broker, code: str) -> None:
    broker.fault("POST /v1/sign-ins", problem(400, code, "What happened.", "What to do."))
    with pytest.raises(hubkey.HubkeyError) as caught:
        await hubkey.connect("lab-api", interactive=True)
    text = caught.value.reason if isinstance(caught.value, hubkey.InvalidArgument) else str(caught.value)
    assert caught.value.code == code
    assert type(caught.value).__name__ in literal("_Exception")
    assert whole(text.removesuffix(f" Reference: {REQUEST_ID}.")), text


def test_found_h11_another_event_loop_is_told_in_a_sentence(broker: Broker) -> None:
    broker.connect()
    lab = hubkey.connect_sync("lab-api")
    calls = [
        hubkey.connect("lab-api"),
        hubkey.connections(),
        lab.aget_token(min_valid=10**6),
        lab.exchange(audience="other"),
        lab.sign_out(),
    ]
    for call in calls:
        with pytest.raises(hubkey.HubkeyError, match=r"running event loop of asyncio.*connect_sync"):
            call.send(None)
    assert lab.token


def test_an_invalid_field_names_itself() -> None:
    with pytest.raises(_hubkey.InvalidField, match="scopes: ") as caught:
        _hubkey.Exchange(None, ["a b"], None, None)
    assert caught.value.field == "scopes"
    assert str(caught.value) == f"scopes: {caught.value.expected}"


@pytest.mark.parametrize("error", EXCEPTIONS)
def test_every_exception_has_the_four_attributes(error: type[hubkey.HubkeyError]) -> None:
    for name in ATTRIBUTES:
        assert getattr(error, name) is None or (error, name) == (hubkey.SignInRequired, "code")


async def test_a_refusal_carries_its_code_and_its_wait(broker: Broker) -> None:
    busy = problem(429, "too_many_sign_ins", "Too many are open.", "Finish one.", retry_after=7)
    broker.fault("POST /v1/sign-ins", busy)
    with pytest.raises(hubkey.BrokerUnavailable) as caught:
        await hubkey.connect("lab-api", interactive=True)
    assert [getattr(caught.value, name) for name in ATTRIBUTES] == ["too_many_sign_ins", REQUEST_ID, 7, None]


async def test_an_argument_that_the_broker_refuses_carries_its_code(broker: Broker) -> None:
    broker.fault("POST /v1/sign-ins", problem(400, "unknown_provider", "No such provider.", "Choose another."))
    with pytest.raises(hubkey.InvalidArgument, match="Known here") as caught:
        await hubkey.connect("lab-appi", interactive=True)
    assert (caught.value.field, caught.value.code) == ("provider", "unknown_provider")


def test_found_j5_nothing_but_what_the_card_told_is_silent() -> None:
    cancelled, stopped = asyncio.CancelledError(), KeyboardInterrupt()
    _traceback.told(cancelled)
    _traceback.told(stopped)
    of_asyncio, second = KeyboardInterrupt(), KeyboardInterrupt()
    of_asyncio.__context__, second.__context__ = cancelled, stopped
    assert _traceback.was_told(stopped)
    assert _traceback._ended_a_told_one(of_asyncio)
    assert not _traceback.was_told(second)
    assert not _traceback._ended_a_told_one(second), "another Ctrl-C, while the first one was handled"


async def test_found_j17_the_providers_are_listed_once(broker: Broker) -> None:
    listing = problem(400, "unknown_provider", "There is no provider of that name.", "Choose one of: lab-api.")
    broker.fault("POST /v1/sign-ins", listing)
    with pytest.raises(hubkey.InvalidArgument) as caught:
        await hubkey.connect("lab-appi", interactive=True)
    text = "There is no provider of that name. Choose one of: lab-api. Did you mean 'lab-api'?"
    assert str(caught.value) == f"provider='lab-appi': {text}"


async def test_who_has_to_sign_in_is_told_by_code_too(broker: Broker) -> None:
    assert broker.connections == {}
    with pytest.raises(hubkey.SignInRequired) as caught:
        await hubkey.connect("lab-api", interactive=False)
    assert [getattr(caught.value, name) for name in ATTRIBUTES] == ["sign_in_required", REQUEST_ID, None, None]


@pytest.mark.parametrize(
    "error",
    [
        hubkey.SignInFailed("It failed."),
        hubkey.SignInRequired("Sign in.", "https://hubkey.example.org/start/x"),
        hubkey.InvalidArgument("scopes", ["x"], "expected less."),
        hubkey.InvalidArgumentType("scopes", 1, "expected names."),
    ],
)
def test_an_exception_keeps_its_attributes_between_processes(error: hubkey.HubkeyError) -> None:
    error.code, error.reference, error.retry_after = "a_code", REQUEST_ID, 3
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("kind", sorted(literal("ClientError.kind")))
@pytest.mark.parametrize("code", [None, "bad_request", "internal", "scope_not_allowed", "sign_in_required", "other"])
@pytest.mark.parametrize("title", ["", " ", "it broke"])
def test_a_failure_without_a_text_still_makes_whole_sentences(kind: str, code: str | None, title: str) -> None:
    error = public_error(client_error(kind, code, title=title))
    assert whole(error.reason if isinstance(error, hubkey.InvalidArgument) else str(error)), str(error)
    assert str(error).endswith(".")


def test_an_argument_without_a_reason_still_has_a_sentence() -> None:
    invalid = _hubkey.InvalidField()
    invalid.field, invalid.expected = "scopes", ""
    assert str(invalid_argument(invalid, "x")) == "scopes='x': expected another form."
    refused = refused_argument(client_error("refused", "token_lifetime_too_short"), "min_valid", 9)
    assert whole(refused.reason), refused
    assert "token_lifetime_too_short" in refused.reason


async def test_a_broker_that_says_nothing_is_quoted_with_its_code(broker: Broker) -> None:
    broker.fault("POST /v1/sign-ins", problem(403, "shared_server", "", ""))
    with pytest.raises(hubkey.AccessRefused, match=r"gave no reason \(shared_server\)\. Tell the operator"):
        await hubkey.connect("lab-api", interactive=True)
