"""Beginning and end of the process pool."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests import makers
from tests.support.children import pool_workers
from tests.support.waiting import eventually

from caseframe.domain.errors import CaseframeError
from caseframe.domain.evidence import Examined, FileState
from caseframe.domain.work import Order, TaskState
from caseframe.pipeline import process
from caseframe.pipeline.local import LocalRunner, _Flight
from caseframe.pipeline.process import LocalOptions


def test_workers_that_start_soon_take_the_first_order(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(makers.photo(96, 64, 1))
    before = pool_workers()
    runner = LocalRunner(LocalOptions(workers=2))
    try:
        runner.start_soon()
        order = Order(root=os.fsencode(tmp_path), path=b"a.jpg", stages=("similar",))
        (outcome,) = runner.run([order])
        assert [stage.stage for stage in outcome.stages] == ["similar"]
        assert len(pool_workers() - before) == 2  # not started a second time
    finally:
        runner.close()
    assert pool_workers() <= before


def test_closing_twice_at_once_leaves_no_worker() -> None:
    before = pool_workers()
    runner = LocalRunner(LocalOptions(workers=2))
    runner.start_soon()
    beside = threading.Thread(target=runner.close)
    beside.start()
    runner.close()
    beside.join()
    assert pool_workers() <= before


def _order(folder: Path, name: str) -> Order:
    (folder / name).write_bytes(makers.photo(96, 64, 1))
    return Order(root=os.fsencode(folder), path=os.fsencode(name), stages=("similar",))


def _kill(workers: set[int]) -> None:
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in workers))


def test_workers_killed_while_they_have_no_work_cost_nothing(tmp_path: Path) -> None:
    before = pool_workers()
    runner = LocalRunner(LocalOptions(workers=2))

    def orders() -> Iterator[Order | None]:
        for number in range(3):
            yield _order(tmp_path, f"{number}.jpg")
            yield None  # until its outcome is there
            _kill(pool_workers() - before)
        yield _order(tmp_path, "last.jpg")

    try:
        outcomes = list(runner.run(orders()))
    finally:
        runner.close()
    assert [stage.state for one in outcomes for stage in one.stages] == [TaskState.DONE] * 4
    assert [stage.attempts for one in outcomes for stage in one.stages] == [1] * 4


def test_workers_that_cannot_begin_are_an_error_and_not_tried_for_ever(tmp_path: Path) -> None:
    runner = LocalRunner(LocalOptions(workers=1))
    marks = Path(runner._marks_file.name)  # which each worker opens first
    marks.rename(tmp_path / "marks")
    try:
        for _ in range(2):
            with pytest.raises(CaseframeError, match="cannot be started"):
                list(runner.run([_order(tmp_path, "a.jpg")]))
    finally:
        (tmp_path / "marks").rename(marks)
        runner.close()


def test_the_time_limit_is_renewed_for_each_piece_that_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    renewed: list[float] = []
    monkeypatch.setattr(process, "renew", renewed.append)
    monkeypatch.setattr(process._Here, "limit", 60.0)
    for number in (process.FIRST, process.FIRST, process.FIRST + 1):
        process._reach(number)
    assert renewed == [60.0, 60.0]


def test_a_file_that_is_given_up_keeps_what_the_walk_saw(tmp_path: Path) -> None:
    runner = LocalRunner(LocalOptions(workers=1, attempts=1))
    try:
        order = Order(os.fsencode(tmp_path), b"a.jpg", size=40 << 30, modified_ns=7)
        outcome = runner._count(_Flight(order, 0), process.FIRST, "took longer than 60 s")
    finally:
        runner.close()
    assert outcome is not None
    assert outcome.examined == Examined(
        FileState.UNREADABLE, 40 << 30, 7, "reading took longer than 60 s"
    )


def test_a_bundle_holds_so_many_bytes_and_at_least_one_file() -> None:
    runner = LocalRunner(LocalOptions(workers=1, together=8))
    sizes = [40, 30, 10, 200, 10, 10, 44, 1, 0]
    orders = (Order(b"/", b"%d" % n, size=size * 1_000_000) for n, size in enumerate(sizes))
    bundles, over = [], False
    try:
        while not over:
            bundle, over = runner._take(orders, list(range(8)))
            bundles.append([flight.order.size // 1_000_000 for flight in bundle])
    finally:
        runner.close()
    assert bundles == [[40, 30], [10, 200], [10, 10, 44], [1, 0]]
