"""What a person sees of an exception of ours: what happened and what to do, and not the way through the code.

A notebook and IPython ask the exception itself. Other consoles and scripts ask `sys.excepthook`, which is extended for
exceptions of ours alone. `HUBKEY_TRACEBACK=1` shows whole tracebacks everywhere; in IPython `%tb` does, too.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

VARIABLE = "HUBKEY_TRACEBACK"
# Set on exceptions that are not ours and that the card has told: Stop and Ctrl-C.
_TOLD = "_hubkey_told"
_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep  # noqa: PTH100, PTH120 - compared with names of frames


def rendered(error: BaseException) -> list[str]:
    """Give IPython the lines to show of an exception of ours."""
    # `%tb` asks when nothing is being handled.
    if _wants_all() or sys.exc_info()[1] is None:
        return _lines(error)
    return [_named(error)]


def told(error: BaseException) -> None:
    """Note that the card has said what this exception would: Stop is followed by nothing but the card."""
    with suppress(AttributeError, TypeError):
        setattr(error, _TOLD, True)
        if not _wants_all():
            # IPython looks for it at whatever it shows; a line that is empty would be replaced by the exception's name.
            error._render_traceback_ = lambda: [" "]  # pyright: ignore[reportAttributeAccessIssue]


def was_told(error: BaseException | None) -> bool:
    """Say whether the card has told it."""
    return getattr(error, _TOLD, False)


def install(ours: type[BaseException]) -> None:
    """Show exceptions of ours that nobody catches in a script or a console by the place and the sentence."""
    before = sys.excepthook

    def shown(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if _wants_all() or sys.stderr is None:
            before(kind, error, trace)
        elif isinstance(error, ours):
            print("\n".join([*_where(trace), _named(error)]), file=sys.stderr)  # noqa: T201 - as Python prints them
        elif not (isinstance(error, KeyboardInterrupt) and (was_told(error) or _ended_a_told_one(error))):
            before(kind, error, trace)

    sys.excepthook = shown


def _wants_all() -> bool:
    return os.environ.get(VARIABLE, "") not in {"", "0"}


def _named(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).rstrip()


def _lines(error: BaseException) -> list[str]:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)).splitlines()


def _ended_a_told_one(error: KeyboardInterrupt) -> bool:
    """Say whether asyncio raised it in the place of the cancellation that the card has told."""
    cancelled = error.__context__
    return not isinstance(cancelled, KeyboardInterrupt) and was_told(cancelled)


def _where(trace: TracebackType | None) -> list[str]:
    """Name the last line of the person's own code on the way; nothing where there is none."""
    libraries = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    others = (_OURS, "<frozen", *libraries)
    frames = [frame for frame in traceback.extract_tb(trace) if not frame.filename.startswith(others)]
    if not frames:
        return []
    last = frames[-1]
    return [f'  File "{last.filename}", line {last.lineno}, in {last.name}']
