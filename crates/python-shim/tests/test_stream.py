"""A large answer, read part by part: it is never in memory as a whole."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import httpx
import hubkey
import pytest
import requests
from hubkey import auth
from refusing_api import RefusingApi, refusing_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripted_broker import Broker

MIB = 1 << 20
# FEATURES K9: a GiB, for which so much is permitted.
SIZE = 1024
PERMITTED = 50
# So much is held as a whole, to see that it would be noticed.
WHOLE = 192


@pytest.fixture
def api() -> Iterator[RefusingApi]:
    with refusing_api() as api:
        yield api


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Meter:
    """What arrived, and the most memory that it took meanwhile; both in MiB."""

    def __init__(self) -> None:
        self.before = self.most = resident()
        self.length = 0

    def take(self, part: bytes) -> None:
        self.length += len(part)
        self.most = max(self.most, resident())

    @property
    def grown(self) -> float:
        return (self.most - self.before) / MIB


def with_requests(lab: hubkey.Connection, url: str, meter: Meter) -> None:
    with requests.get(url, auth=lab, stream=True, timeout=30) as answer:
        answer.raise_for_status()
        for part in answer.iter_content(MIB):
            meter.take(part)


def with_httpx(lab: hubkey.Connection, url: str, meter: Meter) -> None:
    with httpx.stream("GET", url, auth=auth.httpx_auth(lab)) as answer:
        answer.raise_for_status()
        for part in answer.iter_bytes(MIB):
            meter.take(part)


def with_aiohttp(lab: hubkey.Connection, url: str, meter: Meter) -> None:
    async def read() -> None:
        async with aiohttp.ClientSession(middlewares=(lab.aiohttp_middleware,)) as session, session.get(url) as answer:
            answer.raise_for_status()
            async for part in answer.content.iter_chunked(MIB):
                meter.take(part)

    asyncio.run(read())


@pytest.mark.parametrize("download", [with_requests, with_httpx, with_aiohttp])
async def test_feature_k9_a_large_file_is_never_in_memory_as_a_whole(
    broker: Broker, api: RefusingApi, download: Callable[[hubkey.Connection, str, Meter], None]
) -> None:
    broker.api_origins = [api.url]
    broker.connect()
    lab = await hubkey.connect("lab-api")
    [connection] = broker.connections.values()
    first, second = (broker.access_token(connection, number) for number in (0, 1))
    api.refused.add(first)
    # What a library needs once is not counted.
    await asyncio.to_thread(download, lab, f"{api.url}/large?mib=1", Meter())
    meter = Meter()
    await asyncio.to_thread(download, lab, f"{api.url}/large?mib={SIZE}", meter)
    assert meter.length == SIZE * MIB
    assert meter.grown < PERMITTED, f"{meter.grown:.0f} MiB more"
    assert api.tokens == [first, second, second]


async def test_feature_k9_the_measurement_sees_a_file_that_is_in_memory(broker: Broker, api: RefusingApi) -> None:
    broker.api_origins = [api.url]
    broker.connect()
    lab = await hubkey.connect("lab-api")
    meter = Meter()
    answer = await asyncio.to_thread(requests.get, f"{api.url}/large?mib={WHOLE}", auth=lab, timeout=30)
    meter.take(answer.content)
    assert meter.grown > WHOLE - PERMITTED
