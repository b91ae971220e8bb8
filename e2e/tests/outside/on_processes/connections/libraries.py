"""A cell: all libraries at once, each with one client, for three expiries of a token of ten seconds."""

import asyncio
import inspect
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, force=True)


async def use(call: Callable[[], Any]) -> int:
    """Call every half second; the API refuses a token that has ended."""
    until, times = time.monotonic() + 36, 0
    while time.monotonic() < until:
        await (call() if inspect.iscoroutinefunction(call) else asyncio.to_thread(call))
        times += 1
        await asyncio.sleep(0.5)
    return times


begun = lab.expires_at  # noqa: F821 - of the cell before
calls = [make(lab, os.environ["LAB_API"]) for make in ALL.values()]  # noqa: F821 - as `lab`
times = await asyncio.gather(*map(use, calls))  # noqa: F704, PLE1142 - a cell may await
assert min(times) > 10, times  # noqa: S101, PLR2004 - on a slow machine, too
assert (lab.expires_at - begun).total_seconds() > 30  # noqa: F821, S101, PLR2004 - as `lab`; three lives
logging.getLogger().setLevel(logging.WARNING)
print(f"{len(calls)} libraries")  # noqa: T201
