"""The seam between planned work and the machines that do it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Protocol

from caseframe.domain.work import Order, Outcome


class Runner(Protocol):
    """Has orders carried out and hands back what came of each, in any order."""

    def run(self, orders: Iterable[Order | None]) -> Generator[Outcome, None, None]:
        """Take orders as room for them frees up; yield exactly one outcome for each.

        None among the orders says that there are none now and may be more later.

        An order that kills or hangs its worker again and again ends as an outcome that says so.
        Closing the iterator stops the work; what was not yielded was not done. Raises Stopped
        when the runner was asked to stop.
        """

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """These outcomes are in the catalog: whatever else stands for them may go."""

    def close(self) -> None:
        """Stop all workers; safe to call twice, also at once."""
