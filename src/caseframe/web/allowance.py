"""How many descriptions somebody without an account may ask for."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerHour

from caseframe.accounts.attempts import network_of
from caseframe.accounts.counting import counting, limiter
from caseframe.domain.access import AccessError, TokenRefused, TooManyAttempts


class AllowanceUsed(TooManyAttempts):
    """All calls of this hour are used up."""

    code = "allowance-used"

    def __init__(self, limit: int, wait: int) -> None:
        AccessError.__init__(
            self,
            f"without an account there are {limit} descriptions an hour; sign in, or try again in "
            f"{max(1, math.ceil(wait / 60))} min",
        )
        self.retry_after = wait


@dataclass(frozen=True)
class Left:
    """What remains of `limit` calls an hour; with none left, `wait` seconds until the next."""

    limit: int
    left: int
    wait: int


class Allowance:
    """Counts calls for each client address in a moving hour. Safe to use from many threads.

    `storage` is a `limits` URI: memory counts within one process, redis:// across several. Where
    nothing can be counted, AccountsAway comes and nobody is let through.
    """

    def __init__(self, calls: int, storage: str = "memory://") -> None:
        self._limit = calls
        self._item = RateLimitItemPerHour(max(calls, 1))
        self._limiter = limiter(storage)
        self.remote = not storage.startswith("memory:")
        """Whether counting may wait for another machine: then ask from a thread."""

    def left(self, address: str) -> Left:
        """What the client there may still ask for."""
        if self._limit == 0:
            return Left(0, 0, 0)
        with counting():
            window = self._limiter.get_window_stats(self._item, self._key(address))
        wait = 0 if window.remaining else max(1, math.ceil(window.reset_time - time.time()))
        return Left(self._limit, window.remaining, min(wait, self._item.get_expiry()))

    def check(self, address: str) -> None:
        """Raise AllowanceUsed when nothing is left there; TokenRefused where only accounts may."""
        if self._limit == 0:
            raise TokenRefused("sign in to have pictures described")
        left = self.left(address)
        if not left.left:
            raise AllowanceUsed(left.limit, left.wait)

    def use(self, address: str) -> None:
        """Count one call. Raises as `check` does; of calls at the same moment none is missed."""
        if self._limit:
            with counting():
                if self._limiter.hit(self._item, self._key(address)):
                    return
        self.check(address)
        raise AllowanceUsed(self._limit, 1)  # a call became free since it was refused

    @staticmethod
    def _key(address: str) -> str:
        return f"describe:{network_of(address)}"
