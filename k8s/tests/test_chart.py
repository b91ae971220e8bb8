"""The chart's values and the objects that it makes of them."""

import json
import re
import shutil

import kubernetes_validate
import pytest
import yaml
from conftest import CASES, CHART, CHECKOUT, HELMS, helm, one, pod_of, render, values_file

NO_VALUES = CHART / "values.yaml"


@pytest.mark.parametrize("version", HELMS)
def test_lint_finds_nothing(version, case):
    done = helm(version, "lint", "--strict", CHART, "-f", values_file(case))
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_versions_of_helm_render_the_same(case):
    # The bundled Redis has a random password.
    first, second = ([item for item in render(case, version=version) if item["kind"] != "Secret"] for version in HELMS)
    assert first == second


@pytest.mark.parametrize("kubernetes", ["1.32.0", "1.36.0"])
def test_every_object_is_valid(kubernetes, case):
    for item in render(case):
        # Kinds of other projects have no schema there.
        if not re.search(r"coreos|cert-manager|gateway", item["apiVersion"]):
            kubernetes_validate.validate(item, kubernetes, strict=True)


def test_an_unknown_field_is_not_valid():
    [deployment] = [item for item in render("gateway") if item["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePulPolicy"] = "Never"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.36.0", strict=True)


def refused(*settings, case="gateway"):
    flags = [part for setting in settings for part in ("--set-json", setting)]
    answers = [helm(version, "template", "hubkey", CHART, "-f", values_file(case), *flags) for version in HELMS]
    assert all(answer.returncode != 0 for answer in answers), settings
    return answers[-1].stderr


@pytest.mark.parametrize(
    "setting",
    [
        "replcas=2",
        'redis.sentinel.addresses=["sentinel.example.org:26379"]',
        'redis.sentinel.addresses=["rediss://:hunter2@sentinel.example.org:26379"]',
        'redis.sentinel.password="hunter2"',
        'redis.cluster.nodes=["rediss://redis.example.org"]',
        "redis.cluster=true",
        'tokenBroker.settings.signIn.lifeTime="5m"',
        'tokenBroker.settings.kernel.listen="0.0.0.0:1"',
        "tokenBroker.settings.kernel.allowPlaintext=true",
        'tokenBroker.settings.hub.apiTokenFile="/x"',
        'tokenBroker.settings.kernel.maxWaitingPolls="many"',
        "tokenBroker.settings.kernel.maxWaitingPolls=0",
        'tokenBroker.settings.signIn.sharedServers="maybe"',
        'callbackServer.settings.broker.url="http://x"',
        'providers.lab-api.clientSecretFile="/x"',
        'providers.lab-api.client_id="x"',
        'providers.lab-api.clientSecret.value="hunter2"',
        'providers.lab-api.privateKeyFile="/x"',
        'providers.lab-api.privateKey.value="hunter2"',
        'providers.lab-api.ca="company-ca"',
        'providers.lab-api.ca.pem="x"',
        'providers.lab-api.caFile="/x"',
        'providers.lab-api.outboundProxyPassword="hunter2"',
        'outboundProxy.url="http://hubkey:hunter2@proxy.example.org:3128"',
        'outboundProxy.password="hunter2"',
        'tokenBroker.settings.outboundProxy.url="http://proxy.example.org:3128"',
        'providers.Lab={"issuer":"https://x.example","clientId":"x"}',
        'providers.other={"issuer":"https://x.example"}',
        'publicUrl="http://hubkey.example.org"',
        "shutdownGracePeriodSeconds=25",
        "networkPolicy.kernels=[]",
        'tracing.OTEL_EXPORTER_OTLP_HEADERS="authorization=x"',
        'tracing.PASSWORD="x"',
        "keys.encryption=[]",
        'tokenBroker.image.digest="latest"',
    ],
)
def test_the_schema_refuses(setting):
    message = refused(setting)
    assert "values don't meet the specifications of the schema" in message, message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (['publicUrl=""'], "publicUrl is empty"),
        (['hub.publicUrl=""'], "hub.publicUrl is empty"),
        (["providers=null"], "providers is empty"),
        (["providers.lab-api.clientSecret={}"], "providers.lab-api has no clientSecret"),
        (['providers.lab-api.tokenEndpointAuthMethod="private_key_jwt"'], "providers.lab-api proves itself by a key"),
        (['providers.lab-api.privateKey.existingSecret="x"'], "providers.lab-api has a privateKey"),
        (['providers.lab-api.ca.key="x"'], "providers.lab-api.ca names no certificates"),
        (['providers.lab-api.ca={"existingSecret":"x","existingConfigMap":"y"}'], "providers.lab-api.ca names no"),
        (['keys.existingSecret=""'], "keys.existingSecret is empty"),
        (['redis.url.existingSecret=""'], "redis.url.existingSecret is empty"),
        (["redis.bundled.enabled=true"], "redis.url and redis.bundled.enabled are set together"),
        (['redis.cluster.nodes=["rediss://redis.example.org:6379"]'], "redis.url and redis.cluster are set together"),
        (['redis.sentinel.addresses=["rediss://redis.example.org:26379"]'], "redis.sentinel.master is empty"),
        (['redis.sentinel.master="hubkey"'], "redis.sentinel.addresses is empty"),
        (['tokenBroker.tls.existingSecret=""'], "Set exactly one of"),
        (["tokenBroker.allowPlaintext=true"], "Set exactly one of"),
        (["hub.allowPlaintext=false"], "hub.apiUrl is plain http"),
        (['publicUrl="https://hub.example/services/hubkey"'], "is a path on the hub's origin"),
        (["httpRoute.parentRefs=[]"], "httpRoute.parentRefs is empty"),
    ],
)
def test_a_contradiction_is_told_in_a_sentence(settings, words):
    assert words in refused(*settings)


def test_every_mistake_is_told_at_once():
    message = refused('publicUrl=""', 'keys.existingSecret=""', "tokenBroker.allowPlaintext=true")
    assert message.count("\n- ") == 3, message


def test_the_values_say_what_has_to_be_set():
    done = helm("helm-4", "template", "hubkey", CHART, "-f", NO_VALUES)
    assert done.returncode != 0
    assert done.stderr.count("\n- ") == 7, done.stderr


@pytest.fixture(scope="module")
def chart_with_notes(tmp_path_factory):
    """Copy the chart with its notes as an object, since only an installation prints them."""
    chart = tmp_path_factory.mktemp("notes") / "hubkey"
    shutil.copytree(CHART, chart)
    (chart / "templates/NOTES.txt").rename(chart / "files/NOTES.txt")
    (chart / "templates/notes.yaml").write_text('notes: {{ tpl (.Files.Get "files/NOTES.txt") . | toJson }}')
    return chart


@pytest.fixture
def notes(chart_with_notes):
    def of(case, *arguments):
        show = ["--show-only", "templates/notes.yaml", "--namespace", "jupyter", "-f", values_file(case), *arguments]
        done = helm("helm-4", "template", "hubkey", chart_with_notes, *show)
        assert done.returncode == 0, done.stderr
        return yaml.safe_load(done.stdout)["notes"]

    return of


def test_the_notes_name_what_to_register(notes):
    text = notes("own-host")
    assert "lab-api: client hubkey, redirect URI https://hubkey.example.org/callback/lab-api" in text
    assert "git: client hubkey, redirect URI https://hubkey.example.org/callback/git" in text
    assert "oauth_redirect_uri: https://hubkey.example.org/oauth_callback" in text
    assert "HUBKEY_URL: https://hubkey-token-broker:8091" in text
    assert "NOT ENCRYPTED" not in text
    assert "services.hubkey.url" not in text


def test_the_notes_say_what_is_other_beside_the_hub(notes):
    text = notes("sidecar")
    assert 'singleuser.networkPolicy.egress: to pods with {"component":"hub"}, port 8091' in text
    assert "helm -n jupyter test hubkey" in text
    assert "networkPolicy.egress" not in notes("own-host")


def test_the_notes_repeat_every_plaintext_switch(notes):
    text = notes("hub-origin", "--set", "providers.lab-api.allowPlaintext=true").partition("NOT ENCRYPTED:")[2]
    switches = ("tokenBroker.allowPlaintext", "hub.allowPlaintext", "redis.bundled", "providers.lab-api.allowPlaintext")
    assert [line.split(":")[0].strip("- ") for line in text.split("\n") if line] == list(switches)


def test_redis_is_in_one_place_and_needs_no_url_where_it_is_not_one_address():
    for case, section in (("sentinel", "[redis.sentinel]"), ("cluster", "[redis.cluster]")):
        objects = render(case)
        settings = next(iter(one(objects, "ConfigMap", "hubkey-token-broker")["data"].values()))
        assert section in settings
        assert "url_file" not in settings
        [volume] = [
            volume
            for volume in one(objects, "Deployment", "hubkey")["spec"]["template"]["spec"]["volumes"]
            if volume["name"] == "hubkey-secrets"
        ]
        paths = {item["path"] for source in volume["projected"]["sources"] for item in source["secret"]["items"]}
        assert "redis/url" not in paths
        assert ("redis-sentinel-password/password" in paths) == (case == "sentinel")


@pytest.mark.parametrize("case", ["own-host", "sidecar"])
def test_a_private_key_is_a_file_in_the_broker_alone(case):
    provider = "providers.lab-api"
    objects = render(
        case,
        "--set-json",
        f'{provider}.clientSecret.existingSecret=""',
        "--set",
        f"{provider}.tokenEndpointAuthMethod=private_key_jwt,{provider}.privateKey.existingSecret=lab,{provider}.privateKey.key=es256.pem",
        "--set",
        f"{provider}.publishJwks=true",
    )
    pod = pod_of(case, objects)
    [(volume, item)] = [
        (volume["name"], item)
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if source.get("secret", {}).get("name") == "lab"
        for item in source["secret"]["items"]
    ]
    assert item == {"key": "es256.pem", "path": "providers/lab-api/private-key.pem"}
    mounts = [
        f"{mount['mountPath']}/{item['path']}"
        for container in pod["containers"]
        for mount in container["volumeMounts"]
        if mount["name"] == volume
    ]
    [path] = mounts
    settings = one(objects, "ConfigMap", "hubkey-token-broker")["data"]["token-broker.toml"]
    table = settings.partition("[providers.lab-api]")[2].partition("[providers.")[0]
    assert f'private_key_file = "{path}"' in table
    assert 'token_endpoint_auth_method = "private_key_jwt"' in table
    assert "publish_jwks = true" in table
    assert "client_secret_file" not in table
    assert "private_key" not in one(objects, "ConfigMap", "hubkey-callback-server")["data"]["callback-server.toml"]


@pytest.mark.parametrize(
    ("case", "kind", "item"), [("own-host", "configMap", "ca.crt"), ("sidecar", "secret", "bundle.pem")]
)
def test_a_providers_authority_is_a_file_for_that_provider_alone(case, kind, item):
    objects = render(case)
    pod = pod_of(case, objects)
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "hubkey-secrets"]
    [source] = [
        source[kind] for source in volume["projected"]["sources"] if source.get(kind, {}).get("name") == "company-ca"
    ]
    assert source["items"] == [{"key": item, "path": "providers/lab-api/ca.crt"}]
    settings = one(objects, "ConfigMap", "hubkey-token-broker")["data"]["token-broker.toml"]
    tables = settings.split("[providers.")
    assert 'ca_file = "/etc/hubkey/secrets/providers/lab-api/ca.crt"' in "".join(
        table for table in tables if table.startswith("lab-api]")
    )
    assert not [table for table in tables if "providers/lab-api/ca.crt" in table and not table.startswith("lab-api]")]


def test_found_i1_an_outbound_proxy_is_set_and_its_passwords_are_files():
    proxy = {
        "url": "http://proxy.example.org:3128",
        "user": "hubkey",
        "password": {"existingSecret": "proxy", "key": "of-hubkey"},
    }
    own = 'providers.lab-api.outboundProxy="https://other.example.org:8443"'
    user = 'providers.lab-api.outboundProxyUser="lab"'
    password = 'providers.lab-api.outboundProxyPassword.existingSecret="other-proxy"'
    flags = [f"outboundProxy={json.dumps(proxy)}", own, user, password, 'providers.git.outboundProxy="none"']
    objects = render("own-host", *(part for flag in flags for part in ("--set-json", flag)))
    settings = one(objects, "ConfigMap", "hubkey-token-broker")["data"]["token-broker.toml"]
    secrets = "/etc/hubkey/secrets"
    table = settings.partition("[outbound_proxy]\n")[2].partition("\n\n")[0].splitlines()
    assert sorted(table) == [
        f'password_file = "{secrets}/outbound-proxy-password/password"',
        'url = "http://proxy.example.org:3128"',
        'user = "hubkey"',
    ]
    lab = settings.partition("[providers.lab-api]")[2].partition("[providers.")[0]
    assert 'outbound_proxy = "https://other.example.org:8443"' in lab
    assert f'outbound_proxy_password_file = "{secrets}/providers/lab-api/outbound-proxy-password"' in lab
    assert 'outbound_proxy = "none"' in settings.partition("[providers.git]")[2].partition("[providers.")[0]
    items = {
        (source["secret"]["name"], item["key"]): item["path"]
        for volume in pod_of("own-host", objects)["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if "secret" in source
        for item in source["secret"]["items"]
    }
    assert items["proxy", "of-hubkey"] == "outbound-proxy-password/password"
    assert items["other-proxy", "password"] == "providers/lab-api/outbound-proxy-password"
    without = one(render("own-host"), "ConfigMap", "hubkey-token-broker")["data"]
    assert "outbound_proxy" not in without["token-broker.toml"]


def test_beside_the_hub_the_servers_are_found_in_the_pod_itself():
    more = [{"ip": "192.0.2.7", "hostnames": ["login.lab.example"]}]
    objects = render("sidecar", "--set-json", f"hostAliases={json.dumps(more)}")
    hub = yaml.safe_load(one(objects, "ConfigMap", "hubkey-hub-values")["data"]["values.yaml"])["hub"]
    services = [f"hubkey-{server}" for server in ("token-broker", "callback-server")]
    assert all(one(objects, "Service", name) for name in services)
    assert hub["extraPodSpec"]["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": services}, *more]


def test_the_policy_opens_the_ports_of_sentinels_and_nodes():
    for case, ports in (("sentinel", [6380, 26379, 26380]), ("cluster", [6379, 7000])):
        policy = one(render(case), "NetworkPolicy", "hubkey")["spec"]
        opened = [[port["port"] for port in rule.get("ports", [])] for rule in policy["egress"]]
        assert ports in opened, opened


def test_a_changed_setting_or_key_ring_makes_new_pods():
    def checksums(*arguments):
        return one(render("own-host", *arguments), "Deployment", "hubkey")["spec"]["template"]["metadata"][
            "annotations"
        ]

    before = checksums()
    assert checksums("--set", "tokenBroker.settings.site.hubName=Other") != before
    assert checksums("--set", "callbackServer.settings.maxConnections=7") != before
    assert checksums("--set-json", 'keys.encryption=["encryption-1","encryption-2"]') != before
    assert checksums("--set", "replicas=7") == before


def test_a_pod_drains_longer_than_a_long_poll():
    objects = render("own-host")
    pod = one(objects, "Deployment", "hubkey")["spec"]["template"]["spec"]
    broker = one(objects, "ConfigMap", "hubkey-token-broker")["data"]["token-broker.toml"]
    assert 'shutdown_grace_period = "30s"' in broker
    sleeps = [container["lifecycle"]["preStop"]["sleep"]["seconds"] for container in pod["containers"]]
    assert pod["terminationGracePeriodSeconds"] > max(sleeps) + 30
    strategy = one(objects, "Deployment", "hubkey")["spec"]["strategy"]["rollingUpdate"]
    assert strategy["maxUnavailable"] == 0


METRIC = re.compile(r"\bhubkey_[a-z_]+\b")


def documented_metrics():
    """Read the table of docs/reference/metrics.md, which a check keeps equal to the code: {metric: labels}."""
    rows = re.findall(
        r"^\| `(hubkey_[a-z_]+)` \| (.*?) \|", (CHECKOUT / "docs/reference/metrics.md").read_text(), re.MULTILINE
    )
    # Words in parentheses are values of the label before them.
    return {name: set(re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", labels))) for name, labels in rows}


def queries():
    rules = yaml.safe_load((CHART / "files/rules.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        yield f"{rule['alert']}: {rule['expr']}", set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    dashboard = yaml.safe_load((CHART / "files/dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            yield f"{panel['title']}: {target['expr']}", shown


def test_rules_and_dashboard_use_metrics_and_labels_that_exist():
    known = documented_metrics()
    seen = list(queries())
    assert len(seen) > 20
    for query, shown in seen:
        expression = query.partition(": ")[2]
        names = set(METRIC.findall(expression))
        assert names, query
        labels = {"le"}
        for name in names:
            base = name if name in known else re.sub(r"_(bucket|count|sum)$", "", name)
            assert base in known, f"{name} does not exist: {query}"
            labels |= known[base]
        used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))
        for group in re.findall(r"by \(([^)]*)\)", expression):
            used |= {label.strip() for label in group.split(",")}
        assert used | shown <= labels, f"{used | shown} - {labels}: {query}"


def test_the_rules_and_the_dashboard_are_in_the_objects():
    objects = render("own-host")
    assert one(objects, "PrometheusRule", "hubkey")["spec"]["groups"][0]["rules"]
    assert '"uid": "hubkey"' in one(objects, "ConfigMap", "hubkey-dashboard")["data"]["hubkey.json"]
    ports = {port["name"] for port in one(objects, "Service", "hubkey-metrics")["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in one(objects, "ServiceMonitor", "hubkey")["spec"]["endpoints"]} == ports


def test_every_case_of_ci_is_tried():
    assert CASES == ["cluster", "gateway", "hub-origin", "own-host", "sentinel", "sidecar"]
