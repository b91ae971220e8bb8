"""The contracts of pyproject.toml about imports: that they hold is a step of the checks, that they can fail is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]
AT_RUN_TIME = "from hubkey._sign_in.connect import connect"
FOR_TYPES_ONLY = f"from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    {AT_RUN_TIME}"


def lint_imports(source: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=PACKAGE,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("_broker/environment.py", AT_RUN_TIME, "No circle among modules"),
        ("_broker/environment.py", FOR_TYPES_ONLY, "No circle among modules"),
        ("_notebook/card.py", "from hubkey._broker import trace", "One direction"),
        ("hub.py", "from hubkey._broker import environment", "What runs in the Hub needs nothing of a kernel"),
    ],
)
def test_an_import_in_the_wrong_direction_is_refused(tmp_path: Path, module: str, planted: str, contract: str) -> None:
    source = shutil.copytree(PACKAGE / "python", tmp_path / "python")
    with (source / "hubkey" / module).open("a") as file:
        file.write(f"\n{planted}\n")
    done = lint_imports(source)
    assert done.returncode == 1
    assert f"{contract} BROKEN" in done.stdout
