"""Whom the shim takes for the broker, and what it says where it does not."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from scripted_broker import SERVER_TOKEN, Broker, scripted_broker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONNECT = "import asyncio, hubkey\nlab = asyncio.run(hubkey.connect('lab-api'))\nprint(len(lab.token))\n"


def openssl(folder: Path, arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments.split()], cwd=folder, capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        pytest.fail("the program openssl is needed to make certificates")
    assert done.returncode == 0, done.stderr


def certificate(folder: Path, name: str, subject: str) -> None:
    """Make `<name>.pem` and `<name>.key` for a subject, signed by an authority of its own, `<name>-ca.pem`."""
    new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    openssl(folder, f"req -x509 {new} -keyout {name}-ca.key -out {name}-ca.pem -days 2 -subj /CN={name}")
    openssl(folder, f"req {new} -keyout {name}.key -out {name}.csr -subj /CN={name}")
    (folder / f"{name}.cnf").write_text(f"subjectAltName={subject}")
    signing = f"-CA {name}-ca.pem -CAkey {name}-ca.key -CAcreateserial -days 2 -extfile {name}.cnf"
    openssl(folder, f"x509 -req -in {name}.csr {signing} -out {name}.pem")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    certificate(folder, "right", "IP:127.0.0.1")
    certificate(folder, "other", "IP:127.0.0.2")
    return folder


@pytest.fixture
def broker(certificates: Path) -> Iterator[Broker]:
    with broker_with(certificates, "right") as broker:
        yield broker


def broker_with(folder: Path, name: str):  # noqa: ANN201 - a context manager of a broker
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return scripted_broker(tls)


def connect(url: str, **environment: Path) -> subprocess.CompletedProcess[str]:
    """Connect in a process of its own, which knows no authority but those of the given files."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("HUBKEY_", "SSL_CERT_"))}
    hub = {"HUBKEY_URL": url, "JUPYTERHUB_API_TOKEN": SERVER_TOKEN}
    files = {name: str(path) for name, path in environment.items()}
    command = [sys.executable, "-c", CONNECT]
    # Distrust is told at once: the wait for a broker that is down is longer than this.
    return subprocess.run(command, env={**own, **hub, **files}, capture_output=True, text=True, timeout=20, check=False)


def test_a_ca_file_adds_to_what_the_system_trusts(certificates: Path, broker: Broker) -> None:
    broker.connect()
    right, other = certificates / "right-ca.pem", certificates / "other-ca.pem"
    for trusted in (
        {"HUBKEY_CA_FILE": right},
        {"HUBKEY_CA_FILE": right, "SSL_CERT_FILE": other},
        {"HUBKEY_CA_FILE": other, "SSL_CERT_FILE": right},
    ):
        done = connect(broker.url, **trusted)
        assert done.returncode == 0, done.stderr


def test_security_x2_an_unknown_authority_is_refused_with_what_to_do(certificates: Path, broker: Broker) -> None:
    for trusted in ({}, {"HUBKEY_CA_FILE": certificates / "other-ca.pem"}):
        done = connect(broker.url, **trusted)
        assert "hubkey.ConfigurationError: The broker's certificate is signed by an authority" in done.stderr
        assert "ca_file (HUBKEY_CA_FILE)" in done.stderr
        assert SERVER_TOKEN not in done.stderr
    assert broker.seen == []


def test_security_x2_a_certificate_for_another_name_is_refused_with_what_to_do(certificates: Path) -> None:
    with broker_with(certificates, "other") as broker:
        done = connect(broker.url, HUBKEY_CA_FILE=certificates / "other-ca.pem")
        assert "is for another name" in done.stderr
        assert "a certificate that names the host of HUBKEY_URL" in done.stderr
        assert broker.seen == []


def test_https_where_plain_http_is_spoken_is_told(certificates: Path) -> None:
    with scripted_broker() as broker:
        done = connect(broker.url.replace("http:", "https:"), HUBKEY_CA_FILE=certificates / "right-ca.pem")
        assert "does not speak TLS" in done.stderr
        assert "correct HUBKEY_URL" in done.stderr
