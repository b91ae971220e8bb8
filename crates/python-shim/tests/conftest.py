from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripted_broker import SERVER_TOKEN, ApiHandler, Broker, scripted_broker, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """A scripted broker, and an environment as the Hub makes it for a server."""
    for name in ("HUBKEY_CA_FILE", "HUBKEY_PROVIDER", "HUBKEY_INTERACTIVE", "HUBKEY_TIMEOUT", "HUBKEY_ALLOW_PLAINTEXT"):
        monkeypatch.delenv(name, raising=False)
    with scripted_broker() as broker:
        monkeypatch.setenv("HUBKEY_URL", broker.url)
        monkeypatch.setenv("JUPYTERHUB_API_TOKEN", SERVER_TOKEN)
        yield broker


class Api:
    def __init__(self, url: str, received: list[str | None]) -> None:
        self.url = url
        self.received = received


@pytest.fixture
def api() -> Iterator[Api]:
    received: list[str | None] = []
    with serving(type("Handler", (ApiHandler,), {"received": received})) as url:
        yield Api(url, received)


@pytest.fixture
def other_api() -> Iterator[Api]:
    received: list[str | None] = []
    with serving(type("Handler", (ApiHandler,), {"received": received})) as url:
        yield Api(url, received)
