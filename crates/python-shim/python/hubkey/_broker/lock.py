"""A lock that holds nobody up for ever: not where the thread that holds it is gone, and not where it waits itself."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_LOCKS: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """A mutual exclusion that saves requests. Whoever has waited for long enough goes on without it."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        """Begin unlocked."""
        self._lock = threading.Lock()
        _LOCKS.add(self)

    @contextmanager
    def held(self, seconds: float) -> Generator[None]:
        """Hold it, after waiting for so long at most."""
        lock = self._lock
        locked = lock.acquire(timeout=seconds)
        try:
            yield
        finally:
            if locked:
                lock.release()

    def renew(self) -> None:
        """Unlock it, whoever holds it."""
        self._lock = threading.Lock()


def _renew_all() -> None:
    for lock in list(_LOCKS):
        lock.renew()


# The thread that held a lock is not in the child, and would never unlock it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
