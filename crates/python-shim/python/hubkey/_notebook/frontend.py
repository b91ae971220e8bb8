"""Where this Python runs, as far as asking a person goes."""

from __future__ import annotations

import re
import sys
from enum import Enum
from typing import Any


class Frontend(Enum):
    """Where this Python runs, as far as asking a person goes."""

    NOTEBOOK = "a notebook with a person"
    BATCH = "a notebook that runs by itself"
    TERMINAL = "a terminal"
    NOWHERE = "a process that nobody watches"

    @property
    def has_a_person(self) -> bool:
        """Whether a link that is shown here can be clicked by somebody."""
        return self in {Frontend.NOTEBOOK, Frontend.TERMINAL}

    def words(self, text: str) -> str:
        """Say it in the words of this place: only a notebook has cells."""
        if self in {Frontend.NOTEBOOK, Frontend.BATCH}:
            return text
        return re.sub(r"\b([Rr]un|[Rr]unning) the cell again\b", r"\1 this again", text).replace(
            "Another cell", "Another call"
        )

    @classmethod
    def current(cls) -> Frontend:
        """Find out where this Python runs."""
        kernel = getattr(_shell(), "kernel", None)
        if kernel is not None:
            # The front end says with each cell whether somebody is there to answer; executors of notebooks say no.
            request: dict[str, Any] = kernel.get_parent("shell") or {}
            asks = request.get("content", {}).get("allow_stdin", True)
            return Frontend.NOTEBOOK if asks else Frontend.BATCH
        # Never stdin: it is no terminal in many places where people are, and a terminal in some where they are not.
        watched = any(stream is not None and stream.isatty() for stream in (sys.stderr, sys.stdout))
        return Frontend.TERMINAL if watched else Frontend.NOWHERE


def current_cell() -> int | None:
    """Give the number of the cell that runs, where there are cells."""
    number = getattr(_shell(), "execution_count", None)
    return number if isinstance(number, int) else None


def _shell() -> object | None:
    """Give the running IPython, without loading one where there is none."""
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only where it is loaded already

    return get_ipython()
