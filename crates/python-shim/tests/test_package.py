"""The package as it is installed: what stands beside the code, and how far its types are known."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]


def test_found_k7_the_texts_of_both_licences_are_in_the_package() -> None:
    package = distribution("hubkey")
    assert package.metadata["License-Expression"] == "Apache-2.0 OR MIT"
    names = package.metadata.get_all("License-File")
    assert sorted(names or []) == ["LICENSE-APACHE", "LICENSE-MIT"]
    files = package.files or []
    for name in names or []:
        (found,) = [file for file in files if file.name == name]
        assert found.read_text() == (CHECKOUT / name).read_text()


def test_found_k7_the_description_has_no_link_that_leads_nowhere_outside_the_repository() -> None:
    description = distribution("hubkey").metadata.get_payload()
    links = re.findall(r"\]\(([^)]*)\)", description)
    assert [link for link in links if not link.startswith("https://")] == []


def test_found_k7_nothing_beside_the_code_names_the_machine_that_built_it() -> None:
    places = {str(CHECKOUT), str(Path.home()), os.environ.get("CARGO_HOME", str(Path.home() / ".cargo")), "file:///"}
    for file in distribution("hubkey").files or []:
        if ".dist-info" in str(file) and file.name != "direct_url.json":
            text = file.read_binary()
            assert [place for place in places if place.encode() in text] == [], file


def test_found_k8_every_type_that_a_user_meets_is_known() -> None:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    result = subprocess.run(
        [*command, "--ignoreexternal", "--verifytypes", "hubkey"], capture_output=True, text=True, check=False, cwd="/"
    )
    report = json.loads(result.stdout)["typeCompleteness"]
    unknown = [symbol["name"] for symbol in report["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]]
    assert (report["completenessScore"], unknown) == (1, [])
