"""`hubkey.hub.configure`: what it refuses, and what real Hubs of each supported version make of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import venv
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from itertools import product
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hubkey import ConfigurationError, hub
from traitlets.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "hubs"
VERSIONS = ("4.1.6", "5.5.1", "6.1.1")
OWN_SCOPES = ["access:services!service=hubkey", "custom:hubkey:kernel!user", "self"]
# As far as the Hub's `self` is needed for a server.
NARROW_SCOPES = [*OWN_SCOPES[:2], "access:servers!user", "users:activity!user"]


@pytest.fixture
def api_token_file(tmp_path: Path) -> Path:
    path = tmp_path / "api-token"
    path.write_text("0123456789abcdef0123456789abcdef\n")
    return path


def configured(c: Config, token_file: Path, **changes: Any) -> Config:
    settings: dict[str, Any] = {
        "public_url": "https://hubkey.example.org",
        "broker_url": "https://broker.internal:8443/",
        "api_token_file": token_file,
    }
    hub.configure(c, **{**settings, **changes})
    return c


def hub_python(version: str) -> Path:
    """Give a Python with that JupyterHub: this one, or one installed once and kept in the cache of the repository."""
    if metadata.version("jupyterhub") == version:
        return Path(sys.executable)
    folder = CACHE / f"{version}-python{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "--quiet", f"jupyterhub=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"jupyterhub {version} cannot be installed: {done.stderr}"
        (folder / "complete").touch()
    return python


def facts(version: str, case: str, folder: Path) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent / "python")}
    command = [hub_python(version), HERE / "hub_probe.py", case, folder]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=150, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("FACTS ")]
    assert found, done.stderr
    return json.loads(found[0].removeprefix("FACTS "))


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("version", "case"),
    [
        *product(VERSIONS, ["plain", "user-role"]),
        *product(VERSIONS[-1:], ["function", "subclass", "narrow-role"]),
    ],
)
def test_feature_g10_a_hub_gives_its_servers_what_the_broker_asks_for(version: str, case: str, tmp_path: Path) -> None:
    found = facts(version, case, tmp_path)
    assert found["version"] == version
    # The rules by which the broker recognises a server token.
    identity = found["identity"]
    assert identity["kind"] == "user"
    assert identity["session_id"] is None
    assert "users:activity!user=alice" in identity["scopes"]
    assert "custom:hubkey:kernel!user=alice" in identity["scopes"]
    servers = [scope for scope in identity["scopes"] if scope.startswith("access:servers")]
    assert servers == ["access:servers!server=alice/"]
    # And whose it is: somebody else may get the name.
    assert "read:users!user=alice" in identity["scopes"]
    assert datetime.fromisoformat(identity["created"]).tzinfo is UTC
    # What the operator had set is still there.
    own = {"user-role": [*OWN_SCOPES, "read:hub"], "narrow-role": [*NARROW_SCOPES, "read:users!user"]}
    assert found["roles"]["user"] == sorted(own.get(case, OWN_SCOPES))
    assert found["environment"] == {
        "HUBKEY_URL": "http://127.0.0.1:9",
        "JUPYTERHUB_USER": "alice",
        "OPERATORS_OWN": "kept",
    }
    # The service.
    assert found["client"] == "service-hubkey"
    assert found["redirect"] == "https://hubkey.example.org/oauth_callback"
    assert found["service_roles"] == ([] if version.startswith("4.") else ["hubkey"])
    assert found["roles"].get("hubkey", ["read:shares"]) == ["read:shares"]
    assert found["browsers"] == ["read:users!user"]


def test_feature_g10_a_second_call_changes_nothing(api_token_file: Path) -> None:
    once = configured(Config(), api_token_file)
    twice = configured(configured(Config(), api_token_file), api_token_file)
    assert once == twice


def test_feature_g10_a_path_on_the_hubs_origin_is_routed_by_the_proxy(api_token_file: Path) -> None:
    c = configured(
        Config(),
        api_token_file,
        public_url="https://hub.example.org/services/hubkey/",
        callback_url="http://127.0.0.1:8480",
    )
    [service] = c.JupyterHub.services
    assert service["url"] == "http://127.0.0.1:8480"
    assert service["oauth_redirect_uri"] == "https://hub.example.org/services/hubkey/oauth_callback"
    assert "url" not in configured(Config(), api_token_file).JupyterHub.services[0]


def test_feature_g10_the_kernels_are_told_of_the_authority_and_of_plain_text(api_token_file: Path) -> None:
    c = configured(
        Config(),
        api_token_file,
        broker_url="http://broker.internal",
        ca_file="/etc/hubkey/ca.pem",
        allow_plaintext=True,
    )
    assert c.Spawner.environment == {
        "HUBKEY_URL": "http://broker.internal",
        "HUBKEY_CA_FILE": "/etc/hubkey/ca.pem",
        "HUBKEY_ALLOW_PLAINTEXT": "1",
    }


def test_feature_g10_an_entry_made_elsewhere_is_completed() -> None:
    c = Config()
    c.JupyterHub.services = [{"name": "hubkey", "api_token": "x" * 32, "display": False}, {"name": "other"}]
    hub.configure(c, public_url="https://hubkey.example.org", broker_url="https://broker.internal")
    ours, other = c.JupyterHub.services
    assert ours["api_token"] == "x" * 32
    assert ours["display"] is False
    assert ours["oauth_no_confirm"] is True
    assert other == {"name": "other"}


def test_found_e1_a_hub_says_of_servers_and_browsers_whose_they_are(api_token_file: Path) -> None:
    c = Config()
    c.JupyterHub.services = [{"name": "hubkey", "oauth_client_allowed_scopes": ["read:users:name!user"]}]
    c.Spawner.server_token_scopes = ["read:users:groups!user"]
    configured(c, api_token_file)
    [service] = c.JupyterHub.services
    assert service["oauth_client_allowed_scopes"] == ["read:users:name!user", "read:users!user"]
    assert c.Spawner.server_token_scopes[0] == "read:users:groups!user"
    assert "read:users!user" in c.Spawner.server_token_scopes
    # Tokens of users and their servers see their own model; the service itself sees nobody's.
    for role in c.JupyterHub.load_roles:
        assert not [scope for scope in role["scopes"] if scope.startswith("read:users")], role


@pytest.mark.parametrize("scopes", [["self"], ["access:servers!user"], ["read:users!user"], []])
def test_found_e1_a_role_without_the_own_model_gets_it(api_token_file: Path, scopes: list[str]) -> None:
    c = Config()
    c.JupyterHub.load_roles = [{"name": "user", "scopes": scopes}]
    configured(c, api_token_file)
    role = c.JupyterHub.load_roles[0]
    assert role["scopes"].count("read:users!user") == ("self" not in scopes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"public_url": "http://hub.example.org"}, "public_url='http://hub.example.org' is plain http"),
        ({"public_url": "hub.example.org"}, "public_url='hub.example.org' is not a URL"),
        ({"public_url": "https://hub.example.org/?x=1"}, "has a query"),
        ({"broker_url": "http://broker.internal"}, "broker_url='http://broker.internal' is plain http"),
        ({"broker_url": "https://user:pass@broker"}, "is not a URL"),
        ({"broker_url": None}, "broker_url=None is not a URL"),
        ({"callback_url": "http://127.0.0.1:8480"}, "is not below the hub"),
        ({"api_token_file": None}, "needs the API token"),
        ({"api_token_file": "/does/not/exist"}, r"cannot be read \(FileNotFoundError\)"),
        ({"api_token_file": __file__}, "does not hold an API token"),
    ],
)
def test_feature_g10_a_wrong_value_is_refused_with_a_sentence(
    api_token_file: Path,
    changes: dict[str, Any],
    said: str,
) -> None:
    c = Config()
    with pytest.raises(ConfigurationError, match=said):
        configured(c, api_token_file, **changes)
    assert not any(c.values())


@pytest.mark.parametrize(
    ("section", "trait", "value", "said"),
    [
        (
            "JupyterHub",
            "services",
            [{"name": "hubkey", "oauth_redirect_uri": "https://x"}],
            "another 'oauth_redirect_uri'",
        ),
        ("JupyterHub", "services", [{"name": "hubkey", "url": "http://127.0.0.1:1"}], "as callback_url"),
        ("JupyterHub", "services", [{"name": "x", "oauth_client_allowed_scopes": ["inherit"]}], "'x' may ask for"),
        (
            "JupyterHub",
            "services",
            [{"name": "hubkey", "oauth_client_allowed_scopes": ["custom:hubkey:kernel!user"]}],
            "may",
        ),
        ("Spawner", "server_token_scopes", ["access:servers!user"], "holds 'access:servers!user'"),
        ("Spawner", "server_token_scopes", ["inherit"], "holds 'inherit'"),
        ("KubeSpawner", "server_token_scopes", ["self"], "c.KubeSpawner.server_token_scopes holds 'self'"),
        ("Spawner", "environment", {"HUBKEY_URL": "https://elsewhere"}, "sets HUBKEY_URL to 'https://elsewhere'"),
        ("KubeSpawner", "environment", {"HUBKEY_URL": "x"}, "c.KubeSpawner.environment sets HUBKEY_URL"),
    ],
)
def test_feature_g10_a_contradiction_is_refused_and_leaves_all_as_it_was(
    api_token_file: Path,
    section: str,
    trait: str,
    value: Any,
    said: str,
) -> None:
    c = Config()
    c[section][trait] = value
    with pytest.raises(ConfigurationError, match=said):
        configured(c, api_token_file)
    assert c[section] == {trait: value}


class Told(BaseHTTPRequestHandler):
    """A broker that notes what it is told."""

    notes: ClassVar[list[tuple[str, str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.notes.append((self.path, self.headers["Authorization"], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def broker() -> Iterator[str]:
    Told.notes.clear()
    server = HTTPServer(("127.0.0.1", 0), Told)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def stopped(server: str, **changes: Any) -> SimpleNamespace:
    """Give a spawner whose server has stopped, of a user in whose Hub's database seconds are whole."""
    user = SimpleNamespace(name="alice", created=datetime(2026, 11, 24, 20, 0, 7))  # noqa: DTZ001 - as the Hub has it
    of_it = {"user": user, "name": server, "will_resume": False, "api_token": "0123456789abcdef"}
    return SimpleNamespace(**{**of_it, **changes})


async def test_security_k10_the_broker_is_told_of_the_end_of_a_server(api_token_file: Path, broker: str) -> None:
    c = configured(Config(), api_token_file, broker_url=broker)
    await c.Spawner.post_stop_hook(stopped("gpu"))
    token = c.JupyterHub.services[0]["api_token"]
    ended = {"user": "alice", "server": "gpu", "created": "2026-11-24T20:00:07Z", "token": "0123456789abcdef"}
    assert Told.notes == [("/v1/servers/stopped", f"Bearer {token}", ended)]
    assert token not in repr(c.Spawner)
    # Such a server goes on with its token.
    await c.Spawner.post_stop_hook(stopped("gpu", will_resume=True))
    assert len(Told.notes) == 1


async def test_found_e1_the_broker_is_told_whose_server_ended(api_token_file: Path, broker: str) -> None:
    c = configured(Config(), api_token_file, broker_url=broker)
    hub_time = datetime(2026, 11, 24, 20, 0, 7, 250)  # noqa: DTZ001 - as the Hub has it
    for created, said in [(hub_time, "2026-11-24T20:00:07.000250Z"), (None, None)]:
        user = SimpleNamespace(name="alice", created=created)
        # After a restart the Hub does not know the token any more.
        await c.Spawner.post_stop_hook(stopped("", user=user, api_token=""))
        _, _, ended = Told.notes.pop()
        assert ended == {"user": "alice", "server": "", "created": said, "token": None}


async def test_found_e1_a_token_that_the_spawner_forgot_is_told_too(api_token_file: Path, broker: str) -> None:
    c = Config()
    calls = []

    def own(spawner: SimpleNamespace) -> str:
        calls.append(spawner.name)
        return "the operator's"

    c.KubeSpawner.pre_spawn_hook = own
    configured(configured(c, api_token_file, broker_url=broker), api_token_file, broker_url=broker)
    for section, said in [(c.Spawner, None), (c.KubeSpawner, "the operator's")]:
        spawner = stopped("gpu")
        assert await section.pre_spawn_hook(spawner) == said
        # As a spawner of processes does when it has seen the server's end.
        spawner.api_token = ""
        await c.Spawner.post_stop_hook(spawner)
        _, _, ended = Told.notes.pop()
        assert ended["token"] == "0123456789abcdef"
    assert calls == ["gpu"]


async def test_security_k10_a_broker_that_does_not_answer_hinders_no_stop(
    api_token_file: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        c = configured(Config(), api_token_file, broker_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        begin = time.monotonic()
        await replace(c.Spawner.post_stop_hook, seconds=0.3)(stopped(""))
        assert time.monotonic() - begin < 3
    # Nobody listens there any more.
    await c.Spawner.post_stop_hook(stopped(""))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert all(text.startswith("hubkey could not be told that server '' of 'alice' ended: ") for text in said)


async def test_a_failure_without_a_text_is_named_in_the_hubs_log(
    api_token_file: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fetch(*_: Any, **__: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr("tornado.simple_httpclient.SimpleAsyncHTTPClient.fetch", fetch)
    await configured(Config(), api_token_file).Spawner.post_stop_hook(stopped("gpu"))
    [said] = [record.getMessage() for record in caplog.records]
    assert said == "hubkey could not be told that server 'gpu' of 'alice' ended: TimeoutError"


@pytest.mark.parametrize("section", ["Spawner", "KubeSpawner"])
async def test_security_k10_the_operators_own_hook_is_kept(api_token_file: Path, broker: str, section: str) -> None:
    calls = []

    async def own(spawner: SimpleNamespace) -> None:
        calls.append((spawner.name, len(Told.notes)))
        raise RuntimeError("the operator's")

    c = Config()
    c[section].post_stop_hook = own
    once = configured(c, api_token_file, broker_url=broker)[section].post_stop_hook
    hook = configured(c, api_token_file, broker_url=broker)[section].post_stop_hook
    assert hook is once
    with pytest.raises(RuntimeError, match="the operator's"):
        await hook(stopped("gpu"))
    assert calls == [("gpu", 1)], "the broker was told before"


def test_feature_g10_without_jupyterhub_the_refusal_says_so(
    api_token_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> str:
        raise hub.PackageNotFoundError(name)

    monkeypatch.setattr(hub, "version", absent)
    with pytest.raises(ConfigurationError, match="jupyterhub is not installed here"):
        configured(Config(), api_token_file)


def test_feature_g10_the_whole_needs_no_secret_in_the_text_of_an_error(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("canary with spaces")
    with pytest.raises(ConfigurationError) as caught:
        configured(Config(), path)
    assert "canary" not in str(caught.value)
