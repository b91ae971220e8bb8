"""The JupyterHub of the demo and the end-to-end tests: password sign-in, servers as plain processes.

Everything that differs between runs comes from the environment. What a real hub needs for hubkey is the one
call of `configure`; the rest is this hub's own business.
"""

import itertools
import json
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner

c = get_config()  # noqa: F821  (JupyterHub defines it)

folder = Path(os.environ["HUB_FOLDER"])
hub_port = os.environ["HUB_PORT"]
api_port = os.environ["HUB_API_PORT"]

# Who may sign in. One password for everybody: people are who they say in a hub for development.
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = os.environ["HUB_PASSWORD"]
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"admin"}

# Where it listens: everything on loopback.
c.JupyterHub.bind_url = f"http://127.0.0.1:{hub_port}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['HUB_PROXY_API_PORT']}"
c.ConfigurableHTTPProxy.command = json.loads(os.environ["HUB_PROXY_COMMAND"])
c.JupyterHub.db_url = f"sqlite:///{folder / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(folder / "cookie_secret")
c.JupyterHub.cleanup_servers = True
c.JupyterHub.allow_named_servers = True

# Single-user servers: JupyterLab as a process of this machine, with a home below the folder of the run.
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(folder / "home" / "{username}")
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.http_timeout = 60
c.Spawner.start_timeout = 60
# A server binds seconds after its port was chosen. The spawner would choose among the ports that systems give to
# outgoing connections, one of which takes it meanwhile now and then; these are below them.
FIRST_PORT, PORTS = 10_000, 5_000
turns = itertools.count(os.getpid() * 211)


def choose_port(spawner: "Spawner") -> None:
    """Give the server a port that is free now and below those of outgoing connections."""
    for turn in itertools.islice(turns, PORTS):
        port = FIRST_PORT + turn % PORTS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        spawner.port = port
        return
    raise RuntimeError(f"no free port for a server from {FIRST_PORT} to {FIRST_PORT + PORTS - 1}")


c.Spawner.pre_spawn_hook = choose_port
c.Spawner.environment = {
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    # What a test hands to notebooks: the addresses of its APIs, for example.
    **json.loads(os.environ.get("HUB_KERNEL_ENVIRONMENT", "{}")),
}
c.Spawner.args = [
    # No question about news in front of a person who came to sign in.
    f"--LabApp.app_settings_dir={Path(__file__).parent / 'lab-settings'}",
    "--LabApp.extension_manager=readonly",
    *(["--allow-root"] if os.geteuid() == 0 else []),
]

# The tests' own service: starts and stops servers as an administrator would.
if tests_token := os.environ.get("HUB_TESTS_TOKEN"):
    c.JupyterHub.services = [{"name": "tests", "api_token": tests_token, "display": False}]
    c.JupyterHub.load_roles = [
        {
            "name": "tests",
            "services": ["tests"],
            "scopes": [
                "access:servers",
                "admin:servers",
                "admin:users",
                "read:hub",
                "shares",
                "tokens",
            ],
        }
    ]

if public_url := os.environ.get("HUBKEY_PUBLIC_URL"):
    from hubkey.hub import configure

    configure(
        c,
        public_url=public_url,
        broker_url=os.environ["HUBKEY_BROKER_URL"],
        callback_url=os.environ.get("HUBKEY_CALLBACK_URL"),
        api_token_file=os.environ["HUBKEY_API_TOKEN_FILE"],
        ca_file=os.environ.get("HUBKEY_CA_FILE"),
    )

if extra := os.environ.get("HUB_EXTRA_CONFIG"):
    load_subconfig(extra)  # noqa: F821
