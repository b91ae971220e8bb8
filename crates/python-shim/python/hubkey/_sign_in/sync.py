"""`connect_sync()`: for scripts, and for cells and functions that cannot await."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Literal, NoReturn

from hubkey._exceptions import HubkeyError
from hubkey._notebook.frontend import Frontend
from hubkey._sign_in.connect import connect
from hubkey._traceback import told, was_told

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hubkey._connections.connection import Connection

# How often the waiting thread looks for Ctrl-C and for the stop button.
_TICK = 0.1
# How long it then waits until the card says that the sign-in was cancelled.
_CANCEL_TIMEOUT = 2.0


def connect_sync(  # noqa: PLR0913 - as connect()
    provider: str | None = None,
    *,
    scopes: Iterable[str] | None = None,
    audience: str | None = None,
    resource: str | None = None,
    account: str | None = None,
    timeout: float | None = None,
    interactive: bool | Literal["auto"] = "auto",
    base_path: str = "",
    **unknown: NoReturn,
) -> Connection:
    """Do what `connect()` does, and wait in the calling thread.

    ```python
    lab = hubkey.connect_sync("lab-api")
    ```

    In a notebook `await hubkey.connect(...)` is better: while this waits, nothing else of the kernel goes on. In other
    code that runs in an event loop it is refused, because it would stop that loop for minutes.

    Raises:
        HubkeyError: an event loop runs here that must not wait; or as `connect()` does.
    """
    _refuse_in_loop()
    asked = connect(
        provider,
        scopes=scopes,
        audience=audience,
        resource=resource,
        account=account,
        timeout=timeout,
        interactive=interactive,
        base_path=base_path,
        **unknown,
    )
    loop = asyncio.new_event_loop()
    task = loop.create_task(asked)
    outcome: Future[Connection] = Future()
    # A loop of its own, in a thread of its own: none is nested, and the caller's, if any, is not touched. The context
    # goes along, because by it a kernel knows which cell an output belongs to.
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(_run, loop, task, outcome), name="hubkey connect", daemon=True)
    thread.start()
    try:
        # In steps: a wait without an end would not let every Python hear a signal.
        while not outcome.done():
            wait({outcome}, _TICK)
    except BaseException as stopped:
        if not outcome.done():
            loop.call_soon_threadsafe(task.cancel)
            wait({outcome}, _CANCEL_TIMEOUT)
            if outcome.done() and was_told(outcome.exception()):
                told(stopped)
        raise
    return outcome.result()


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Connection], outcome: Future[Connection]) -> None:
    connection, failure = None, None
    try:
        connection = loop.run_until_complete(task)
    except BaseException as error:  # noqa: BLE001 - raised again by who waits
        failure = error
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    if connection is None:
        outcome.set_exception(failure)
    else:
        outcome.set_result(connection)


def _refuse_in_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    # A kernel runs its cells in its loop. It lets a cell without `await` be stopped by the default handler of SIGINT;
    # in any other, the stop button would wait for the end of this wait.
    stoppable = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if Frontend.current() in {Frontend.NOTEBOOK, Frontend.BATCH} and stoppable:
        return
    raise HubkeyError(
        "connect_sync() would stop the event loop that runs here. Use `await hubkey.connect(...)` instead, or call it"
        " in a thread: `await asyncio.to_thread(hubkey.connect_sync, ...)`.",
    )
