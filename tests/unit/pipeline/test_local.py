"""Beginning and end of the process pool."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil
from tests import makers

from caseframe.domain.work import Order
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.process import LocalOptions


def _workers() -> set[int]:
    """The processes two steps below us: the fork server's children."""
    ours = psutil.Process()
    return {child.pid for server in ours.children() for child in server.children()}


def test_workers_that_start_soon_take_the_first_order(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(makers.photo(96, 64, 1))
    before = _workers()
    runner = LocalRunner(LocalOptions(workers=2))
    try:
        runner.start_soon()
        order = Order(root=os.fsencode(tmp_path), path=b"a.jpg", stages=("similar",))
        (outcome,) = runner.run([order])
        assert [stage.stage for stage in outcome.stages] == ["similar"]
        assert len(_workers() - before) == 2  # not started a second time
    finally:
        runner.close()
    assert _workers() <= before


def test_closing_twice_at_once_leaves_no_worker() -> None:
    before = _workers()
    runner = LocalRunner(LocalOptions(workers=2))
    runner.start_soon()
    beside = threading.Thread(target=runner.close)
    beside.start()
    runner.close()
    beside.join()
    assert _workers() <= before
