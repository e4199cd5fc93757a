"""The seam between planned work and the machines that do it."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Protocol

from caseframe.domain.work import Order, Outcome


class Runner(Protocol):
    """Has orders carried out and hands back what came of each, in any order."""

    def run(self, orders: Iterable[Order]) -> Generator[Outcome, None, None]:
        """Take orders as room for them frees up; yield exactly one outcome for each.

        An order that kills or hangs its worker again and again ends as an outcome that says so.
        Closing the iterator stops the work; what was not yielded was not done. Raises Stopped
        when the runner was asked to stop.
        """

    def close(self) -> None:
        """Stop all workers; safe to call twice."""
