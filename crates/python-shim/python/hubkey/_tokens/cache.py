"""One token that stays fresh: out of memory, ahead of its end in the background, and by waiting only at its end."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubkey._broker.errors import public_error, refused_argument
from hubkey._broker.event_loop import running_loop
from hubkey._broker.lock import Lock
from hubkey._exceptions import BrokerUnavailable, SignInFailed, SignInRequired
from hubkey._hubkey import ClientError
from hubkey._notebook.interruptible import interruptible_wait

if TYPE_CHECKING:
    from hubkey._hubkey import Broker, Grant, PendingToken

# A new token is fetched when less than this is left, or a tenth of its life if that is more, but not before the half of
# it. A little later than the broker does it, so that one request is enough.
_EARLY = 60.0
_BEHIND_BROKER = 0.8
# What is left must outlast the request that it is for.
_USABLE_ABOVE = 5.0
# How long the broker may take.
_TIMEOUT = 15.0
# How long after a fetch in the background the next one begins, where the first one brought nothing better.
_PAUSE = 5.0
# How long nobody asks for another token because an API refused one: an API that refuses all would cost a refresh each.
_REFUSAL_PAUSE = 30.0


# What nobody sets, and what goes on while the machine sleeps, where there is such a clock.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _now() -> float:
    return time.clock_gettime(_CLOCK)


class SignInNeeded(Exception):
    """There is no token any more: a person has to sign in."""


@dataclass(frozen=True)
class _Held:
    """A token, and until when it is good, by a clock that nobody sets."""

    grant: Grant
    ends: float
    refresh_below: float
    usable_above: float

    @property
    def left(self) -> float:
        return self.ends - _now()


def _held(grant: Grant) -> _Held:
    life = math.inf if grant.seconds_left is None else grant.seconds_left
    return _Held(
        grant,
        ends=_now() + life,
        refresh_below=_BEHIND_BROKER * min(max(_EARLY, life / 10), life / 2),
        usable_above=max(0.0, min(_USABLE_ABOVE, life / 4)),
    )


class TokenCache:
    """The newest token of one connection. No clock that can be set has a say in when it is renewed."""

    __slots__ = ("_broker", "_held", "_lock", "_next_prefetch", "_pending", "_replaceable")

    def __init__(self, broker: Broker, grant: Grant) -> None:
        """Begin with a token that was just fetched."""
        self._held: _Held
        self._broker = broker
        self._lock = Lock()
        self._pending: PendingToken | None = None
        self._next_prefetch = -math.inf
        self._replaceable = -math.inf
        self.take(grant)

    def take(self, grant: Grant) -> None:
        """Go on with this one."""
        self._held = _held(grant)

    @property
    def _grant(self) -> Grant:
        return self._held.grant

    @property
    def newest(self) -> Grant:
        """The newest token that is here; asks nobody."""
        pending = self._pending
        if pending is not None and not pending.is_pending:
            self._pending = None
            try:
                grant = pending.take()
            except ClientError:
                # Whoever needs it at the end asks again, and is told then.
                grant = None
            if grant is not None:
                self.take(grant)
        return self._held.grant

    def get(self, min_valid: float | None = None) -> Grant:
        """Give a token that is valid for so long. Waits in the calling thread, and only if there is none.

        Raises:
            SignInNeeded: a person has to sign in.
            HubkeyError: the broker does not give one.
        """
        if self._suffices(min_valid or 0):
            return self._grant
        # One thread asks, the others take what it got.
        with self._lock.held(_TIMEOUT):
            if self._suffices(min_valid or 0):
                return self._grant
            try:
                self.take(self._broker.get_token(self._grant, _whole_seconds(min_valid), _TIMEOUT))
            except ClientError as failure:
                return self._fallback(failure, min_valid)
        return self._unexpired()

    async def get_async(self, min_valid: float | None) -> Grant:
        """Give a token that is valid for so long, without holding up the event loop.

        Raises:
            SignInNeeded: a person has to sign in.
            HubkeyError: the broker does not give one.
        """
        if self._suffices(min_valid or 0):
            return self._grant
        wanted = _whole_seconds(min_valid)
        loop = running_loop()
        try:
            self.take(await interruptible_wait(self._broker.get_token_async(loop, self._grant, wanted, _TIMEOUT)))
        except ClientError as failure:
            return self._fallback(failure, min_valid)
        return self._unexpired()

    def replace(self, rejected: str) -> Grant | None:
        """Give another token than the one that an API refused, if there is one. Waits in the calling thread.

        Raises:
            SignInNeeded: a person has to sign in.
        """
        with self._lock.held(_TIMEOUT):
            try:
                if self._may_replace(rejected):
                    self.take(self._broker.replace_token(self._grant, _TIMEOUT))
            except ClientError as failure:
                _raise_if_ended(failure)
        return self._other_than(rejected)

    async def replace_async(self, rejected: str) -> Grant | None:
        """Give the same without holding up the event loop.

        Raises:
            SignInNeeded: a person has to sign in.
        """
        if self._may_replace(rejected):
            loop = running_loop()
            try:
                self.take(await interruptible_wait(self._broker.replace_token_async(loop, self._grant, _TIMEOUT)))
            except ClientError as failure:
                _raise_if_ended(failure)
        return self._other_than(rejected)

    def _may_replace(self, rejected: str) -> bool:
        """Say whether the broker has to be asked: it is the newest token, and none was replaced just now."""
        return self.newest.expose_token() == rejected and _now() >= self._replaceable

    def _other_than(self, rejected: str) -> Grant | None:
        held = self._held
        self._replaceable = _now() + min(_REFUSAL_PAUSE, held.refresh_below / 2)
        other = held.grant.expose_token() != rejected and held.left > 0
        return held.grant if other else None

    def fetch(self) -> None:
        """Fetch another token, whatever is left of this one. Waits in the calling thread.

        Raises:
            HubkeyError: the broker does not give one.
        """
        try:
            self.take(self._broker.get_token(self._grant, 1, _TIMEOUT))
        except ClientError as failure:
            raise public_error(failure) from None

    def _suffices(self, seconds: float) -> bool:
        """Whether the newest token will do; if it ends soon, another one is fetched meanwhile."""
        _ = self.newest
        held = self._held
        if held.left <= held.usable_above or held.left < seconds:
            return False
        if held.left <= held.refresh_below:
            self._prefetch()
        return True

    def _prefetch(self) -> None:
        now = _now()
        if self._pending is not None or now < self._next_prefetch:
            return
        self._next_prefetch = now + min(_PAUSE, self._held.refresh_below / 4)
        self._pending = self._broker.prefetch_token(self._grant, 1, _TIMEOUT)

    def _unexpired(self) -> Grant:
        """What the broker gave; it can be over on arrival."""
        held = self._held
        if held.left <= 0:
            raise SignInNeeded
        return held.grant

    def _fallback(self, failure: ClientError, min_valid: float | None) -> Grant:
        """What is left of the old token, if that is why the broker's refusal does not matter."""
        if failure.code == "token_lifetime_too_short" and min_valid is not None:
            raise refused_argument(failure, "min_valid", min_valid) from None
        error = public_error(failure)
        passing = failure.code == "token_lifetime_too_short" or isinstance(error, BrokerUnavailable)
        if passing and self._held.left > 0:
            return self._grant
        if isinstance(error, (SignInRequired, SignInFailed)):
            raise SignInNeeded from None
        raise error from None


def _raise_if_ended(failure: ClientError) -> None:
    """Say that the access has ended; any other failure leaves the API's refusal as it is."""
    if isinstance(public_error(failure), SignInFailed) or failure.code == "sign_in_required":
        raise SignInNeeded from None


def _whole_seconds(min_valid: float | None) -> int:
    return max(1, math.ceil(min_valid or 0))
