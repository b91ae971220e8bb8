"""`connect()` in plain Python, against a broker that does what the test says."""

from __future__ import annotations

import asyncio
import re
import sys
import time
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import hubkey
import pytest
from scripted_broker import POLL_SECRET, REFERENCE, REQUEST_ID, SERVER_TOKEN, TICKET, Broker, problem

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def finishing(broker: Broker, connecting: Awaitable[Any], state: str = "connected", **how: Any) -> Any:
    """Let a person finish (or not) the sign-in that `connecting` opens."""
    task = asyncio.ensure_future(connecting)
    while not broker.calls("GET", "/v1/sign-ins/.*") and not task.done():  # noqa: ASYNC110 - another thread does it
        await asyncio.sleep(0.02)
    if broker.sign_ins:
        broker.end(state, **how)
    return await asyncio.wait_for(task, 20)


async def test_feature_a1_one_awaited_call_gives_the_token(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    lab = await finishing(broker, hubkey.connect("lab-api", interactive=True))
    connection = next(iter(broker.connections.values()))
    assert lab.token == broker.access_token(connection)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"start/{TICKET}" in shown.err
    assert "✓ Lab API as alice.liddell@lab.example" in shown.err
    assert broker.sign_ins[next(iter(broker.sign_ins))]["acknowledged"]


async def test_feature_a2_every_setting_is_an_argument(broker: Broker) -> None:
    await finishing(
        broker,
        hubkey.connect(
            "lab-api",
            scopes=["b", "a"],
            audience="lab",
            resource="https://lab.example",
            timeout=20,
            interactive=True,
        ),
    )
    body = broker.calls("POST", "/v1/sign-ins")[0].body
    assert body == {
        "provider": "lab-api",
        "scopes": ["a", "b"],
        "audience": "lab",
        "resource": "https://lab.example",
        "interactive": True,
    }


async def test_feature_a2_an_unknown_argument_is_named(broker: Broker) -> None:
    with pytest.raises(hubkey.InvalidArgumentType, match=r"scope=\['a'\].*Did you mean 'scopes'") as caught:
        await hubkey.connect("lab-api", scope=["a"])  # type: ignore[arg-type]
    assert isinstance(caught.value, TypeError)
    assert caught.value.field == "scope"
    assert broker.seen == []


async def test_feature_a3_the_environment_alone_is_enough(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.providers = ("lab-api", "other")
    monkeypatch.setenv("HUBKEY_PROVIDER", "other")
    monkeypatch.setenv("HUBKEY_INTERACTIVE", "1")
    monkeypatch.setenv("HUBKEY_TIMEOUT", "30")
    assert (await finishing(broker, hubkey.connect())).provider == "other"


DOTENV = """
HUBKEY_PROVIDER=other
HUBKEY_INTERACTIVE=1
HUBKEY_TIMEOUT=30
"""


def load_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the environment as python-dotenv does."""
    for line in DOTENV.split():
        monkeypatch.setenv(*line.split("="))


@pytest.mark.parametrize(("arguments", "provider"), [({}, "other"), ({"provider": "lab-api"}, "lab-api")])
async def test_feature_a4_an_argument_wins_over_its_variable(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], provider: str
) -> None:
    load_dotenv(monkeypatch)
    broker.providers = ("lab-api", "other")
    assert (await finishing(broker, hubkey.connect(**arguments))).provider == provider


async def test_feature_a4_arguments_about_waiting_win_too(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    load_dotenv(monkeypatch)
    with pytest.raises(hubkey.SignInRequired):
        await hubkey.connect("lab-api", interactive=False)
    began = time.monotonic()
    with pytest.raises(hubkey.SignInTimeout):
        await hubkey.connect("lab-api", timeout=1)
    assert 0.9 < time.monotonic() - began < 10


async def test_feature_a3_the_only_provider_needs_no_name(broker: Broker) -> None:
    assert (await finishing(broker, hubkey.connect(interactive=True))).provider == "lab-api"


@pytest.mark.parametrize(
    ("arguments", "field", "said"),
    [
        ({"provider": "Lab API"}, "provider", "a to z"),
        ({"provider": 7}, "provider", "expected text, not int"),
        ({"provider": " "}, "provider", "not empty"),
        ({"scopes": ["a b"]}, "scopes", "expected a scope"),
        ({"scopes": []}, "scopes", "expected at least one scope; leave it out"),
        ({"scopes": " "}, "scopes", "expected at least one scope; leave it out"),
        ({"scopes": [1]}, "scopes", "expected text, not int"),
        ({"scopes": 5}, "scopes", "expected names"),
        ({"audience": ""}, "audience", "not empty"),
        ({"resource": b"x"}, "resource", "expected text, not bytes"),
        ({"timeout": 0}, "timeout", "more than 0"),
        ({"timeout": "5"}, "timeout", "number of seconds"),
        ({"timeout": True}, "timeout", "number of seconds"),
        ({"interactive": "maybe"}, "interactive", "expected True, False or 'auto'"),
    ],
)
async def test_feature_a5_a_bad_value_is_named_before_anything_is_opened(
    broker: Broker,
    arguments: dict[str, Any],
    field: str,
    said: str,
) -> None:
    with pytest.raises(hubkey.InvalidArgument, match=said) as caught:
        await hubkey.connect(**arguments, **({} if "interactive" in arguments else {"interactive": True}))
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}=")
    assert isinstance(caught.value, ValueError)
    assert broker.seen == []


async def test_feature_a5_an_unknown_provider_is_named_with_those_that_exist(broker: Broker) -> None:
    broker.providers = ("lab-api", "catalogue")
    with pytest.raises(hubkey.InvalidArgument, match=r"provider='lab-ap1'.*'lab-api'\? Known here: 'lab-api'"):
        await hubkey.connect("lab-ap1", interactive=True)
    with pytest.raises(hubkey.InvalidArgument, match=r"provider=None: Several .*'lab-api', 'catalogue'"):
        await hubkey.connect(interactive=True)
    assert broker.sign_ins == {}


async def test_feature_a5_a_scope_outside_the_list_is_named(broker: Broker) -> None:
    broker.fault("POST /v1/sign-ins", problem(400, "scope_not_allowed", "Not allowed: admin.", "Ask for less."))
    with pytest.raises(hubkey.InvalidArgument, match=r"scopes=\('admin',\): Not allowed: admin. Ask for less."):
        await hubkey.connect("lab-api", scopes="admin", interactive=True)


async def test_feature_a5_every_wrong_variable_is_named_at_once(
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HUBKEY_URL", "http://broker.example")
    monkeypatch.setenv("HUBKEY_CA_FILE", "/does/not/exist")
    monkeypatch.setenv("HUBKEY_TIMEOUT", "soon")
    monkeypatch.setenv("HUBKEY_INTERACTIVE", "perhaps")
    with pytest.raises(hubkey.ConfigurationError) as caught:
        await hubkey.connect("lab-api")
    for name in ("HUBKEY_URL", "HUBKEY_CA_FILE", "HUBKEY_TIMEOUT", "HUBKEY_INTERACTIVE"):
        assert f"\n{name}=" in str(caught.value)
    assert broker.seen == []


async def test_feature_a12_two_audiences_at_once_never_mix(broker: Broker) -> None:
    one, two = (hubkey.connect("lab-api", audience=name, interactive=True) for name in ("one", "two"))
    tasks = [asyncio.ensure_future(one), asyncio.ensure_future(two)]
    await asyncio.to_thread(broker.wait_until, lambda: len(broker.calls("GET")) >= 2)
    for nonce in reversed(list(broker.sign_ins)):
        broker.end("connected", nonce=nonce)
    first, second = await asyncio.gather(*tasks)
    assert "-one-" in first.token
    assert "-two-" in second.token


async def test_feature_a13_a_connection_that_exists_is_given_at_once_in_silence(
    broker: Broker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker.connect()
    began = time.monotonic()
    await hubkey.connect("lab-api")
    assert time.monotonic() - began < 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("missing", ["HUBKEY_URL", "JUPYTERHUB_API_TOKEN"])
async def test_feature_a15_without_a_hub_the_refusal_says_what_to_do(
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(hubkey.NotOnJupyterHub, match=rf"{missing} is not set\. (Ask|Open) "):
        await hubkey.connect("lab-api")
    assert broker.seen == []


async def test_feature_b14_a_process_that_nobody_watches_opens_no_sign_in(broker: Broker) -> None:
    with pytest.raises(hubkey.SignInRequired, match="a process that nobody watches"):
        await hubkey.connect("lab-api")
    assert broker.sign_ins == {}
    assert broker.calls("POST")[0].body["interactive"] is False


async def test_feature_k4_the_expiry_is_the_tokens_and_has_a_time_zone(broker: Broker) -> None:
    broker.connect()
    ends = (await hubkey.connect("lab-api")).expires_at
    assert ends is not None
    assert ends.utcoffset() is not None
    assert abs(ends.timestamp() - time.time() - broker.token_seconds) <= 2


async def test_feature_k5_the_scopes_are_those_granted(broker: Broker) -> None:
    broker.connect(scopes=["b", "a"])
    assert (await hubkey.connect("lab-api")).scopes == ("a", "b")


async def test_feature_k2_the_account_is_known(broker: Broker) -> None:
    broker.connect()
    account = (await hubkey.connect("lab-api")).account
    assert (account.sub, account.name, account.email) == ("0001", "Alice Liddell", "alice.liddell@lab.example")


async def test_feature_k6_waiting_ends_at_the_timeout(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    with pytest.raises(hubkey.SignInTimeout, match=r"within 2 seconds\. Run this again") as caught:
        await hubkey.connect("lab-api", timeout=2, interactive=True)
    assert 1.5 < time.monotonic() - began < 3
    assert isinstance(caught.value, TimeoutError)
    assert "not finished within 2 seconds" in capsys.readouterr().err
    assert broker.calls("DELETE") == []


async def test_feature_k7_finishing_late_is_found_by_the_next_call(broker: Broker) -> None:
    with pytest.raises(hubkey.SignInTimeout):
        await hubkey.connect("lab-api", timeout=1, interactive=True)
    broker.end("connected")
    began = time.monotonic()
    assert (await hubkey.connect("lab-api")).token
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("state", "reason", "error", "said"),
    [
        ("denied", None, hubkey.SignInDenied, "refused or cancelled in the browser"),
        ("expired", None, hubkey.SignInTimeout, "not finished"),
        ("failed", "access_denied", hubkey.SignInDenied, "did not let this account in"),
        ("failed", "provider_unavailable", hubkey.SignInFailed, "did not answer"),
        ("failed", "interaction_required", hubkey.SignInDenied, "in a tab of its own"),
        ("failed", "code_expired", hubkey.SignInFailed, "took too long"),
        ("failed", "not_offered", hubkey.SignInFailed, "does not offer"),
        ("failed", "hub_unavailable", hubkey.SignInFailed, "JupyterHub did not say"),
        ("failed", "store_unavailable", hubkey.SignInFailed, "could not be stored"),
        ("failed", "provider_protocol_error", hubkey.SignInFailed, "tell the operator"),
        ("failed", "provider_misconfigured", hubkey.SignInFailed, "Tell the operator"),
        ("failed", "not_supported", hubkey.SignInFailed, "not supported here. Tell the operator"),
        ("failed", "cookies_too_long", hubkey.SignInFailed, "cookies"),
        ("failed", "answer_too_long", hubkey.SignInFailed, "longer than hubkey takes"),
        ("failed", "outcome_unknown", hubkey.SignInFailed, "outcome is not known"),
        ("failed", "owner_unreadable", hubkey.SignInFailed, "operator of this JupyterHub was told"),
    ],
)
async def test_need_3_failures_are_told_where_the_person_looks(
    broker: Broker,
    capsys: pytest.CaptureFixture[str],
    state: str,
    reason: str | None,
    error: type[hubkey.HubkeyError],
    said: str,
) -> None:
    with pytest.raises(error, match=said) as caught:
        await finishing(broker, hubkey.connect("lab-api", interactive=True), state, reason=reason)
    assert caught.value.code == reason
    for_operator = "Tell the operator of this JupyterHub; running this again does not help before."
    assert "the cell" not in str(caught.value), "this runs in no notebook"
    assert for_operator in str(caught.value) or "run this again" in str(caught.value).lower()
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("reason", ["provider_misconfigured", "code_expired", "not_supported"])
async def test_found_h9_the_cell_names_the_reference_of_the_page(
    broker: Broker, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    with pytest.raises(hubkey.SignInFailed, match=f"Reference: {REFERENCE}") as caught:
        await finishing(broker, hubkey.connect("lab-api", interactive=True), "failed", reason=reason)
    assert caught.value.reference == REFERENCE
    assert f"Reference: {REFERENCE}." in capsys.readouterr().err


async def test_found_h9_what_only_the_operator_can_mend_names_the_request(broker: Broker) -> None:
    broker.fault("POST /v1/sign-ins", problem(502, "provider_misconfigured", "Refused.", "Tell the operator."))
    with pytest.raises(hubkey.AccessRefused, match=f"Tell the operator. Reference: {REQUEST_ID}.$"):
        await hubkey.connect("lab-api", interactive=True)
    broker.fault("POST /v1/sign-ins", problem(429, "too_many_sign_ins", "Away.", "Wait."))
    with pytest.raises(hubkey.BrokerUnavailable, match=r"^Away\. Wait\.$"):
        await hubkey.connect("lab-api", interactive=True)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("not_a_server_token", 403, hubkey.AccessRefused),
        ("shared_server", 403, hubkey.AccessRefused),
        ("too_many_sign_ins", 429, hubkey.BrokerUnavailable),
        ("internal", 500, hubkey.BrokerUnavailable),
        ("bad_request", 400, hubkey.HubkeyError),
        ("a_code_of_tomorrow", 400, hubkey.HubkeyError),
    ],
)
async def test_need_3_a_refusal_of_the_broker_keeps_its_sentences(
    broker: Broker,
    code: str,
    status: int,
    error: type[Exception],
) -> None:
    broker.fault("POST /v1/sign-ins", problem(status, code, "This happened.", "Do that."))
    with pytest.raises(error, match=r"This happened\. Do that\."):
        await hubkey.connect("lab-api", interactive=True)


async def test_need_5_the_event_loop_goes_on_while_a_person_signs_in(broker: Broker) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    counting = asyncio.ensure_future(count())
    with pytest.raises(hubkey.SignInTimeout):
        await hubkey.connect("lab-api", timeout=1, interactive=True)
    counting.cancel()
    assert turns > 50


async def test_need_13_cancelling_ends_the_wait_and_the_sign_in(
    broker: Broker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    task = asyncio.ensure_future(hubkey.connect("lab-api", interactive=True))
    await asyncio.to_thread(broker.wait_until, lambda: broker.calls("GET"))
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 1
    assert "cancelled" in capsys.readouterr().err
    await asyncio.to_thread(broker.wait_until, lambda: broker.calls("DELETE"))


async def test_security_r16_an_answer_that_broke_off_is_fetched_again(broker: Broker) -> None:
    broker.hold = 0.2
    broker.fault("GET /v1/sign-ins/", "cut")
    broker.fault("POST /v1/sign-ins", "cut")
    assert (await finishing(broker, hubkey.connect("lab-api", interactive=True))).token
    assert len(broker.sign_ins) == 1


async def test_security_r17_a_newer_poll_ends_the_older_with_a_sentence(broker: Broker) -> None:
    broker.fault("GET /v1/sign-ins/", problem(409, "superseded", "Taken over.", "Wait there."))
    with pytest.raises(hubkey.SignInFailed, match="Another call took over"):
        await hubkey.connect("lab-api", interactive=True)


async def test_security_r18_a_lost_acknowledgement_is_repeated_and_changes_nothing(broker: Broker) -> None:
    broker.fault("POST /v1/sign-ins/sign", problem(503, "overloaded", "Busy.", "Wait.", retry_after=0))
    assert (await finishing(broker, hubkey.connect("lab-api", interactive=True))).token
    assert len(broker.calls("POST", "/v1/sign-ins/.*/ack")) == 2


async def test_security_r19_a_repeated_creation_carries_the_same_key(broker: Broker) -> None:
    broker.fault("POST /v1/sign-ins", problem(503, "store_unavailable", "Busy.", "Wait.", retry_after=1))
    broker.fault("POST /v1/sign-ins", problem(429, "rate_limited", "Busy.", "Wait."))
    await finishing(broker, hubkey.connect("lab-api", interactive=True))
    keys = [seen.headers["idempotency-key"] for seen in broker.calls("POST", "/v1/sign-ins")]
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_security_r19_two_calls_have_two_keys(broker: Broker) -> None:
    for _ in range(2):
        with pytest.raises(hubkey.SignInRequired):
            await hubkey.connect("lab-api", interactive=False)
    one, two = (seen.headers["idempotency-key"] for seen in broker.calls("POST"))
    assert one != two


@pytest.mark.parametrize("fault", ["redirect", "html", "unreachable", "wrong token", "scope", "denied"])
async def test_security_l3_errors_hold_no_secret_and_no_query(
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    if fault == "redirect":
        broker.fault("POST /v1/sign-ins", (302, "http://127.0.0.1:1/?leak=canary"))
    if fault == "html":
        broker.fault("POST /v1/sign-ins", (200, "<html>canary</html>"))
    if fault == "unreachable":
        monkeypatch.setenv("HUBKEY_URL", "http://127.0.0.1:1")
        monkeypatch.setattr("hubkey._sign_in.connect._TIMEOUT", 0.5)
    if fault == "wrong token":
        monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "canary-wrong-token-0123456789")
    if fault == "scope":
        broker.fault("POST /v1/sign-ins", problem(400, "scope_not_allowed", "No.", "Ask for less."))
    with pytest.raises(hubkey.HubkeyError) as caught:
        await finishing(broker, hubkey.connect("lab-api", interactive=True), "denied")
    shown = [str(caught.value), repr(caught.value), repr(vars(caught.value))]
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame for frame in frames if "/hubkey/_" in frame.filename]
    assert ours
    shown += [str(frame.locals) for frame in ours]
    for secret in (SERVER_TOKEN, POLL_SECRET, TICKET, "canary", "leak="):
        assert secret not in "".join(shown), fault
    assert caught.value.__cause__ is None


def trace_of(broker: Broker) -> tuple[set[str], set[str]]:
    """What the calls of a `connect()` said of their trace."""
    headers = [{name.lower(): value for name, value in seen.headers.items()} for seen in broker.seen]
    return {each.get("traceparent", "") for each in headers}, {each.get("tracestate", "") for each in headers}


async def test_all_calls_of_one_connect_are_one_span(broker: Broker) -> None:
    await finishing(broker, hubkey.connect("lab-api", interactive=True))
    assert len(broker.seen) >= 3
    (first,), states = trace_of(broker)
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", first)
    assert states == {"hubkey=" + 16 * "0"}
    broker.seen.clear()
    broker.connections.clear()
    await finishing(broker, hubkey.connect("lab-api", interactive=True))
    (second,), _ = trace_of(broker)
    assert first.split("-")[1] != second.split("-")[1]


async def test_a_token_that_is_drawn_later_is_no_part_of_the_connect(broker: Broker) -> None:
    broker.connect()
    lab = await hubkey.connect("lab-api")
    broker.seen.clear()
    broker.token_seconds = 20_000
    await lab.aget_token(min_valid=10_000)
    assert trace_of(broker)[0] == {""}


@pytest.mark.parametrize("flags", [0, 1])
async def test_the_notebooks_own_active_span_is_above_the_connect(
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    flags: int,
) -> None:
    context = SimpleNamespace(trace_id=0xABC, span_id=0xDEF, trace_flags=flags, is_valid=True)
    span = SimpleNamespace(get_span_context=lambda: context)
    api = SimpleNamespace(get_current_span=lambda: span)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", api)
    broker.connect()
    await hubkey.connect("lab-api")
    (parent,), states = trace_of(broker)
    assert re.fullmatch(f"00-{0xABC:032x}-[0-9a-f]{{16}}-{flags:02x}", parent)
    assert states == {f"hubkey={0xDEF:016x}"}
    context.is_valid = False
    broker.seen.clear()
    await hubkey.connect("lab-api")
    (parent,), states = trace_of(broker)
    assert f"{0xABC:032x}" not in parent
    assert states == {"hubkey=" + 16 * "0"}
