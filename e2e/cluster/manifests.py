"""Prints, as one JSON list, what stands around the chart in the tests on a cluster: a hub, Keycloak, two APIs.

Reads its parameters as JSON: the ports on 127.0.0.1 by which the browser comes in, images, secrets, certificates. The
hub's values are those of k8s/z2jh/values.yaml, with what an operator would change.
"""

import json
import sys
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).parents[2]
GIVEN = json.load(sys.stdin)
NAMESPACE = GIVEN["namespace"]
ISSUER = f"http://keycloak.localhost:{GIVEN['keycloak_port']}/realms/hubkey"
RESTRICTED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
HUB = {"app": "jupyterhub", "component": "hub"}
MAY_REACH_THE_HUB = {"hub.jupyter.org/network-access-hub": "true"}
BESIDE_THE_HUB = "hub_values" in GIVEN
TESTS_SCOPES = ["access:servers", "admin:servers", "admin:users", "read:hub", "shares", "tokens"]


def thing(kind, name, api="v1", labels=None, **content):
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels or {}}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}


def service(name, port, target, **selector):
    spec = {"selector": selector, "ports": [{"port": port, "targetPort": target}]}
    return thing("Service", name, spec=spec)


def deployment(name, labels, container, volumes=(), **pod):
    container = {"imagePullPolicy": "IfNotPresent", "securityContext": RESTRICTED, "name": name, **container}
    spec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"fsGroup": 1000},
        "containers": [container],
        "volumes": list(volumes),
        **pod,
    }
    template = {"metadata": {"labels": labels}, "spec": spec}
    spec = {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}, "template": template}
    return thing("Deployment", name, "apps/v1", labels, spec=spec)


def environment(**variables):
    return [{"name": name, "value": str(value)} for name, value in variables.items()]


def probe(path, port):
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 300}


def merged(values, more):
    """Merge as Helm does with a second file of values: maps are merged, lists replaced."""
    if not (isinstance(values, dict) and isinstance(more, dict)):
        return more
    return {**values, **{key: merged(values.get(key), value) for key, value in more.items()}}


def hub_values():
    values = yaml.safe_load((CHECKOUT / "k8s/z2jh/values.yaml").read_text(encoding="utf-8"))
    if BESIDE_THE_HUB:
        # By hand, as docs/how-to/zero-to-jupyterhub.md says: users' pods find the broker in the hub's pod.
        values["singleuser"]["networkPolicy"]["egress"][0]["to"] = [{"podSelector": {"matchLabels": HUB}}]
        values = merged(values, yaml.safe_load(GIVEN["hub_values"]))
    hubkey = values["hub"]["services"]["hubkey"]
    hubkey["oauth_redirect_uri"] = f"{GIVEN['public_url']}/oauth_callback"
    hubkey["url"] = "http://hubkey-callback-server:8090"
    values["hub"]["services"]["tests"] = {"display": False}
    values["hub"]["loadRoles"]["tests"] = {"scopes": TESTS_SCOPES, "services": ["tests"]}
    values["singleuser"]["extraEnv"] |= {"LAB_API": "http://lab-api:8000", "DATA_API": "http://data-api:8000"}
    return values


def hub():
    values = hub_values()["hub"]
    secret = {
        "hub.services.hubkey.apiToken": GIVEN["hub_token"],
        "hub.services.tests.apiToken": GIVEN["tests_token"],
        "proxy": GIVEN["proxy_token"],
    }
    config = {
        "jupyterhub_config.py": (Path(__file__).with_name("jupyterhub_config.py")).read_text(encoding="utf-8"),
        "values.yaml": yaml.safe_dump(hub_values()),
    }
    proxy_token = {"name": "CONFIGPROXY_AUTH_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "proxy"}}}
    settings = environment(
        HUB_PASSWORD=GIVEN["hub_password"], POD_NAMESPACE=NAMESPACE, NOTEBOOK_IMAGE=GIVEN["notebook"]
    )
    container = {
        "image": GIVEN["hub"],
        "env": [*settings, proxy_token],
        "readinessProbe": probe("/hub/health", 8081),
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/jupyterhub"},
            {"name": "secret", "mountPath": "/etc/jupyterhub/secret"},
            {"name": "data", "mountPath": "/srv/jupyterhub"},
            *values["extraVolumeMounts"],
        ],
    }
    volumes = [
        {"name": "config", "configMap": {"name": "hub"}},
        {"name": "secret", "secret": {"secretName": "hub"}},
        {"name": "data", "emptyDir": {}},
        *values["extraVolumes"],
    ]
    yield thing("Secret", "hub", stringData=secret)
    yield thing("ConfigMap", "hub", data=config)
    yield thing("ServiceAccount", "hub")
    rules = [{"apiGroups": [""], "resources": ["pods", "secrets", "services"], "verbs": ["*"]}]
    rules.append({"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]})
    yield thing("Role", "hub", "rbac.authorization.k8s.io/v1", rules=rules)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "hub"}
    subjects = [{"kind": "ServiceAccount", "name": "hub", "namespace": NAMESPACE}]
    yield thing("RoleBinding", "hub", "rbac.authorization.k8s.io/v1", roleRef=reference, subjects=subjects)
    yield service("hub", 8081, 8081, **HUB)
    pod = {"serviceAccountName": "hub", "automountServiceAccountToken": True, **values.get("extraPodSpec", {})}
    pod["initContainers"] = values.get("initContainers", [])
    if BESIDE_THE_HUB:
        # As long as Zero-to-JupyterHub leaves it; the two servers want some seconds before they end.
        pod["terminationGracePeriodSeconds"] = 30
    made = deployment("hub", HUB, container, volumes, **pod)
    made["spec"]["template"]["spec"]["containers"] += values.get("extraContainers", [])
    yield made
    yield hub_policy(values["networkPolicy"])
    proxy = {"app": "jupyterhub", "component": "proxy", **MAY_REACH_THE_HUB}
    command = ["configurable-http-proxy", "--ip=", "--api-ip=", "--api-port=8001", "--port=8000"]
    command += ["--default-target=http://hub:8081", "--error-target=http://hub:8081/hub/error"]
    container = {
        "image": GIVEN["hub"],
        "command": command,
        "env": [proxy_token],
        "readinessProbe": probe("/_chp_healthz", 8000),
    }
    yield service("proxy-public", 80, 8000, **proxy)
    yield service("proxy-api", 8001, 8001, **proxy)
    yield deployment("proxy", proxy, container)


def hub_policy(values):
    """Bound the hub's pod as Zero-to-JupyterHub does.

    A pod of the hub alone is bound more: what Zero-to-JupyterHub lets it reach inside the cluster by default is closed,
    so that the values have to open what they need.
    """
    private = [{"ipBlock": {"cidr": cidr}} for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
    users, proxy = ({"podSelector": {"matchLabels": {"component": name}}} for name in ("singleuser-server", "proxy"))
    egress = [
        {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]},
        # The API of Kubernetes.
        {"ports": [{"port": 443}, {"port": 6443}]},
        {"to": [proxy], "ports": [{"port": 8001}]},
        {"to": [users], "ports": [{"port": 8888}]},
        *([{"to": private}] if BESIDE_THE_HUB else []),
        *values.get("egress", []),
    ]
    ingress = [
        {"from": [{"podSelector": {"matchLabels": MAY_REACH_THE_HUB}}], "ports": [{"port": 8081}]},
        *values.get("ingress", []),
    ]
    spec = {"policyTypes": ["Ingress", "Egress"], "podSelector": {"matchLabels": HUB}}
    return thing("NetworkPolicy", "hub", "networking.k8s.io/v1", spec={**spec, "ingress": ingress, "egress": egress})


def keycloak():
    labels = {"app": "keycloak"}
    port = GIVEN["keycloak_port"]
    realm = (CHECKOUT / "docker/keycloak/hubkey-realm.json").read_text(encoding="utf-8")
    settings = environment(
        KC_BOOTSTRAP_ADMIN_USERNAME="admin",
        KC_BOOTSTRAP_ADMIN_PASSWORD="admin-dev-password",
        KC_HOSTNAME=f"http://keycloak.localhost:{port}",
        KC_HTTP_PORT=port,
        KC_HEALTH_ENABLED="true",
        KC_CACHE="local",
        JAVA_OPTS_KC_HEAP="-Xms64m -Xmx320m",
    )
    container = {
        "image": GIVEN["keycloak"],
        "args": ["start-dev", "--import-realm"],
        "env": settings,
        "readinessProbe": probe("/health/ready", 9000),
        "volumeMounts": [{"name": "realm", "mountPath": "/opt/keycloak/data/import"}],
    }
    yield thing("ConfigMap", "keycloak", data={"hubkey-realm.json": realm})
    # One issuer for the browser and for pods: the same port inside and outside.
    yield service("keycloak", port, port, **labels)
    yield deployment("keycloak", labels, container, [{"name": "realm", "configMap": {"name": "keycloak"}}])


def api(name, scope):
    labels = {"app": name, "tests": "api"}
    keys = f"http://keycloak:{GIVEN['keycloak_port']}/realms/hubkey/protocol/openid-connect/certs"
    arguments = ["--listen=0.0.0.0:8000", f"--issuer={ISSUER}", f"--jwks-uri={keys}"]
    arguments += [f"--audience={name}", f"--scope={scope}"]
    yield service(name, 8000, 8000, **labels)
    yield deployment(name, labels, {"image": GIVEN["api"], "args": arguments})


def apis():
    yield from api("lab-api", "projects:read")
    yield from api("data-api", "data:read")


def users_policy():
    """Bound users' pods as Zero-to-JupyterHub does: DNS, the hub, the proxy, and what the values allow."""
    hub_pods = {"podSelector": {"matchLabels": {"app": "jupyterhub"}}}
    api_pods = {"podSelector": {"matchLabels": {"tests": "api"}}}
    egress = [
        {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]},
        {"to": [hub_pods], "ports": [{"port": 8081}, {"port": 8000}]},
        {"to": [api_pods], "ports": [{"port": 8000}]},
        *hub_values()["singleuser"]["networkPolicy"]["egress"],
    ]
    selector = {"matchLabels": {"component": "singleuser-server"}}
    spec = {"podSelector": selector, "policyTypes": ["Egress"], "egress": egress}
    yield thing("NetworkPolicy", "singleuser", "networking.k8s.io/v1", spec=spec)


def secrets():
    keys = {name: GIVEN[name] for name in ("encryption-1", "encryption-2", "lookup-mac")}
    yield thing("Secret", "hubkey-keys", stringData=keys)
    yield thing("Secret", "hubkey-lab-api", stringData={"client-secret": GIVEN["client_secret"]})
    tls = {name: GIVEN[name] for name in ("tls.crt", "tls.key", "ca.crt")}
    yield thing("Secret", "hubkey-kernel-tls", stringData=tls)


# Everything in the namespace keeps to the strictest of Kubernetes' own standards.
level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
items = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": level}}]
for part in (secrets, keycloak, apis, hub, users_policy):
    items.extend(part())
json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout)
