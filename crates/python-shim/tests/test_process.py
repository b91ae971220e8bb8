"""The compiled module in processes of its own: their beginning, their forks and their end."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from scripted_broker import TICKET, Broker

if TYPE_CHECKING:
    from pathlib import Path

EXISTING = "import asyncio, hubkey\nlab = asyncio.run(hubkey.connect('lab-api'))\nprint(len(lab.token))\n"
WAITING = "import asyncio, hubkey\nasyncio.run(hubkey.connect('lab-api', interactive=True))\n"


def python(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "faulthandler", "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)  # type: ignore[call-overload]


@pytest.mark.timeout(180)
def test_forty_interpreters_end_without_a_crash(broker: Broker) -> None:
    broker.connect()
    # Half of them end while a call is on its way.
    leaving = (
        "import asyncio, hubkey, sys\n"
        "async def main():\n"
        "    task = asyncio.ensure_future(hubkey.connect('lab-api', audience='other', interactive=True))\n"
        "    await asyncio.sleep(0.15)\n"
        "    task.cancel()\n"
        "    sys.exit(0)\n"
        "asyncio.run(main())\n"
    )
    for number in range(40):
        done = python(EXISTING if number % 2 else leaving)
        assert done.returncode == 0, (number, done.returncode, done.stderr)
        assert "Fatal" not in done.stderr


def test_a_forked_child_has_its_own_client(broker: Broker) -> None:
    broker.connect()
    code = (
        EXISTING + "import os, warnings\nwarnings.simplefilter('ignore')\n"
        "sys_exit = os._exit\n"
        "pid = os.fork()\n"
        "again = asyncio.run(hubkey.connect('lab-api'))\n"
        "assert again.token == lab.token\n"
        "if pid == 0: sys_exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7\n"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert len(broker.calls("POST", "/v1/sign-ins")) == 3


def test_found_d2_what_a_thread_held_at_a_fork_holds_up_no_child(broker: Broker) -> None:
    broker.connect()
    code = EXISTING + (
        "import os, threading, time, warnings\nwarnings.simplefilter('ignore')\n"
        # Another thread fetches, and is not in the child.
        "held, locks = threading.Event(), [lab._cache._lock, lab._lock]\n"
        "def hold():\n"
        "    with locks[0].held(1), locks[1].held(1):\n"
        "        held.set()\n"
        "        time.sleep(20)\n"
        "threading.Thread(target=hold, daemon=True).start()\n"
        "held.wait()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    began = time.monotonic()\n"
        "    for _ in range(3):\n"
        "        assert lab.get_token(min_valid=900)\n"
        "    with locks[1].held(10):\n"
        "        pass\n"
        "    os._exit(7 if time.monotonic() - began < 5 else 8)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7\n"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert broker.drawn == 3


@pytest.mark.parametrize(
    ("code", "last"),
    [
        (
            "hubkey.connect_sync('lab-api')",
            "hubkey.SignInRequired: lab-api needs a sign-in, and this is a process that",
        ),
        ("asyncio.run(hubkey.connect('lab-api'))", "hubkey.SignInRequired: lab-api needs a sign-in, and this is"),
        ("hubkey.connect_sync('other')", "hubkey.InvalidArgument: provider='other': "),
        ("hubkey.connect_sync(scope='x')", "hubkey.InvalidArgumentType: scope='x': connect() has no such argument."),
        ("hubkey.connect('lab-api').token", "hubkey.NotAwaited: This call was not awaited, so it has no 'token' yet."),
        ("os.environ.pop('HUBKEY_URL'); hubkey.connect_sync()", "hubkey.NotOnJupyterHub: This JupyterHub does not"),
    ],
)
def test_found_j5_a_script_ends_with_the_place_and_the_remedy(broker: Broker, code: str, last: str) -> None:
    del broker  # set the environment
    script = f"import asyncio, os, hubkey\ndef work():\n    {code}\nwork()\n"
    done = python(script)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == '  File "<string>", line 3, in work'
    assert lines[1].startswith(last)
    assert len(lines) == 2, done.stderr
    whole = python(script, env={**os.environ, "HUBKEY_TRACEBACK": "1"})
    assert whole.stderr.startswith("Traceback (most recent call last):")
    assert len(whole.stderr.splitlines()) > 3


def test_found_j5_notes_come_after_the_sentence(broker: Broker) -> None:
    del broker
    script = (
        "import hubkey\ntry:\n    hubkey.connect_sync('other')\n"
        "except hubkey.HubkeyError as error:\n    error.__notes__ = ['while loading page 3']\n    raise\n"
    )
    assert python(script).stderr.splitlines()[1].startswith("hubkey.InvalidArgument: provider='other'")


def test_found_j7_looking_around_needs_no_library() -> None:
    script = (
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'azure', 'google', 'httpx', 'requests', 'aiohttp', 'fsspec'}:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "import inspect, pydoc, hubkey, hubkey.auth\n"
        "for module in (hubkey, hubkey.auth):\n"
        "    names = [name for name, _ in inspect.getmembers(module) if not name.startswith('__')]\n"
        "    assert names == sorted(module.__all__), names\n"
        "    assert len(pydoc.render_doc(module)) > 1000\n"
        "    assert all(name.startswith('__') or name in module.__all__ for name in dir(module))\n"
        "assert hubkey.__version__ == __import__('importlib.metadata').metadata.version('hubkey')\n"
        "for name in ('httpx_auth', 'unrestricted_azure_credential', 'unrestricted_google_credentials'):\n"
        "    try:\n"
        "        getattr(hubkey.auth, name)(None)\n"
        "    except ImportError as missing:\n"
        "        print(type(missing).__name__, missing)\n"
    )
    done = python(script)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    for line, library in zip(told, ("httpx", "azure-core", "google-auth"), strict=True):
        assert line.startswith("LibraryMissing hubkey.auth.")
        assert f"`%pip install {library}`" in line


def test_found_j11_a_script_has_no_cells(broker: Broker) -> None:
    script = "import hubkey\nhubkey.connect_sync('lab-api', interactive=True, timeout={})\n"
    done = python(script.format(1))
    assert "SignInTimeout: Lab API: the sign-in was not finished within 1 second. Run this again" in done.stderr
    assert "the cell" not in done.stderr
    with subprocess.Popen([sys.executable, "-c", script.format(30)], stderr=subprocess.PIPE, text=True) as running:
        broker.wait_until(lambda: len(broker.sign_ins) == 2)
        broker.end("denied")
        _, said = running.communicate(timeout=20)
    assert said.count("Run this again") == 2, "on the card and in the end"
    assert "the cell" not in said


def test_found_j5_exceptions_of_others_are_shown_as_ever(broker: Broker) -> None:
    del broker
    done = python("import hubkey\n1 / 0\n")
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")


def test_found_j8_a_forgotten_await_in_a_script_is_told_each_time(broker: Broker) -> None:
    broker.connect()
    script = "import hubkey\nlab = hubkey.connect_sync('lab-api')\nfor _ in range(3):\n    lab.sign_out()\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    told = (
        "<string>:4: RuntimeWarning: A call of hubkey was not awaited: nothing has happened."
        " Write `await lab.sign_out()`."
    )
    assert done.stderr.splitlines().count(told) == 3
    assert broker.connections


def test_need_13_control_c_ends_a_script_and_its_sign_in(broker: Broker) -> None:
    # What a shell starts in the background inherits that Ctrl-C is ignored, these tests among it.
    heed = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script = subprocess.Popen([sys.executable, "-c", heed + WAITING], stderr=subprocess.PIPE, text=True)
    with script:
        broker.wait_until(lambda: broker.calls("GET"))
        began = time.monotonic()
        script.send_signal(signal.SIGINT)
        _, said = script.communicate(timeout=10)
    assert time.monotonic() - began < 3
    assert script.returncode not in {0, -signal.SIGSEGV, -signal.SIGABRT}
    assert "the sign-in was cancelled" in said
    assert "Traceback" not in said, "what was cancelled is told once (found j5)"
    assert broker.calls("DELETE")


def test_feature_b14_a_terminal_gets_the_link_on_stderr(broker: Broker) -> None:
    primary, secondary = pty.openpty()
    script = subprocess.Popen([sys.executable, "-c", EXISTING], stdout=subprocess.PIPE, stderr=secondary, text=True)
    os.close(secondary)
    with script, os.fdopen(primary, errors="replace") as terminal:
        said = [terminal.readline() for _ in range(3)]
        broker.wait_until(lambda: broker.calls("GET"))
        broker.account_email = "\x1b]0;mine\x07Alice"
        broker.end("connected")
        said.append(terminal.readline())
        out, _ = script.communicate(timeout=20)
    assert f"start/{TICKET}" in said[0]
    assert "Ctrl-C cancels" in said[2]
    assert said[3].startswith("✓ Lab API as ?]0;mine?Alice")
    assert int(out) > 0
    assert script.returncode == 0


def test_feature_b14_plain_python_without_a_terminal_is_told_at_once(broker: Broker) -> None:
    done = python(EXISTING)
    assert "hubkey.SignInRequired: lab-api needs a sign-in" in done.stderr
    assert broker.sign_ins == {}


def test_proxies_of_the_environment_are_not_used(broker: Broker) -> None:
    broker.connect()
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"), "http://127.0.0.1:1")
    done = python(EXISTING, env={**os.environ, **proxies})
    assert done.returncode == 0, done.stderr


def test_a_file_without_certificates_is_refused(broker: Broker, tmp_path: Path) -> None:
    broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
    none = "no certificate"
    for content, said in ((none, "which this one has none of"), (broken, "Check HUBKEY_URL and HUBKEY_CA_FILE")):
        (tmp_path / "ca.pem").write_text(content)
        done = python(EXISTING, env={**os.environ, "HUBKEY_CA_FILE": str(tmp_path / "ca.pem")})
        assert "hubkey.ConfigurationError" in done.stderr
        assert said in done.stderr
    assert broker.seen == []


def test_the_hub_needs_no_compiled_module() -> None:
    code = "import sys, hubkey, hubkey.hub\nassert not [m for m in sys.modules if m in ('hubkey._hubkey', 'asyncio')]"
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_the_import_loads_no_other_package() -> None:
    """What a library costs at import is paid by those who use it; a time cannot be tested on a busy machine."""
    code = (
        "import sys; before = set(sys.modules); import hubkey, hubkey._sign_in.connect\n"
        "foreign = {name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names - {'hubkey'}\n"
        "assert not foreign, foreign"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
