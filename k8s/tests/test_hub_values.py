"""k8s/z2jh/values.yaml: the Hub makes of it what `hubkey.hub.configure` would set, and the spawner the right pod."""

import asyncio
import json
import sys
from copy import deepcopy

import kubernetes_validate
import pytest
import yaml
from conftest import CHECKOUT, one, render
from jupyterhub.app import JupyterHub
from kubernetes_asyncio.client import ApiClient
from kubespawner import KubeSpawner
from traitlets.config import Config

sys.path.insert(0, str(CHECKOUT / "crates/python-shim/python"))
from hubkey import hub

VALUES = yaml.safe_load((CHECKOUT / "k8s/z2jh/values.yaml").read_text())
API_TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://hubkey.example.org"


@pytest.fixture(autouse=True)
def cluster_of_nobody(tmp_path, monkeypatch):
    """Let the spawner find some cluster in its settings; it asks none."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
        "users": [{"name": "none", "user": {}}],
        "current-context": "none",
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))


def loaded(values):
    """Do what Zero-to-JupyterHub's own jupyterhub_config.py does with these values."""
    values = deepcopy(values)
    c = Config()
    single = values["singleuser"]
    c.KubeSpawner.environment = single["extraEnv"]
    c.KubeSpawner.volumes = {volume["name"]: volume for volume in single["storage"]["extraVolumes"]}
    mounts = single["storage"]["extraVolumeMounts"]
    c.KubeSpawner.volume_mounts = {f"{index}-{mount['name']}": mount for index, mount in enumerate(mounts)}
    services = values["hub"]["services"].items()
    c.JupyterHub.services = [{"name": name, "api_token": API_TOKEN, **service} for name, service in services]
    c.JupyterHub.load_roles = [{"name": name, **role} for name, role in values["hub"]["loadRoles"].items()]
    for section, traits in values["hub"]["config"].items():
        c[section].update(traits)
    for name, code in sorted(values["hub"]["extraConfig"].items()):
        exec(compile(code, name, "exec"), {"c": c})
    return c


async def spawner_of(c):
    """Make a spawner; it wants a running loop."""
    return KubeSpawner(config=c, _mock=True)


def seen(c):
    """Give what Hub and spawner read from a configuration, whatever section it stands in."""
    hub_traits = JupyterHub(config=c)
    spawner = asyncio.run(spawner_of(c))
    roles = {role["name"]: {**role, "scopes": set(role["scopes"])} for role in hub_traits.load_roles}
    return {
        "services": hub_traits.services,
        "roles": roles,
        "custom scopes": hub_traits.custom_scopes,
        "extra user scopes": getattr(hub_traits, "extra_user_scopes", set()),
        "environment": spawner.environment,
        "server scopes": set(spawner.server_token_scopes),
        "hooks": (vars(spawner.pre_spawn_hook), vars(spawner.post_stop_hook)),
    }


def configure(c, **changes):
    environment = VALUES["singleuser"]["extraEnv"]
    settings = {
        "public_url": PUBLIC_URL,
        "broker_url": environment["HUBKEY_URL"],
        "ca_file": environment["HUBKEY_CA_FILE"],
        **changes,
    }
    hub.configure(c, **settings)
    return c


@pytest.mark.parametrize("version", [4, 5, 6])
def test_configure_has_nothing_to_add_to_the_values(version, monkeypatch):
    monkeypatch.setattr(hub, "_hub_version", lambda: version)
    before = loaded(VALUES)
    after = configure(deepcopy(before))
    assert seen(after) == seen(before)


def test_the_values_say_no_more_than_configure_would_set(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_hub_version", lambda: 5)
    token_file = tmp_path / "token"
    token_file.write_text(API_TOKEN)
    alone = seen(configure(Config(), api_token_file=token_file))
    assert seen(loaded(VALUES)) == alone


def test_the_values_hold_the_hook_of_the_package_word_for_word():
    source = (CHECKOUT / "crates/python-shim/python/hubkey/_hub/post_stop_hook.py").read_text()
    _, code = source.split('"""\n\n', 1)
    assert VALUES["hub"]["extraConfig"]["hubkey"].startswith(code)


def test_the_hub_sees_the_authority_where_its_hook_looks_for_it():
    ca_file = loaded(VALUES).Spawner.post_stop_hook.ca_file
    [mount], [volume] = VALUES["hub"]["extraVolumeMounts"], VALUES["hub"]["extraVolumes"]
    assert ca_file == f"{mount['mountPath']}/ca.crt"
    assert mount["name"] == volume["name"]
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    assert volume["secret"]["optional"], "the hub is there before the Secret"


def test_the_values_work_for_a_path_on_the_hubs_origin_too():
    values = deepcopy(VALUES)
    service = values["hub"]["services"]["hubkey"]
    service["url"] = "http://hubkey-callback-server:8090"
    service["oauth_redirect_uri"] = "https://jupyter.example.org/services/hubkey/oauth_callback"
    before = loaded(values)
    after = configure(
        deepcopy(before), public_url="https://jupyter.example.org/services/hubkey", callback_url=service["url"]
    )
    assert seen(after) == seen(before)


def test_the_spawners_pod_reaches_the_broker_and_sees_its_authority_only():
    async def make():
        spawner = KubeSpawner(config=loaded(VALUES), _mock=True)
        pod = await spawner.get_pod_manifest()
        async with ApiClient() as client:
            return client.sanitize_for_serialization(pod)

    manifest = asyncio.run(make())
    kubernetes_validate.validate(manifest, "1.36.0", strict=True)
    pod = manifest["spec"]
    [container] = pod["containers"]
    environment = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert environment["HUBKEY_URL"] == "https://hubkey-token-broker:8091"
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "hubkey-ca"]
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}], (
        "the key of the certificate stays outside"
    )
    [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "hubkey-ca"]
    assert environment["HUBKEY_CA_FILE"] == mount["mountPath"] + "/ca.crt"
    assert pod["automountServiceAccountToken"] is False


def test_the_policies_name_the_pods_and_ports_of_the_chart():
    objects = render("gateway")
    labels = one(objects, "Deployment", "hubkey")["spec"]["template"]["metadata"]["labels"]
    [rule] = VALUES["singleuser"]["networkPolicy"]["egress"]
    assert VALUES["hub"]["networkPolicy"]["egress"] == [rule]
    [peer] = rule["to"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    [port] = one(objects, "Service", "hubkey-token-broker")["spec"]["ports"]
    assert [rule["port"] for rule in rule["ports"]] == [port["port"]]
    assert VALUES["singleuser"]["extraEnv"]["HUBKEY_URL"] == f"https://hubkey-token-broker:{port['port']}"
