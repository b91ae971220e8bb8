"""A connection's token stays fresh, and what happens when it cannot."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import httpx
import hubkey
import pytest
import requests
from hubkey._notebook.frontend import Frontend
from hubkey._tokens import cache
from scripted_broker import TICKET, Broker, problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Api

DRAW = "POST /v1/connections/"
DOWN = problem(503, "store_unavailable", "Down.", "Wait.")
BUSY = problem(503, "refresh_in_progress", "The token is being refreshed.", "Wait.")


class Clock:
    """Time that passes at once, for the broker and for the package."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        wall, monotonic = time.time, cache._now
        monkeypatch.setattr(time, "time", lambda: wall() + self.ahead)
        monkeypatch.setattr("hubkey._tokens.cache._now", lambda: monotonic() + self.ahead)

    def pass_(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubkey._tokens.cache._TIMEOUT", 0.2)


@pytest.fixture
async def lab(broker: Broker) -> hubkey.Connection:
    broker.token_seconds = 300
    broker.connect()
    return await hubkey.connect("lab-api")


def only(broker: Broker) -> dict[str, Any]:
    return next(iter(broker.connections.values()))


def token(broker: Broker, number: int) -> str:
    return broker.access_token(only(broker), number)


def wait_for(condition: Callable[[], object]) -> None:
    ends = time.perf_counter() + 5
    while not condition():
        assert time.perf_counter() < ends, "it did not happen in time"
        time.sleep(0.01)


def test_feature_f1_a_token_is_kept_in_memory(broker: Broker, lab: hubkey.Connection) -> None:
    for _ in range(100):
        assert lab.token == token(broker, 0)
    assert broker.calls("POST", "/v1/connections/.*") == []


def test_feature_f1_a_token_near_its_end_is_fetched_anew_in_the_background(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
) -> None:
    before, broker.token_seconds = lab.expires_at, 900
    clock.pass_(260)
    assert lab.token == token(broker, 0), "what is still valid is given at once"
    wait_for(lambda: lab.token == token(broker, 1))
    assert cast("Any", lab.expires_at) > before
    for _ in range(100):
        assert lab.token == token(broker, 1)
    assert broker.drawn == 1


def test_feature_f1_expires_at_is_that_of_the_newest_token(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
) -> None:
    before, broker.token_seconds = lab.expires_at, 900
    clock.pass_(260)
    _ = lab.headers
    wait_for(lambda: cast("Any", lab.expires_at) > before)


@pytest.mark.parametrize("ahead", [-86400, -7200, 7200, 86400])
async def test_found_d1_a_broker_with_another_clock_is_asked_no_more_often(broker: Broker, ahead: int) -> None:
    broker.token_seconds, broker.clock_ahead = 300, ahead
    broker.connect()
    lab = await hubkey.connect("lab-api")
    for _ in range(20):
        assert lab.token == token(broker, 0)
        assert await lab.aget_token(min_valid=200) == token(broker, 0)
    assert broker.drawn == 0
    left = cast("Any", lab.expires_at).timestamp() - time.time()
    assert 297 <= left <= 301, "by the kernel's own clock"
    listed = cast("Any", (await hubkey.connections())[0].expires_at).timestamp() - time.time()
    assert 297 <= listed <= 301


@pytest.mark.parametrize("ahead", [-86400, 7200])
async def test_found_d1_the_token_of_a_sign_in_counts_from_its_answer(broker: Broker, ahead: int) -> None:
    broker.token_seconds, broker.clock_ahead = 300, ahead
    waiting = asyncio.ensure_future(hubkey.connect("lab-api", interactive=True))
    await asyncio.to_thread(broker.wait_until, lambda: broker.calls("GET", "/v1/sign-ins/.*"))
    broker.end("connected")
    lab = await waiting
    assert lab.token == token(broker, 0)
    assert broker.drawn == 0
    left = cast("Any", lab.expires_at).timestamp() - time.time()
    assert 296 <= left <= 302


@pytest.mark.parametrize("set_", [-86400, 86400])
def test_found_d1_a_clock_that_is_set_while_a_token_lives_has_no_say(
    broker: Broker, lab: hubkey.Connection, monkeypatch: pytest.MonkeyPatch, set_: int
) -> None:
    wall, monotonic = time.time, cache._now
    monkeypatch.setattr(time, "time", lambda: wall() + set_)
    broker.clock_ahead = -set_
    assert lab.token == token(broker, 0)
    assert broker.drawn == 0
    # And the token ends when it ends.
    monkeypatch.setattr("hubkey._tokens.cache._now", lambda: monotonic() + 301)
    assert lab.token == token(broker, 1)
    assert broker.drawn == 1


def test_feature_f1_an_ended_token_is_waited_for(broker: Broker, lab: hubkey.Connection, clock: Clock) -> None:
    for round_ in (1, 2, 3):
        clock.pass_(301)
        assert lab.token == token(broker, round_)
        assert broker.drawn == round_


def test_feature_f3_threads_that_meet_an_ended_token_ask_once(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
) -> None:
    clock.pass_(301)
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(lab.token)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [token(broker, 1)] * 20
    assert broker.drawn == 1


def with_requests(url: str, auth: Any) -> None:
    requests.get(url, auth=auth, timeout=5)


def with_httpx(url: str, auth: Any) -> None:
    httpx.get(url, auth=auth, timeout=5)


@pytest.mark.parametrize("call", [with_requests, with_httpx])
async def test_need_15_libraries_get_the_fresh_token(broker: Broker, api: Api, clock: Clock, call: Any) -> None:
    broker.api_origins = [api.url]
    broker.connect()
    lab = await hubkey.connect("lab-api")
    for _ in range(3):
        call(api.url, lab)
        clock.pass_(901)
    assert api.received == [f"Bearer {token(broker, number)}" for number in range(3)]


async def test_feature_f6_aget_token_asks_only_if_less_is_left(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
) -> None:
    assert await lab.aget_token(min_valid=250) == token(broker, 0)
    clock.pass_(100)
    assert await lab.aget_token() == token(broker, 0)
    assert await lab.aget_token(min_valid=150) == token(broker, 0)
    assert broker.drawn == 0
    assert await lab.aget_token(min_valid=250) == token(broker, 1)
    assert broker.calls("POST", "/v1/connections/.*")[-1].body == {"min_valid_seconds": 250}


def test_feature_f6_get_token_asks_only_if_less_is_left(broker: Broker, lab: hubkey.Connection, clock: Clock) -> None:
    assert lab.get_token(min_valid=250) == token(broker, 0)
    clock.pass_(100)
    assert lab.get_token() == lab.get_token(min_valid=150) == token(broker, 0)
    assert broker.drawn == 0
    assert lab.get_token(min_valid=250) == token(broker, 1)
    assert broker.calls("POST", "/v1/connections/.*")[-1].body == {"min_valid_seconds": 250}


async def test_need_5_aget_token_leaves_the_event_loop_free(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock.pass_(301)
    answer = broker.token

    def slow(identity: str, min_valid: int) -> Any:
        time.sleep(0.3)
        return answer(identity, min_valid)

    monkeypatch.setattr(broker, "token", slow)
    task = asyncio.ensure_future(lab.aget_token())
    turns = 0
    while not task.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert await task == token(broker, 1)
    assert turns > 10


@pytest.mark.parametrize("value", ["60", True, -1, float("inf"), float("nan")])
async def test_feature_a5_a_min_valid_that_cannot_work_is_named(lab: hubkey.Connection, value: Any) -> None:
    with pytest.raises(hubkey.InvalidArgument, match="min_valid="):
        await lab.aget_token(min_valid=value)
    with pytest.raises(hubkey.InvalidArgument, match="min_valid="):
        lab.get_token(min_valid=value)


async def test_feature_f6_a_min_valid_beyond_what_is_possible_is_said(broker: Broker, lab: hubkey.Connection) -> None:
    with pytest.raises(hubkey.InvalidArgument, match=r"min_valid=9000: The token ends earlier\. Ask for less\."):
        await lab.aget_token(min_valid=9000)
    with pytest.raises(hubkey.InvalidArgument, match=r"min_valid=9000: The token ends earlier\. Ask for less\."):
        lab.get_token(min_valid=9000)
    assert lab.token == token(broker, 0)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("fault", [DOWN, BUSY, "cut"])
def test_need_14_a_token_that_is_still_valid_is_given_when_there_is_no_other(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
    fault: Any,
) -> None:
    for _ in range(30):
        broker.fault(DRAW, fault)
    clock.pass_(297)
    assert lab.token == token(broker, 0)
    broker.faults.clear()
    assert lab.token == token(broker, broker.drawn)
    assert broker.drawn > 0


@pytest.mark.usefixtures("hasty")
def test_need_14_the_background_tries_again_and_tells_nobody(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
) -> None:
    broker.fault(DRAW, problem(502, "provider_misconfigured", "Refused.", "Tell the operator."))
    clock.pass_(260)
    assert lab.token == token(broker, 0)
    wait_for(lambda: not broker.faults)
    clock.pass_(10)
    assert lab.token == token(broker, 0)
    wait_for(lambda: lab.token == token(broker, 1))


@pytest.mark.usefixtures("hasty")
def test_feature_f5_an_ended_token_with_the_broker_down_says_so(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
) -> None:
    for _ in range(30):
        broker.fault(DRAW, DOWN)
    clock.pass_(301)
    with pytest.raises(hubkey.BrokerUnavailable, match=r"Down\. Wait\."):
        _ = lab.token


def test_feature_f5_a_provider_that_refuses_hubkey_is_the_operators_matter(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
) -> None:
    broker.fault(DRAW, problem(502, "provider_misconfigured", "Refused.", "Tell the operator."))
    clock.pass_(301)
    with pytest.raises(hubkey.AccessRefused, match=r"Refused\. Tell the operator\."):
        _ = lab.token


def gone(broker: Broker) -> None:
    broker.connections.clear()


USES = {
    "token": lambda lab: lab.token,
    "headers": lambda lab: lab.headers,
    "aget_token": lambda lab: asyncio.run(lab.aget_token()),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_feature_f5_nothing_is_given_when_the_grant_is_gone(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
    use: Any,
) -> None:
    gone(broker)
    clock.pass_(301)
    with pytest.raises(hubkey.SignInRequired, match=r"has ended at .* `await hubkey\.connect\('lab-api'\)`") as caught:
        use(lab)
    # Nobody is there to click.
    assert caught.value.sign_in_url is None
    assert broker.sign_ins == {}


def test_security_r9_one_link_however_many_ask(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Frontend, "current", lambda: Frontend.TERMINAL)
    gone(broker)
    clock.pass_(301)
    urls = set()
    for _ in range(50):
        with pytest.raises(hubkey.SignInRequired) as caught:
            _ = lab.token
        urls.add(caught.value.sign_in_url)
        assert TICKET not in str(caught.value) + repr(caught.value)
    assert len(broker.sign_ins) == 1
    assert [TICKET in str(url) for url in urls] == [True]
    assert capsys.readouterr().err.count(TICKET) == 1


def test_feature_f5_after_the_sign_in_the_same_connection_goes_on(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Frontend, "current", lambda: Frontend.TERMINAL)
    gone(broker)
    clock.pass_(301)
    with pytest.raises(hubkey.SignInRequired):
        _ = lab.token
    broker.end("connected")
    assert lab.token == token(broker, 0)
    assert "✓ Lab API as" in capsys.readouterr().err


def test_security_b8_another_account_does_not_take_over_a_connection(
    broker: Broker,
    lab: hubkey.Connection,
    clock: Clock,
) -> None:
    gone(broker)
    clock.pass_(301)
    broker.connect()["account"]["sub"] = "0002"
    with pytest.raises(hubkey.SignInRequired):
        _ = lab.token


async def test_feature_e6_sign_out_ends_the_access(broker: Broker, lab: hubkey.Connection) -> None:
    await lab.sign_out()
    assert broker.connections == {}
    for use in (lambda: lab.token, lambda: lab.headers):
        with pytest.raises(hubkey.SignInRequired, match=r"You signed out of Lab API\. Run `await hubkey\.connect"):
            use()
    with pytest.raises(hubkey.SignInRequired):
        await lab.aget_token()
    await lab.sign_out()
    with pytest.raises(hubkey.SignInRequired):
        await hubkey.connect("lab-api")


async def test_feature_e6_a_sign_out_that_did_not_arrive_is_none(broker: Broker, lab: hubkey.Connection) -> None:
    broker.fault("DELETE /v1/connections/", problem(500, "internal", "A fault.", "Tell the operator."))
    with pytest.raises(hubkey.BrokerUnavailable):
        await lab.sign_out()
    assert lab.token == token(broker, 0)
