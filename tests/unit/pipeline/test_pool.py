"""Orders from an event loop: whatever becomes of the workers, the next order has its turn."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from tests import makers
from tests.support.children import gone, pool_workers
from tests.support.waiting import eventually

from caseframe.domain.errors import ServiceAway
from caseframe.domain.work import Order, Outcome, TaskState
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.pool import OrderPool
from caseframe.pipeline.process import LocalOptions


def with_pool(work: Callable[[OrderPool, LocalRunner], Awaitable[None]]) -> None:
    runner = LocalRunner(LocalOptions(workers=1))
    pool = OrderPool(runner)
    pool.start()

    async def main() -> None:
        async with asyncio.timeout(120):  # what is lost must not hang the others
            await work(pool, runner)

    try:
        asyncio.run(main())
    finally:
        pool.close()


def order(folder: Path, name: str) -> Order:
    (folder / name).write_bytes(makers.photo(96, 64, 1))
    return Order(root=os.fsencode(folder), path=os.fsencode(name), stages=("similar",))


def states(outcome: Outcome) -> list[TaskState]:
    return [stage.state for stage in outcome.stages]


def test_a_worker_killed_while_it_has_no_work_costs_no_order(tmp_path: Path) -> None:
    before = pool_workers()

    async def work(pool: OrderPool, _runner: LocalRunner) -> None:
        for number in range(3):
            assert states(await pool.do(order(tmp_path, f"{number}.jpg"))) == [TaskState.DONE]
            (pid,) = pool_workers() - before
            os.kill(pid, signal.SIGKILL)
            eventually(partial(gone, pid))
        assert states(await pool.do(order(tmp_path, "last.jpg"))) == [TaskState.DONE]
        assert pool.reason is None

    with_pool(work)


def test_while_no_worker_can_begin_the_service_is_away_and_comes_back(tmp_path: Path) -> None:
    before = pool_workers()

    async def work(pool: OrderPool, runner: LocalRunner) -> None:
        await pool.do(order(tmp_path, "first.jpg"))
        marks = Path(runner._marks_file.name)  # which each worker opens first
        marks.rename(tmp_path / "marks")
        for pid in pool_workers() - before:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ServiceAway, match="cannot be started"):
            await pool.do(order(tmp_path, "a.jpg"))
        assert pool.reason is not None
        (tmp_path / "marks").rename(marks)
        assert states(await pool.do(order(tmp_path, "a.jpg"))) == [TaskState.DONE]
        assert pool.reason is None

    with_pool(work)


def test_after_the_end_the_order_is_not_to_blame(tmp_path: Path) -> None:
    async def work(pool: OrderPool, _runner: LocalRunner) -> None:
        pool.close()
        with pytest.raises(ServiceAway, match="stopped"):
            await pool.do(order(tmp_path, "a.jpg"))

    with_pool(work)
