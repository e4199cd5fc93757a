"""Waiting for one's turn to write, in steps between which one may be called away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from caseframe import logs
from caseframe.domain.errors import CatalogAway, CatalogBusy, Stopped

T = TypeVar("T")
STEP_SECONDS = 1.0
"""How long one step is: SQLite waits deaf to signals and to `stop`."""


def never() -> bool:
    """The `stop` of those whom nobody stops or calls away."""
    return False


@dataclass(frozen=True)
class Patience:
    """How long somebody waits for others who write; `stop` says when they are to give up."""

    seconds: float
    stop: Callable[[], bool] = never

    def until(self) -> float:
        """When it is over if it begins now."""
        return time.monotonic() + self.seconds

    def steps(self, until: float) -> Iterator[float]:
        """Seconds to wait at each try, of which there is at least one. Raises Stopped."""
        yield _step(until)
        while time.monotonic() < until:
            self.go_on()
            yield _step(until)

    def go_on(self) -> None:
        """Raise Stopped when nobody wants to wait any longer."""
        if self.stop():
            raise Stopped

    def take(self, line: threading.Lock, until: float) -> bool:
        """Acquire the lock; False when others had it for too long. Raises Stopped."""
        return any(line.acquire(timeout=step) for step in self.steps(until))

    def again(self, work: Callable[[], T]) -> T:
        """Do `work`, again and again while the database is away or held. Raises Stopped."""
        until, pause = self.until(), 0.1
        while True:
            try:
                return work()
            except (CatalogAway, CatalogBusy) as error:
                if time.monotonic() + pause > until:
                    raise
                logs.warn(__name__, "catalog.away", reason=str(error), again_in=pause)
            self.go_on()
            time.sleep(pause)
            pause = min(pause * 2, 5.0)


def _step(until: float) -> float:
    return max(0.0, min(STEP_SECONDS, until - time.monotonic()))
