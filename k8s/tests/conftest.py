"""What the tests of the chart share: Helm of both versions, the rendered objects, the servers' programs.

`cargo xtask test --only chart` sets where the tools and the programs are.
"""

import os
import subprocess
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
CHART = CHECKOUT / "k8s/hubkey"
CASES = sorted(file.name.removesuffix("-values.yaml") for file in (CHART / "ci").glob("*-values.yaml"))
HELMS = ("helm-3", "helm-4")


def place(variable):
    value = os.environ.get(variable)
    if not value:
        pytest.fail(f"{variable} is not set: run `cargo xtask test --only chart`")
    return Path(value)


def helm(version, *arguments):
    program = place("HUBKEY_CHART_TOOLS") / version / "helm"
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)


def values_file(case):
    return CHART / "ci" / f"{case}-values.yaml"


def render(case, *arguments, version="helm-4"):
    """Give the objects of a case, with further arguments of `helm template`."""
    return deepcopy(_rendered(case, arguments, version))


@cache
def _rendered(case, arguments, version):
    done = helm(version, "template", "hubkey", CHART, "--namespace", "jupyter", "-f", values_file(case), *arguments)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.load_all(done.stdout, yaml.CSafeLoader) if item]


def one(objects, kind, name):
    [found] = [item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


def pod_of(case, objects):
    """Give the pod template of the two servers: their own, or what the sidecar variant adds to the hub's."""
    if case != "sidecar":
        return one(objects, "Deployment", "hubkey")["spec"]["template"]["spec"]
    hub = yaml.safe_load(one(objects, "ConfigMap", "hubkey-hub-values")["data"]["values.yaml"])["hub"]
    return {
        "initContainers": hub["initContainers"],
        "containers": hub["extraContainers"],
        "volumes": hub["extraVolumes"],
    }


@pytest.fixture(params=CASES)
def case(request):
    return request.param


@pytest.fixture
def objects(case):
    return render(case)


@pytest.fixture
def pod(case, objects):
    return pod_of(case, objects)
