"""Calls that are awaited, and say so where somebody forgot it."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, NoReturn, ParamSpec, TypeVar

from hubkey._exceptions import HubkeyError, NotAwaited

_Result_co = TypeVar("_Result_co", covariant=True)
_Parameters = ParamSpec("_Parameters")


class Call(Coroutine[Any, Any, _Result_co], Generic[_Result_co]):
    """A coroutine that knows how it is written: `await`, `asyncio.run` and tasks take it as any other."""

    __slots__ = ("_begun", "_coroutine", "_place", "_right", "_told")

    def __init__(self, coroutine: Coroutine[Any, Any, _Result_co], right: str, place: tuple[str, int]) -> None:
        """`right` is the call as it has to be written; `place` is where it stands."""
        self._coroutine = coroutine
        self._right = right
        self._place = place
        self._begun = False
        self._told = False

    def __await__(self) -> Generator[Any, Any, _Result_co]:
        """Begin, once."""
        if self._begun:
            raise HubkeyError(f"This call was awaited before. Keep what it gives: `{self._right}`.")
        self._begun = True
        return (yield from self._coroutine.__await__())

    def send(self, value: Any, /) -> Any:  # noqa: ANN401 - as any coroutine
        """Go on, for a task."""
        self._begun = True
        return self._coroutine.send(value)

    def throw(self, kind: Any, value: Any = None, trace: Any = None, /) -> Any:  # noqa: ANN401 - as any coroutine
        """Raise inside, for a task that is cancelled."""
        self._begun = True
        error = kind if value is None else value
        return self._coroutine.throw(error if trace is None else error.with_traceback(trace))

    def close(self) -> None:
        """Never begin, or end."""
        self._begun = True
        self._coroutine.close()

    def __repr__(self) -> str:
        """Say what is missing, where a cell shows the value of its last line."""
        self._told = True
        return f"<not awaited: nothing has happened yet. Write `{self._right}`.>"

    def __getattr__(self, name: str) -> NoReturn:
        """Say what is missing, where the result was expected."""
        if name.startswith("_"):
            # What consoles and libraries look for at any value.
            raise AttributeError(name)
        self._told = True
        raise NotAwaited(f"This call was not awaited, so it has no {name!r} yet. Write `{self._right}`.")

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Say what is missing, where a library takes it for an `auth`."""
        self._told = True
        raise NotAwaited(f"This call was not awaited, so there is no token yet. Write `{self._right}`.")

    def __del__(self) -> None:
        """Warn where it was forgotten altogether."""
        if self._begun:
            return
        self._coroutine.close()
        if self._told:
            return
        # By its place, and without the memory of warnings: each time that it is forgotten it is told.
        text = f"A call of hubkey was not awaited: nothing has happened. Write `{self._right}`."
        warnings.warn_explicit(text, RuntimeWarning, *self._place, source=None)


def awaited(
    right: str,
) -> Callable[
    [Callable[_Parameters, Coroutine[Any, Any, _Result_co]]],
    Callable[_Parameters, Coroutine[Any, Any, _Result_co]],
]:
    """Have calls of a function say so where they are not awaited; `right` shows how one is written."""

    def decorate(
        function: Callable[_Parameters, Coroutine[Any, Any, _Result_co]],
    ) -> Callable[_Parameters, Coroutine[Any, Any, _Result_co]]:
        @functools.wraps(function)
        def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Coroutine[Any, Any, _Result_co]:
            return Call(function(*args, **kwargs), right, _caller())

        return call

    return decorate


def _caller() -> tuple[str, int]:
    """Say where the call stands: two frames up from here."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame and frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame else ("<unknown>", 1)
