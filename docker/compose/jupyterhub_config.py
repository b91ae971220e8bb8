"""The JupyterHub of the compose stack: password sign-in, each user's server in a container of its own."""

import os

from hubkey.hub import configure

c = get_config()  # noqa: F821  (JupyterHub defines it)

stack = os.environ["HUB_STACK"]

# Who may sign in. One password for everybody: people are who they say in a hub for development.
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = os.environ["HUB_PASSWORD"]
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"admin"}

# Its database and the key of its cookies are in the folder that it runs in, a volume.
# Port 8000 is published on 127.0.0.1; users' servers and the broker reach port 8081.
c.JupyterHub.bind_url = "http://0.0.0.0:8000"
c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"
c.JupyterHub.hub_connect_url = "http://jupyterhub:8081"
c.JupyterHub.cleanup_servers = True
c.JupyterHub.allow_named_servers = True
# Where it is gone with the proxy: a hub that was killed finds the number in use by itself, and would end that process.
c.ConfigurableHTTPProxy.pid_file = "/run/jupyterhub/proxy.pid"

# Users' servers: on a network that leads to the hub, the broker's kernel port and the two APIs, and nowhere else.
c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.image = os.environ["HUB_NOTEBOOK_IMAGE"]
c.DockerSpawner.pull_policy = "never"
c.DockerSpawner.network_name = os.environ["HUB_USERS_NETWORK"]
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.prefix = f"{stack}-user"
c.DockerSpawner.remove = True
c.DockerSpawner.extra_host_config = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "pids_limit": 512}
# Compose's own marks: `docker compose down --remove-orphans` ends the servers too if the hub could not.
c.DockerSpawner.extra_create_kwargs = {
    "labels": {
        "com.docker.compose.project": stack,
        "com.docker.compose.service": "user-server",
        "com.docker.compose.container-number": "1",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.config-hash": "user-server",
    },
}
c.DockerSpawner.mem_limit = "1G"
c.Spawner.default_url = "/lab"
c.Spawner.http_timeout = 60
c.Spawner.start_timeout = 60
c.Spawner.environment = {"LAB_API": "http://lab-api:8000", "DATA_API": "http://data-api:8000"}
# No question about news in front of a person who came to sign in.
c.Spawner.args = ["--LabApp.news_url=", "--LabApp.extension_manager=readonly"]

# The tests' own service: starts and stops servers as an administrator would.
if tests_token := os.environ.get("HUB_TESTS_TOKEN"):
    c.JupyterHub.services = [{"name": "tests", "api_token": tests_token, "display": False}]
    scopes = ["access:servers", "admin:servers", "admin:users", "read:hub", "shares", "tokens"]
    c.JupyterHub.load_roles = [{"name": "tests", "services": ["tests"], "scopes": scopes}]

configure(
    c,
    public_url=os.environ["HUBKEY_PUBLIC_URL"],
    broker_url="http://token-broker:8091",
    api_token_file=os.environ["HUBKEY_API_TOKEN_FILE"],
    allow_plaintext=True,
)

if extra := os.environ.get("HUB_EXTRA_CONFIG"):
    load_subconfig(extra)  # noqa: F821
