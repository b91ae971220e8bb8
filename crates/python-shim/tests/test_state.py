"""What a connection tells of itself, and `connect_sync`."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import hubkey
import pytest
from hubkey._tokens.jwt import inspect_token
from notebook import Notebook
from scripted_broker import TICKET, Broker

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
async def lab(broker: Broker) -> hubkey.Connection:
    broker.connect()
    return await hubkey.connect("lab-api")


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(header: object, claims: object) -> str:
    return f"{part(header)}.{part(claims)}.c2lnbmF0dXJl"


def test_feature_e4_a_jwt_is_read_and_said_to_be_unverified() -> None:
    token = jwt({"alg": "RS256", "kid": "k"}, {"sub": "alice", "exp": 1})
    seen = inspect_token(token)
    assert (seen.is_jwt, seen.header, seen.claims) == (True, {"alg": "RS256", "kid": "k"}, {"sub": "alice", "exp": 1})
    assert "NOT verified" in repr(seen)
    assert '"sub": "alice"' in repr(seen)
    assert not [piece for piece in token.split(".") if piece in repr(seen)]


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "a.b.c",
        "..",
        "",
        jwt([], {}),
        jwt({"alg": "RS256"}, [1]),
        jwt({}, {"sub": "x"}),
        f"{part({'alg': 'x'})}.{base64.urlsafe_b64encode(b'[' * 30_000).decode()}.x",
        f"{part({'alg': 'x'})}.{base64.urlsafe_b64encode(bytes([255])).decode()}.x",
        "ä.ä.ä",
        "a." * 60_000,
    ],
)
def test_feature_e4_whatever_is_no_jwt_is_opaque(token: str) -> None:
    seen = inspect_token(token)
    assert (seen.is_jwt, seen.header, seen.claims) == (False, None, None)
    assert "Opaque token" in repr(seen)


def test_feature_e4_what_a_claim_says_cannot_steer_the_terminal() -> None:
    seen = inspect_token(jwt({"alg": "x"}, {"sub": "\x1b[2J\u202e"}))
    assert repr(seen).isascii()
    assert "\x1b" not in repr(seen)


def test_feature_e4_inspect_asks_nobody_and_shows_no_token(broker: Broker, lab: hubkey.Connection) -> None:
    before = len(broker.seen)
    assert not lab.inspect().is_jwt
    assert "canary" not in repr(lab.inspect())
    assert len(broker.seen) == before


def test_feature_k3_userinfo_is_the_providers_document(broker: Broker, lab: hubkey.Connection) -> None:
    assert lab.userinfo() == {"sub": "0001", "picture": '"><script>'}
    broker.connections.clear()
    with pytest.raises(hubkey.SignInRequired, match="has ended"):
        lab.userinfo()


def test_feature_k12_status_tells_both_views_and_no_token(broker: Broker, lab: hubkey.Connection) -> None:
    status = lab.status()
    assert (status.provider, status.broker, status.scopes) == ("lab-api", "connected", ("projects:read",))
    assert status.account == lab.account
    assert status.expires_at == lab.expires_at
    assert abs((cast("Any", status.broker_expires_at) - lab.expires_at).total_seconds()) <= 2
    assert "canary" not in repr(status)
    for line in ("provider:    lab-api (Lab API)", "broker:      connected", "scopes:      projects:read"):
        assert line in repr(status).splitlines()
    broker.connections.clear()
    assert lab.status().broker == "ended"


async def test_feature_k12_status_after_a_sign_out_and_without_a_broker(
    broker: Broker, lab: hubkey.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubkey._connections.connection._TIMEOUT", 0.2)
    for _ in range(20):
        broker.fault("GET /v1/connections", "cut")
    assert lab.status().broker == "unreachable"
    broker.faults.clear()
    await lab.sign_out()
    assert lab.status().broker == "signed out"


def test_need_12_connect_sync_in_a_script(broker: Broker) -> None:
    broker.connect()
    assert hubkey.connect_sync("lab-api").token
    with pytest.raises(hubkey.InvalidArgument, match="scopes="):
        hubkey.connect_sync("lab-api", scopes=[""])


def test_need_12_connect_sync_without_a_person_raises_at_once(broker: Broker) -> None:
    with pytest.raises(hubkey.SignInRequired, match="needs a sign-in"):
        hubkey.connect_sync("lab-api")


async def test_need_5_connect_sync_refuses_to_stop_an_event_loop(broker: Broker) -> None:
    broker.connect()
    with pytest.raises(hubkey.HubkeyError, match=r"Use `await hubkey\.connect"):
        hubkey.connect_sync("lab-api")
    # What the message advises works.
    assert (await asyncio.to_thread(hubkey.connect_sync, "lab-api")).token


def test_need_13_ctrl_c_ends_connect_sync_and_cancels_the_sign_in(broker: Broker) -> None:
    # What a shell runs in its background ignores Ctrl-C, and so does all that it starts.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heard}; import hubkey; hubkey.connect_sync('lab-api', interactive=True)"
    script = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    broker.wait_until(lambda: broker.calls("GET", "/v1/sign-ins/.*"), 30)
    began = time.monotonic()
    script.send_signal(signal.SIGINT)
    _, said = script.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert said.rstrip().endswith("the sign-in was cancelled. Run this again for a new link."), "and nothing else"
    broker.wait_until(lambda: broker.calls("DELETE"))


@pytest.fixture
def notebook(broker: Broker) -> Iterator[Notebook]:
    del broker  # set the environment that the kernel inherits
    notebook = Notebook(dict(os.environ))
    yield notebook
    notebook.close()


SYNC = "import hubkey\nlab = hubkey.connect_sync('lab-api')\nprint(len(lab.token) > 9)"


def waiting(notebook: Notebook, broker: Broker) -> Any:
    cell = notebook.start(SYNC)
    cell.until(lambda: cell.html and broker.calls("GET", "/v1/sign-ins/.*"))
    return cell


def test_need_5_connect_sync_in_a_kernel_shows_the_card_and_goes_on(notebook: Notebook, broker: Broker) -> None:
    cell = waiting(notebook, broker)
    assert TICKET in cell.html[0]
    broker.end("connected")
    cell.finish()
    assert cell.text == "True\n"
    assert len(cell.html) == 1
    assert TICKET not in cell.html[0]
    # A cell that awaits could not be stopped while this waits.
    cell = notebook.run(f"import asyncio\nawait asyncio.sleep(0)\n{SYNC}")
    assert "Use `await hubkey.connect" in cell.error.evalue


def test_feature_k6_stop_ends_connect_sync_in_a_kernel(notebook: Notebook, broker: Broker) -> None:
    cell = waiting(notebook, broker)
    time.sleep(0.5)
    notebook.interrupt()
    cell.finish(20)
    assert cell.error.ename == "KeyboardInterrupt"
    assert "the sign-in was cancelled" in cell.html[0]
    broker.wait_until(lambda: broker.calls("DELETE"))
    assert notebook.run("1").error is None
