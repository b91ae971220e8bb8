"""The contracts of pyproject.toml about imports: that they hold is a step of the checks, that they can fail is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]
AT_RUN_TIME = "from hubkey._connect import connect"
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


@pytest.mark.parametrize("planted", [AT_RUN_TIME, FOR_TYPES_ONLY])
def test_a_circle_among_modules_is_refused(tmp_path: Path, planted: str) -> None:
    source = shutil.copytree(PACKAGE / "python", tmp_path / "python")
    with (source / "hubkey" / "_settings.py").open("a") as module:
        module.write(f"\n{planted}\n")
    done = lint_imports(source)
    assert done.returncode == 1
    assert "No circle among modules BROKEN" in done.stdout
