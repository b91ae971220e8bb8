"""Run by `test_hub.py` with the Python of one JupyterHub version: starts that Hub, one server in it, and prints facts.

It is no test by itself: the interpreter that runs it has only JupyterHub.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Any

from hubkey import hub
from jupyterhub import version_info
from jupyterhub.app import JupyterHub
from jupyterhub.orm import Role
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import SimpleLocalProcessSpawner
from tornado.httpclient import AsyncHTTPClient
from traitlets.config import Config

HERE = Path(__file__).parent
ADMIN_TOKEN = secrets.token_hex(32)


class NoProxy(Proxy):
    """A proxy that routes nothing: the probe speaks to the Hub itself."""

    should_start = False

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None: ...

    async def delete_route(self, routespec: str) -> None: ...

    async def get_all_routes(self) -> dict[str, Any]:
        return {}


class FileSpawner(SimpleLocalProcessSpawner):
    """Runs a server that only writes down its environment."""

    def get_args(self) -> list[str]:
        return []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(folder: Path, case: str) -> Config:
    c = Config()
    c.JupyterHub.bind_url = f"http://127.0.0.1:{free_port()}"
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{free_port()}"
    c.JupyterHub.proxy_class = NoProxy
    c.JupyterHub.spawner_class = FileSpawner
    c.JupyterHub.authenticator_class = "dummy"
    c.JupyterHub.db_url = "sqlite:///:memory:"
    c.JupyterHub.cookie_secret_file = str(folder / "cookie_secret")
    c.Authenticator.allow_all = True
    c.Authenticator.allowed_users = {"alice"}
    c.FileSpawner.cmd = [sys.executable, str(HERE / "hub_server.py"), str(folder / "environment.json")]
    c.FileSpawner.home_dir_template = str(folder)
    # As an operator's file may have it: some lists set, some appended to.
    c.JupyterHub.services.append({"name": "probe", "api_token": ADMIN_TOKEN})
    c.JupyterHub.load_roles = [
        {"name": "probe", "scopes": ["admin:users", "admin:servers", "tokens"], "services": ["probe"]},
    ]
    c.Spawner.environment.update({"OPERATORS_OWN": "kept"})
    if case == "user-role":
        c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", "read:hub"]})
    if case == "narrow-role":
        narrow = ["access:servers!user", "users:activity!user"]
        c.JupyterHub.load_roles.append({"name": "user", "scopes": narrow})
    if case == "function":
        c.Spawner.server_token_scopes = lambda _spawner: ["read:users:name!user"]
    if case == "subclass":
        c.FileSpawner.environment = {"OPERATORS_OWN": "kept"}
        c.FileSpawner.server_token_scopes = ["read:users:name!user"]
    return c


async def appears(file: Path) -> None:
    while not file.exists():  # noqa: ASYNC110, ASYNC240 - another process writes it
        await asyncio.sleep(0.1)


async def facts(folder: Path, case: str) -> dict[str, Any]:
    c = configuration(folder, case)
    (folder / "api-token").write_text(secrets.token_hex(32))
    for _ in range(2):  # the second call must change nothing
        hub.configure(
            c,
            public_url="https://hubkey.example.org",
            broker_url="http://127.0.0.1:9",
            api_token_file=folder / "api-token",
        )
    app = JupyterHub(config=c)
    await app.initialize([])
    await app.start()
    try:
        api = app.hub.api_url
        await call(f"{api}/users/alice/server", method="POST", body="")
        written = folder / "environment.json"
        await asyncio.wait_for(appears(written), 30)
        environment = json.loads(written.read_text())
        identity = await call(f"{api}/user", token=environment["JUPYTERHUB_API_TOKEN"])
        await call(f"{api}/users/alice/server", method="DELETE")
        return {
            "version": ".".join(str(part) for part in version_info[:3]),
            "roles": {role.name: sorted(role.scopes) for role in app.db.query(Role)},
            "service_roles": sorted(role.name for role in app._service_map["hubkey"].orm.roles),
            "client": app._service_map["hubkey"].oauth_client_id,
            "browsers": app._service_map["hubkey"].oauth_client_allowed_scopes,
            "redirect": app._service_map["hubkey"].oauth_redirect_uri,
            "environment": {
                key: value
                for key, value in environment.items()
                if key.startswith("HUBKEY_") or key in {"JUPYTERHUB_USER", "OPERATORS_OWN"}
            },
            "identity": identity,
        }
    finally:
        await app.cleanup()


async def call(url: str, token: str = ADMIN_TOKEN, **options: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    answer = await AsyncHTTPClient().fetch(url, headers=headers, request_timeout=60, **options)
    return json.loads(answer.body) if answer.body else None


if __name__ == "__main__":
    os.environ.pop("JUPYTERHUB_API_TOKEN", None)
    case, folder = sys.argv[1], Path(sys.argv[2])
    os.chdir(folder)
    print("FACTS " + json.dumps(asyncio.run(facts(folder, case))))  # noqa: T201 - this is its answer
