"""What the rendered objects must never be: rules X3, X6, X7, X8 of docs/reference/security-rules.md."""

import json
import re
import subprocess

import pytest
import yaml
from conftest import one, place, pod_of, render

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
SERVERS = {"token-broker": "hubkey_token_broker", "callback-server": "hubkey_callback_server"}


def pods(objects):
    """Give every pod that the chart itself makes."""
    for item in objects:
        if item["kind"] == "Pod":
            yield item["metadata"]["name"], item["spec"]
        elif "template" in item.get("spec", {}):
            yield item["metadata"]["name"], item["spec"]["template"]["spec"]


def containers(pod):
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_security_x6_every_container_is_restricted(objects, pod):
    for name, spec in [*pods(objects), ("servers", pod)]:
        for container in containers(spec):
            context = container["securityContext"]
            where = f"{name}/{container['name']}"
            assert context["runAsNonRoot"] is True, where
            assert context["runAsUser"] > 0, where
            assert context["readOnlyRootFilesystem"] is True, where
            assert context["allowPrivilegeEscalation"] is False, where
            assert context["capabilities"] == {"drop": ["ALL"]}, where
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert container["resources"]["limits"]["memory"], where


def test_security_x6_no_pod_has_a_service_account_token(objects):
    for name, spec in pods(objects):
        assert spec["automountServiceAccountToken"] is False, name
    assert all(item["automountServiceAccountToken"] is False for item in objects if item["kind"] == "ServiceAccount")
    assert not [item for item in objects if "Role" in item["kind"]]


def secrets_of(pod, container):
    """Give the keys of Secrets that a container sees, as (secret, key)."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    seen = set()
    for mount in container.get("volumeMounts", []):
        volume = volumes[mount["name"]]
        sources = volume.get("projected", {}).get("sources", [])
        if "secret" in volume:
            sources = [{"secret": {"name": volume["secret"]["secretName"], **volume["secret"]}}]
        for secret in (source["secret"] for source in sources if "secret" in source):
            seen |= {(secret["name"], item["key"]) for item in secret["items"]}
    return seen


def test_security_x6_secrets_are_distinct_for_each_container(pod):
    by_name = {container["name"]: secrets_of(pod, container) for container in containers(pod)}
    # callback-server holds the channel's secret, which is made in the pod, and no Secret at all.
    assert by_name["callback-server"] == set()
    assert by_name["hubkey-channel"] == set()
    expected = {("hubkey-keys", "lookup-mac"), ("hub", "hub.services.hubkey.apiToken")}
    assert expected < by_name["token-broker"]
    for container in containers(pod):
        for variable in container.get("env", []):
            assert "valueFrom" not in variable, "a secret in the environment"
        assert "envFrom" not in container


def test_security_x6_the_settings_hold_no_secret(objects):
    maps = json.dumps([item for item in objects if item["kind"] == "ConfigMap"])
    for word in ("secret =", "password =", "token =", "requirepass", "redis://"):
        assert word not in maps, word
    for server in SERVERS:
        toml = one(objects, "ConfigMap", f"hubkey-{server}")["data"][f"{server}.toml"]
        keys = re.findall(r"^(\w*(?:secret|password|token|key)\w*) =", toml, re.MULTILINE)
        names_no_secret = ("_file", "_files", "token_endpoint", "token_endpoint_auth_method")
        assert all(key.endswith(names_no_secret) for key in keys), keys


def test_security_x7_the_sidecars_do_not_see_the_hubs_service_account():
    pod = pod_of("sidecar", render("sidecar"))
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for container in containers(pod):
        [mount] = [mount for mount in container["volumeMounts"] if mount["mountPath"] == SERVICE_ACCOUNT]
        assert "emptyDir" in volumes[mount["name"]], container["name"]
        assert mount["readOnly"] is True


def test_security_x8_nothing_routes_to_the_broker(objects):
    """Only callback-server's Service is behind an ingress, a route or the hub's proxy."""
    targets = set()
    for item in objects:
        if item["kind"] == "Ingress":
            paths = [path for rule in item["spec"]["rules"] for path in rule["http"]["paths"]]
            targets |= {path["backend"]["service"]["name"] for path in paths}
        elif item["kind"] == "HTTPRoute":
            targets |= {ref["name"] for rule in item["spec"]["rules"] for ref in rule["backendRefs"]}
    assert targets <= {"hubkey-callback-server"}
    service = one(objects, "Service", "hubkey-callback-server")["spec"]
    assert [port["targetPort"] for port in service["ports"]] == ["hubkey-public"]
    assert all(item["spec"].get("type", "ClusterIP") == "ClusterIP" for item in objects if item["kind"] == "Service")


def check_config(program, toml, folder, certificates):
    """Read the rendered settings with the program itself; their files are made below the folder."""
    for path in set(re.findall(r'"(/(?:etc|run)/hubkey/[^"]+)"', toml)):
        file = folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("0123456789abcdef" * 4)
        if path.endswith("/url"):
            user = "hubkey" if "password_file" in toml else "hubkey:canary"
            file.write_text(f"rediss://{user}@redis.example.org:6379")
        if path.endswith((".crt", ".key")):
            file.write_text((certificates / path.rpartition(".")[2]).read_text())
    toml = re.sub(r'"(/(?:etc|run)/hubkey/)', rf'"{folder}\1', toml)
    file = folder / f"{program}.toml"
    file.write_text(toml)
    command = [place("HUBKEY_PROGRAMS") / program, "--config", file, "check-config"]
    return subprocess.run(command, capture_output=True, text=True, env={}, check=False)


@pytest.fixture
def certificate(tmp_path):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=hubkey-token-broker", "-keyout", tmp_path / "key", "-out", tmp_path / "crt"]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path


def test_the_servers_accept_the_rendered_settings(objects, tmp_path, certificate):
    for server in SERVERS:
        toml = one(objects, "ConfigMap", f"hubkey-{server}")["data"][f"{server}.toml"]
        folder = tmp_path / server
        folder.mkdir()
        done = check_config(server, toml, folder, certificate)
        assert done.returncode == 0, f"{done.stderr}\n{toml}"


def settings(objects, server):
    toml = one(objects, "ConfigMap", f"hubkey-{server}")["data"][f"{server}.toml"]
    section = ""
    found = {}
    for line in toml.splitlines():
        if line.startswith("["):
            section = line.strip("[]") + "."
        elif " = " in line:
            key, _, value = line.partition(" = ")
            found[section + key] = yaml.safe_load(value)
    return found


def test_ports_of_the_pod_are_those_that_the_servers_listen_on(objects, pod):
    broker, callback = settings(objects, "token-broker"), settings(objects, "callback-server")
    listening = {
        "hubkey-kernel": broker["kernel.listen"],
        "hubkey-ops": broker["ops.listen"],
        "hubkey-public": callback["listen"],
        "hubkey-ops-page": callback["ops.listen"],
    }
    declared = {port["name"]: port["containerPort"] for container in pod["containers"] for port in container["ports"]}
    assert declared == {name: int(address.rpartition(":")[2]) for name, address in listening.items()}
    assert broker["internal.listen"].startswith("127.0.0.1:")
    assert callback["broker.url"] == "http://" + broker["internal.listen"]
    assert callback["shared_secret_file"] == broker["internal.shared_secret_file"]
    assert callback["public_url"] == broker["public_url"]
    for container in pod["containers"]:
        ops = {"token-broker": "hubkey-ops", "callback-server": "hubkey-ops-page"}[container["name"]]
        paths = {
            container[probe]["httpGet"]["path"]: container[probe]["httpGet"]["port"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        assert paths == {"/healthz": ops, "/readyz": ops}


def doors(policy):
    """Give who may reach which port, as {port: peers}."""
    return {port["port"]: rule.get("from") for rule in policy["spec"]["ingress"] for port in rule["ports"]}


@pytest.mark.parametrize("case", ["hub-origin"])
def test_security_x3_policies_open_the_doors_that_are_needed_and_no_other(objects):
    policy = one(objects, "NetworkPolicy", "hubkey")
    opened = doors(policy)
    assert set(opened) == {"hubkey-kernel", "hubkey-public"}, "metrics and the internal listener are for nobody"
    kernels = [peer["podSelector"]["matchLabels"] for peer in opened["hubkey-kernel"]]
    assert {"component": "singleuser-server"} in kernels
    # The hub's own pod tells of servers that ended.
    assert any(labels.get("component") == "hub" for labels in kernels)
    assert {"component": "proxy"} not in kernels
    browsers = [peer["podSelector"]["matchLabels"] for peer in opened["hubkey-public"]]
    assert {"component": "proxy"} in browsers
    assert {"component": "singleuser-server"} not in browsers
    # A selector of pods alone means this namespace.
    assert all("namespaceSelector" not in peer for peers in opened.values() for peer in peers)
    redis = one(objects, "NetworkPolicy", "hubkey-redis")["spec"]
    [rule] = redis["ingress"]
    [peer] = rule["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "servers"


def test_metrics_are_for_the_prometheus_that_is_named():
    opened = doors(one(render("own-host"), "NetworkPolicy", "hubkey"))
    monitoring = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert opened["hubkey-ops"] == opened["hubkey-ops-page"] == monitoring


def test_the_hubs_policy_of_the_sidecar_variant_opens_the_same_doors():
    objects = render("sidecar")
    hub = yaml.safe_load(one(objects, "ConfigMap", "hubkey-hub-values")["data"]["values.yaml"])["hub"]
    opened = {port["port"]: rule.get("from") for rule in hub["networkPolicy"]["ingress"] for port in rule["ports"]}
    assert set(opened) == {8090, 8091, 9091, 9092}
    assert {"podSelector": {"matchLabels": {"component": "proxy"}}} in opened[8090]
    # The pod of `helm test`.
    for port in (8090, 8091):
        peers = [peer["podSelector"]["matchLabels"] for peer in opened[port]]
        assert [peer for peer in peers if peer.get("app.kubernetes.io/component") == "test"], port
    assert not [item for item in objects if item["kind"] == "NetworkPolicy"]
    assert one(objects, "Service", "hubkey-token-broker")["spec"]["selector"] == {"component": "hub"}
