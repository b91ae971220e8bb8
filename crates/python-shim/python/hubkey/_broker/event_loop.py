"""The event loop in which a call waits."""

from __future__ import annotations

import asyncio
import sys

from hubkey._exceptions import HubkeyError


def running_loop() -> asyncio.AbstractEventLoop:
    """Give asyncio's loop that runs here.

    Raises:
        HubkeyError: none runs, or one of another kind.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    others = [name for name in ("trio", "curio") if name in sys.modules]
    here = f", and this may be {others[0]}" if others else ""
    raise HubkeyError(
        f"hubkey's calls with `await` need a running event loop of asyncio{here}. Elsewhere, call those without: "
        "`hubkey.connect_sync(...)`, `lab.get_token()`; in trio by `await trio.to_thread.run_sync(...)`.",
    )
