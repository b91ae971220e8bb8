"""The examples of docs/how-to/python-libraries.md, run one after the other with the real libraries."""

from __future__ import annotations

import ast
import gc
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hubkey
import pytest
from refusing_api import refusing_api

if TYPE_CHECKING:
    from scripted_broker import Broker

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "python-libraries.md"


def examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_need_15_every_example_of_the_page_works(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("azure.core.pipeline.policies._authentication._enforce_https", lambda _: None)
    # pytest's loop is no kernel's: what the page says of cells is tested in a kernel.
    monkeypatch.setattr("hubkey._sign_in.sync._refuse_in_loop", lambda: None)
    broker.connect()
    with refusing_api() as api:
        broker.api_origins[:] = [api.url]
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{api.url}/sts")
        for name in ("WEB_IDENTITY_TOKEN_FILE", "ROLE_ARN", "DEFAULT_REGION"):
            monkeypatch.setenv(f"AWS_{name}", "eu-central-1")
        scope: dict[str, Any] = {}
        used = 0
        for example in examples():
            before = len(api.tokens)
            await run(example, api.url, scope)
            used += len(api.tokens) > before
    assert used == 10
    assert len(examples()) == 15
    assert (tmp_path / "scan.h5").read_bytes() == b'["aurora"]'
    assert set(api.tokens) == {str(scope["lab"].token)}
    # The examples close no response. What they leave is collected here, where its warnings are ignored.
    scope.clear()
    gc.collect()
    said = capsys.readouterr().out
    assert "Opaque token" in said
    assert "broker:      connected" in said
    assert "canary" not in said


async def run(example: str, api: str, scope: dict[str, Any]) -> None:
    """Run one, as a cell would, at the API of the test, which speaks http."""
    code = example.replace("https://api.lab.example", api).replace('"https"', '"http"')
    code = code.replace("credential_provider=", 'client_options={"allow_http": True}, credential_provider=')
    done = eval(compile(code, "docs/how-to/python-libraries.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), scope)
    if inspect.isawaitable(done):
        await done


def test_the_page_names_every_auth_object() -> None:
    for name in hubkey.auth.__all__:
        assert name in PAGE.read_text() or name in {"TokenFile", "aiohttp_middleware"}, name
