"""Where one `connect()` is in a trace (W3C Trace Context)."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from hubkey._hubkey import Broker


class _Context(Protocol):
    trace_id: int
    span_id: int
    trace_flags: int
    is_valid: bool


class _Span(Protocol):
    def get_span_context(self) -> _Context: ...


class _Api(Protocol):
    def get_current_span(self) -> _Span: ...


def start_span(broker: Broker) -> Broker:
    """Give a client whose calls are one span: below the notebook's own active span, else at the top of a new trace."""
    trace_id, above, flags = _active() or (secrets.randbits(128), 0, 1)
    # Zero stands for none, in both ids.
    traceparent = f"00-{trace_id or 1:032x}-{secrets.randbits(64) or 1:016x}-{flags:02x}"
    return broker.with_trace(traceparent, above)


def _active() -> tuple[int, int, int] | None:
    """Find the active span of the notebook's own OpenTelemetry. Who has not imported it has none."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    context = cast("_Api", api).get_current_span().get_span_context()
    return (context.trace_id, context.span_id, context.trace_flags & 1) if context.is_valid else None
