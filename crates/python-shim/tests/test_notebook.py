"""`connect()` in a real kernel: what the person sees, and what the saved file holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from notebook import Cell, Notebook
from scripted_broker import POLL_SECRET, SERVER_TOKEN, TICKET, Broker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONNECT = "import hubkey\nlab = await hubkey.connect('lab-api')\nprint('the next line runs')"


@pytest.fixture
def notebook(broker: Broker) -> Iterator[Notebook]:
    del broker  # set the environment that the kernel inherits
    notebook = Notebook(dict(os.environ))
    yield notebook
    notebook.close()


def waiting(notebook: Notebook, broker: Broker, code: str = CONNECT) -> Cell:
    cell = notebook.start(code)
    cell.until(lambda: cell.html and broker.calls("GET", "/v1/sign-ins/.*"))
    return cell


def links(html: str) -> list[str]:
    return re.findall(r'<a [^>]*href="([^"]*)"', html)


def test_feature_b3_one_card_with_one_link_and_the_cell_goes_on(notebook: Notebook, broker: Broker) -> None:
    cell = waiting(notebook, broker)
    [card] = cell.html
    assert links(card) == [f"https://hub.example.org/services/hubkey/start/{TICKET}"]
    assert 'target="_blank" rel="noopener noreferrer"' in card
    assert "Sign in to Lab API" in card
    assert "Opens a new tab. This cell goes on by itself when you are done." in card
    assert "For alice only, for 5 minutes, until " in card
    plain = cell.outputs[0].data["text/plain"]
    assert f"Sign in to Lab API: https://hub.example.org/services/hubkey/start/{TICKET}" in plain
    broker.end("connected")
    cell.finish()
    [card] = cell.html
    assert links(card) == []
    assert "<strong>Lab API</strong> as alice.liddell@lab.example" in card
    assert "1 scope: projects:read" in card
    assert cell.text == "the next line runs\n"
    assert cell.error is None


def test_found_j9_a_card_that_is_saved_while_it_waits_tells_when_it_is_over(notebook: Notebook, broker: Broker) -> None:
    [card] = waiting(notebook, broker).html
    until = re.search(r"For alice only, for 5 minutes, until (\d{4}-\d\d-\d\d \d\d:\d\d) (\w+). The stop button", card)
    assert until is not None
    ends = datetime.strptime(until[1], "%Y-%m-%d %H:%M").astimezone()
    assert 200 < ends.timestamp() - time.time() <= 301


def test_need_11_the_card_has_no_script_and_loads_nothing(notebook: Notebook, broker: Broker) -> None:
    cell = waiting(notebook, broker)
    broker.end("connected")
    cell.finish()
    shown = "".join(cell.states)
    assert not re.search(r"<(script|iframe|img|link|style|form|object|embed)|\son\w+=|javascript:|var\(--", shown)


def test_feature_b2_nothing_but_the_link_opens_the_page(notebook: Notebook, broker: Broker) -> None:
    cell = waiting(notebook, broker)
    mime_types = {mime for output in cell.outputs for mime in output.data}
    assert mime_types == {"text/plain", "text/html"}
    broker.end("connected")
    cell.finish()


def test_feature_a13_again_and_nothing_is_shown(notebook: Notebook, broker: Broker) -> None:
    broker.connect()
    notebook.run("import hubkey")
    began = time.monotonic()
    cell = notebook.run(CONNECT)
    assert time.monotonic() - began < 1
    assert cell.html == []
    assert cell.text == "the next line runs\n"


def test_feature_a14_a_second_kernel_of_the_server_needs_no_link(notebook: Notebook, broker: Broker) -> None:
    cell = waiting(notebook, broker)
    broker.end("connected")
    cell.finish()
    second = Notebook(dict(os.environ))
    try:
        cell = second.run(f"{CONNECT}\nlen(lab.token)")
    finally:
        second.close()
    assert cell.error is None
    assert cell.html == []


def test_feature_k6_stop_works_within_a_second(notebook: Notebook, broker: Broker) -> None:
    cell = waiting(notebook, broker)
    time.sleep(1)
    began = time.monotonic()
    notebook.interrupt()
    cell.until(lambda: "the sign-in was cancelled" in cell.html[0], 5)
    assert time.monotonic() - began < 1
    cell.finish()
    assert links("".join(cell.html)) == []
    assert cell.text == ""
    broker.wait_until(lambda: broker.calls("DELETE"))
    # The kernel is unharmed, and the next try begins anew.
    waiting(notebook, broker)
    broker.end("connected")
    notebook.cells[-1].finish()
    assert notebook.cells[-1].text == "the next line runs\n"


def test_found_j5_stop_leaves_the_card_alone(notebook: Notebook, broker: Broker) -> None:
    for code in (CONNECT, "import hubkey\nhubkey.connect_sync('lab-api')"):
        cell = waiting(notebook, broker, code)
        time.sleep(1)
        broker.seen.clear()
        notebook.interrupt()
        cell.finish()
        assert "the sign-in was cancelled" in cell.html[0]
        assert "\n".join(cell.error.traceback).strip() == ""
        assert cell.text == ""


LAB = "import hubkey\nlab = await hubkey.connect('lab-api')\n"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("await hubkey.connect('lab-api', timeout=1)", "hubkey.SignInTimeout: Lab API: the sign-in was not finished"),
        ("await hubkey.connect('other')", "hubkey.InvalidArgument: provider='other': No provider of that id."),
        ("await hubkey.connect('lab-api', scopes=7)", "hubkey.InvalidArgumentType: scopes=7: expected names of scopes"),
        ("await hubkey.connect('lab-api', scope='x')", "hubkey.InvalidArgumentType: scope='x': connect() has no such"),
        ("await hubkey.connect(timeout=-1)", "hubkey.InvalidArgument: timeout=-1: expected more than 0 seconds"),
        ("hubkey.connect('lab-api').token", "hubkey.NotAwaited: This call was not awaited, so it has no 'token' yet."),
        ("import requests; requests.get('https://api.lab.example', auth=hubkey.connect())", "hubkey.NotAwaited: This"),
        ("call = hubkey.connections(); await call; await call", "hubkey.HubkeyError: This call was awaited before."),
        ("del os.environ['HUBKEY_URL']; await hubkey.connect()", "hubkey.NotOnJupyterHub: This JupyterHub does not"),
        ("os.environ['HUBKEY_URL'] = 'x'; await hubkey.connect()", "hubkey.ConfigurationError: "),
    ],
)
def test_found_j5_a_failure_in_a_cell_is_one_line(notebook: Notebook, broker: Broker, code: str, line: str) -> None:
    del broker
    cell = notebook.run(f"import os, hubkey\n{code}")
    shown = "\n".join(cell.error.traceback).splitlines()
    assert shown[0].startswith(line), shown
    assert len(shown) <= (3 if "ConfigurationError" in line else 1), "settings have a line for each mistake"
    whole = notebook.run("%tb")
    everything = whole.text + "".join("\n".join(output.get("traceback", [])) for output in whole.outputs)
    assert "Traceback" in everything
    assert len(everything.splitlines()) > 3


def test_found_j5_an_ended_connection_in_a_library_is_one_line(notebook: Notebook, broker: Broker) -> None:
    broker.token_seconds = 1
    broker.connect()
    notebook.run(LAB + "import httpx, time\nclient = httpx.Client(auth=lab)\ntime.sleep(1.1)")
    broker.connections.clear()
    cell = notebook.run("client.get('https://api.lab.example/x')")
    [shown] = "\n".join(cell.error.traceback).splitlines()
    assert shown.startswith("hubkey.SignInRequired: The access to Lab API has ended")


def test_found_j8_a_forgotten_await_is_told_where_its_value_is_looked_at(notebook: Notebook, broker: Broker) -> None:
    broker.connect()
    cell = notebook.run("import hubkey\nhubkey.connect('lab-api')")
    assert cell.outputs[0].data["text/plain"] == (
        '<not awaited: nothing has happened yet. Write `lab = await hubkey.connect("…")`.>'
    )
    cell = notebook.run(LAB + "lab.sign_out()\nprint(1)")
    assert "RuntimeWarning: A call of hubkey was not awaited" in cell.text
    assert "await lab.sign_out()" in cell.text
    assert broker.connections


def test_feature_k6_the_timeout_is_told_on_the_card(notebook: Notebook, broker: Broker) -> None:
    notebook.run("import hubkey, hubkey._sign_in.connect, time")
    cell = notebook.run(
        "began = time.monotonic()\n"
        "try:\n    await hubkey.connect('lab-api', timeout=5)\n"
        "finally:\n    print(time.monotonic() - began)",
    )
    assert 4 <= float(cell.text) <= 6
    assert cell.error.ename == "SignInTimeout"
    assert "not finished within 5 seconds. Run the cell again for a new link" in cell.html[0]
    assert links(cell.html[0]) == []
    assert broker.calls("DELETE") == []


def test_feature_k7_finishing_late_is_found_by_the_next_cell(notebook: Notebook, broker: Broker) -> None:
    notebook.run("import hubkey\nawait hubkey.connect('lab-api', timeout=1)")
    broker.end("connected")
    cell = notebook.run(CONNECT)
    assert cell.html == []
    assert cell.error is None


def test_need_3_denied_is_told_in_the_cell(notebook: Notebook, broker: Broker) -> None:
    cell = waiting(notebook, broker)
    broker.end("denied")
    cell.finish()
    assert "refused or cancelled in the browser. Run the cell again" in cell.html[0]
    assert cell.error.ename == "SignInDenied"
    assert cell.text == ""


def test_need_5_other_tasks_of_the_kernel_go_on(notebook: Notebook, broker: Broker) -> None:
    notebook.run("import asyncio\nturns = 0")
    notebook.run(
        "async def count():\n    global turns\n    while True:\n        await asyncio.sleep(0.01)\n        turns += 1\n"
        "counting = asyncio.ensure_future(count())",
    )
    cell = waiting(notebook, broker, f"{CONNECT}\nprint(turns)")
    time.sleep(1)
    broker.end("connected")
    cell.finish()
    assert int(cell.text.splitlines()[1]) > 50
    notebook.run("counting.cancel()")


def test_need_6_run_all_stops_cleanly_when_nobody_signs_in(notebook: Notebook, broker: Broker) -> None:
    broker.lifetime = 1
    first = notebook.start("import hubkey\nawait hubkey.connect('lab-api')", stop_on_error=True)
    second = notebook.start("print('ran')")
    first.until(lambda: broker.sign_ins)
    broker.end("expired")
    first.finish()
    second.until(lambda: second.done or not second.outputs, 5)
    assert first.error.ename == "SignInTimeout"
    assert second.text == ""


def test_feature_b12_security_l2_a_saved_notebook_holds_nothing(notebook: Notebook, broker: Broker) -> None:
    before = waiting(notebook, broker)
    during = notebook.saved()
    broker.end("connected")
    before.finish()
    notebook.run("lab")
    notebook.run("lab.token")
    notebook.run("lab.headers, [lab.token], vars(hubkey).keys()")
    notebook.run("%who")
    notebook.run("print(lab, repr(lab), lab.account)")
    notebook.run("import pickle\npickle.dumps(lab)")
    notebook.run("import json\njson.dumps({'c': lab})")
    notebook.run("%xmode Verbose")
    notebook.run("class H(dict):\n    def __setitem__(self, k, v): 1 / 0")
    notebook.run(
        "class R:\n    url = 'https://api.lab.example/'\n    headers = H()\nlab(R())",
    )
    notebook.run("%xmode Verbose\nawait hubkey.connect('nothing-here')")
    after = notebook.saved()
    assert "ZeroDivisionError" in after
    assert TICKET in during
    for secret in (SERVER_TOKEN, POLL_SECRET, "canary-access-token"):
        assert secret not in during
        assert secret not in after
    assert TICKET not in after
    assert "display_id" not in after


def test_found_j12_the_card_is_not_shown_again_as_the_value_of_its_cell(notebook: Notebook, broker: Broker) -> None:
    for code in (CONNECT + "\nlab", "await hubkey.connect('lab-api')"):
        broker.connections.clear()
        cell = waiting(notebook, broker, code)
        broker.end("connected")
        cell.finish()
        [card] = cell.html
        assert "as alice" in card
        broker.seen.clear()
    [again] = notebook.run("lab").html
    assert "as alice" in again


def test_feature_e2_the_value_of_a_cell_is_the_same_line(notebook: Notebook, broker: Broker) -> None:
    broker.connect()
    cell = notebook.run("import hubkey\nawait hubkey.connect('lab-api')")
    assert "<strong>Lab API</strong> as alice.liddell@lab.example" in cell.html[0]
    assert "✓ Lab API as alice.liddell@lab.example" in cell.outputs[0].data["text/plain"]


@pytest.mark.parametrize("override", [False, True])
def test_need_12_interactive_can_be_forced(broker: Broker, override: bool) -> None:  # noqa: FBT001
    notebook = Notebook(dict(os.environ) | {"HUBKEY_INTERACTIVE": "0"})
    try:
        argument = ", interactive=True" if override else ""
        cell = notebook.start(f"import hubkey\nawait hubkey.connect('lab-api'{argument})")
        cell.until(lambda: cell.done or (cell.html and broker.calls("GET")))
        if override:
            broker.end("connected")
        cell.finish()
    finally:
        notebook.close()
    assert (cell.error is None) is override
    assert bool(broker.sign_ins) is override


@pytest.mark.timeout(180)
@pytest.mark.parametrize("executor", ["nbconvert", "papermill"])
def test_need_12_executors_of_notebooks_are_told_at_once(broker: Broker, tmp_path: Path, executor: str) -> None:
    text = run_by(executor, tmp_path, broker)
    assert "SignInRequired" in text
    assert "a notebook that runs by itself" in text
    assert broker.sign_ins == {}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("executor", ["nbconvert", "papermill"])
def test_need_12_executors_of_notebooks_use_what_was_signed_in_before(
    broker: Broker,
    tmp_path: Path,
    executor: str,
) -> None:
    broker.connect()
    assert "SignInRequired" not in run_by(executor, tmp_path, broker)
    saved = (tmp_path / "out.ipynb").read_text()
    assert "the next line runs" in saved
    assert "canary" not in saved


def run_by(executor: str, folder: Path, broker: Broker) -> str:
    notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CONNECT)])
    notebook.metadata.kernelspec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "in.ipynb")
    commands = {
        "nbconvert": ["jupyter", "nbconvert", "--to", "notebook", "--execute", "in.ipynb", "--output", "out.ipynb"],
        "papermill": ["papermill", "in.ipynb", "out.ipynb"],
    }
    command = [sys.executable, "-m", *commands[executor]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=150, check=False)
    assert broker.calls("POST"), done.stderr
    assert broker.calls("POST")[0].body["interactive"] is False
    return done.stderr + done.stdout
