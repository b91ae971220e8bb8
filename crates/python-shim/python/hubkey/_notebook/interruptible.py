"""Waiting in an event loop without making the stop button wait."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TypeVar

_Answer = TypeVar("_Answer")

# A kernel notices Stop only when its event loop wakes.
_TICK = 0.2


async def interruptible_wait(future: asyncio.Future[_Answer], seconds: float = math.inf) -> _Answer:
    """Wait in short steps, so that Stop is noticed between two of them."""
    until = time.monotonic() + seconds
    try:
        while not future.done() and time.monotonic() < until:
            await asyncio.wait({future}, timeout=min(_TICK, until - time.monotonic()))
    except BaseException:
        future.cancel()
        raise
    if not future.done():
        future.cancel()
        raise TimeoutError
    return future.result()
