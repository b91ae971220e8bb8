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
