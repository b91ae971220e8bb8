"""The `hubkey` command of the wheel, in processes of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import subprocess
import sys
import time
from importlib.metadata import distribution
from typing import TYPE_CHECKING

import pytest
from scripted_broker import TICKET, Broker

if TYPE_CHECKING:
    from pathlib import Path

# As the script that pip writes for the entry point; what a shell starts in the background ignores Ctrl-C, and these
# tests may be among it.
SCRIPT = (
    "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from hubkey._cli import main\nsys.exit(main())\n"
)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(*arguments: str) -> tuple[int, str, str]:
    with start(*arguments) as process:
        said, told = process.communicate(timeout=30)
    return process.returncode, said, told


def tell(text: str, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_wheel_has_the_command() -> None:
    scripts = distribution("hubkey").entry_points.select(group="console_scripts", name="hubkey")
    assert [script.value for script in scripts] == ["hubkey._cli:main"]
    assert run("--version")[:2] == (0, f"hubkey {distribution('hubkey').version}\n")
    assert run("nonsense")[0] == 2


def test_feature_k11_the_token_alone_is_on_stdout(broker: Broker) -> None:
    token = broker.access_token(broker.connect())
    assert run("token", "lab-api") == (0, f"{token}\n", "")


@pytest.mark.parametrize("ahead", [-86400, 7200])
def test_found_d1_the_end_is_told_by_the_clock_of_whoever_asks(broker: Broker, ahead: int) -> None:
    broker.clock_ahead = ahead
    broker.connect()
    code, said, _ = run("token", "lab-api", "--json")
    token = json.loads(said)
    assert code == 0
    assert 897 <= token["expires_in"] <= 900
    assert abs(token["expires_at"] - time.time() - 900) <= 3


def hash_of(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")


def test_found_a9_another_token_than_a_rejected_one(broker: Broker) -> None:
    rejected = broker.access_token(broker.connect())
    code, said, told = tell(f"{rejected}\n", "token", "lab-api", "--rejected")
    assert (code, told) == (0, "")
    assert said.strip() not in ("", rejected)
    [asked] = broker.calls("POST", ".*/token")
    assert asked.body == {"min_valid_seconds": 0, "rejected_ath": hash_of(rejected)}
    code, said, told = tell("", "token", "lab-api", "--rejected")
    assert (code, said) == (2, "")
    assert "standard input" in told


def test_found_a9_git_says_what_did_not_work(broker: Broker) -> None:
    rejected = broker.access_token(broker.connect())
    question = f"protocol=https\nhost=api.lab.example\nusername=alice\npassword={rejected}\n\n"
    assert tell(question, "credential", "git", "store") == (0, "", "")
    assert not broker.calls("POST", ".*/token")
    assert tell(question, "credential", "git", "erase") == (0, "", "")
    [asked] = broker.calls("POST", ".*/token")
    assert asked.body["rejected_ath"] == hash_of(rejected)


def test_nothing_takes_the_place_of_a_closed_stdout(broker: Broker) -> None:
    broker.connect()
    script = [sys.executable, "-c", f"import os\nos.close(1)\n{SCRIPT}", "token", "lab-api"]
    done = subprocess.run(script, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    # Else the token is written into whatever the runtime has opened first.
    assert (done.returncode, done.stderr) == (0, "")


def test_feature_g1_a_token_is_exchanged_for_another_api(broker: Broker) -> None:
    broker.connect()
    broker.exchange_origins = ["https://other.example.org"]
    wanted = ("lab-api", "--exchange", "other-api", "--exchange-scope", "read")
    assert run("token", *wanted) == (0, "canary-exchanged-token-1\n", "")
    [seen] = broker.calls("POST", "/v1/connections/.*/exchange")
    assert seen.body == {"audience": "other-api", "scopes": ["read"], "min_valid_seconds": 0}
    header = "Authorization: Bearer canary-exchanged-token-2\n"
    assert run("header", *wanted, "--for", "https://other.example.org/x")[:2] == (0, header)
    # The address of the connection's own API is not one of the other's.
    code, said, told = run("header", *wanted, "--for", "https://api.lab.example/projects")
    assert (code, said) == (5, "")
    assert "exchange.api_origins" in told
    assert run("token", "lab-api", "--exchange", "third-api")[:2] == (5, "")
    assert run("token", "lab-api", "--exchange-scope", "read")[0] == 2


def test_feature_e4_accounts_are_told_apart(broker: Broker) -> None:
    broker.connect()
    broker.account_email = "alice@second.example"
    broker.connect()
    both = "alice@second.example, alice.liddell@lab.example"
    assert both in run("list")[1]
    assert "second" not in run("status", "lab-api", "--account", "alice.liddell@lab.example")[1]
    assert run("logout", "lab-api", "--account", "alice@second.example")[0] == 0
    assert [one["account"]["email"] for one in broker.connections.values()] == ["alice.liddell@lab.example"]
    assert run("logout", "--all", "--account", "alice@second.example")[0] == 2


def test_feature_a9_the_link_names_what_is_asked_for_more(broker: Broker) -> None:
    broker.more_scopes = ["projects:write"]
    code, said, told = run("token", "lab-api", "--scope", "projects:write")
    assert (code, said) == (3, "")
    assert "it needs your word for: projects:write" in told


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        ("access_ended", "Your access to Lab API has ended."),
        ("not_renewed", "Lab API did not renew your access."),
        ("registration_refused", "Lab API refuses this JupyterHub's registration."),
    ],
)
def test_found_a2_the_link_says_why_a_person_is_asked_again(broker: Broker, cause: str, sentence: str) -> None:
    broker.cause = cause
    code, said, told = run("token", "lab-api")
    assert (code, said) == (3, "")
    assert told.removeprefix("hubkey: ").startswith(sentence)


def test_need_12_without_a_terminal_the_link_is_told_and_nobody_waits(broker: Broker) -> None:
    broker.hold = 20
    code, said, told = run("token", "lab-api")
    assert (code, said) == (3, "")
    assert f"start/{TICKET}" in told
    assert run("token", "lab-api")[2] == told
    assert len(broker.sign_ins) == 1


def test_need_13_control_c_cancels_a_login(broker: Broker) -> None:
    with start("login", "lab-api") as process:
        broker.wait_until(lambda: broker.calls("GET"))
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "The link is dead" in told
    assert broker.calls("DELETE")


def test_a_program_takes_the_command_over(broker: Broker, tmp_path: Path) -> None:
    token = broker.access_token(broker.connect())
    script = tmp_path / "script"
    script.write_text('test "$BEARER_TOKEN" = "$1" && kill -TERM $$')
    assert run("exec", "lab-api", "--", "sh", str(script), token)[0] == -signal.SIGTERM
