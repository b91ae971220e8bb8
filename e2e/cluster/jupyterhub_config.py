"""The hub of the tests on a cluster: KubeSpawner, a proxy in a pod of its own, and the values of k8s/z2jh/values.yaml.

It reads those values as Zero-to-JupyterHub's own configuration does, so what is tested is what an operator gives to
that chart. Everything else is this hub's own business.
"""

import os
from pathlib import Path

import yaml

c = get_config()  # noqa: F821  (JupyterHub defines it)

here = Path(__file__).parent
values = yaml.safe_load((here / "values.yaml").read_text(encoding="utf-8"))

# Who may sign in. One password for everybody: people are who they say in a hub for tests.
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = os.environ["HUB_PASSWORD"]
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"admin"}

# The names and ports of Zero-to-JupyterHub.
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = "http://hub:8081"
c.JupyterHub.bind_url = "http://:8000"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.db_url = "sqlite:////srv/jupyterhub/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/srv/jupyterhub/cookie_secret"

# Users' pods, as strict as the namespace asks for.
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.KubeSpawner.namespace = os.environ["POD_NAMESPACE"]
c.KubeSpawner.image = os.environ["NOTEBOOK_IMAGE"]
c.KubeSpawner.image_pull_policy = "IfNotPresent"
c.KubeSpawner.common_labels = {"app": "jupyterhub"}
c.KubeSpawner.extra_labels = {"hub.jupyter.org/network-access-hub": "true"}
c.KubeSpawner.uid = 1000
c.KubeSpawner.storage_pvc_ensure = False
c.KubeSpawner.container_security_context = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
c.KubeSpawner.mem_limit = "1G"
c.KubeSpawner.mem_guarantee = "128M"
c.KubeSpawner.cpu_guarantee = 0.05
c.Spawner.cmd = ["jupyterhub-singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.http_timeout = 90
c.Spawner.start_timeout = 120
c.Spawner.args = ["--LabApp.news_url=", "--LabApp.extension_manager=readonly"]

# From here on as Zero-to-JupyterHub does it.
single = values["singleuser"]
c.KubeSpawner.environment = single["extraEnv"]
c.KubeSpawner.volumes = {volume["name"]: volume for volume in single["storage"]["extraVolumes"]}
c.KubeSpawner.volume_mounts = {
    f"{index}-{mount['name']}": mount for index, mount in enumerate(single["storage"]["extraVolumeMounts"])
}
c.JupyterHub.services = []
for name, service in values["hub"]["services"].items():
    token = Path("/etc/jupyterhub/secret", f"hub.services.{name}.apiToken").read_text(encoding="utf-8")
    c.JupyterHub.services.append({"name": name, "api_token": token, **service})
c.JupyterHub.load_roles = [{"name": name, **role} for name, role in values["hub"]["loadRoles"].items()]
for section, traits in values["hub"]["config"].items():
    c[section].update(traits)
for name, code in sorted(values["hub"]["extraConfig"].items()):
    exec(compile(code, name, "exec"))  # noqa: S102
