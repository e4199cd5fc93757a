"""A pool of processes goes on whatever died, and gives up on those that die as they start."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import psutil
import pytest
from pebble import ProcessPool
from tests.support.waiting import eventually

from caseframe.scanner.forking import fork_server
from caseframe.scanner.processes import Processes


def new_pool() -> ProcessPool:
    return ProcessPool(max_workers=1, context=fork_server(()))


def dying_pool() -> ProcessPool:
    return ProcessPool(max_workers=1, initializer=os._exit, initargs=(3,), context=fork_server(()))


@pytest.fixture
def processes() -> Iterator[Processes]:
    made = Processes(new_pool)
    yield made
    made.close()


def asked(processes: Processes) -> int:
    """The pid of the process that answers, as those ask who try again."""
    for _ in range(2):
        try:
            pid: int = processes.schedule(os.getpid, (), 30).result(30)
        except BrokenProcessPool:
            continue
        return pid
    raise AssertionError("two pools broke")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(pid))


def refusal(processes: Processes) -> str:
    with pytest.raises(BrokenProcessPool) as caught:
        processes.schedule(os.getpid, (), 30).result(30)
    return str(caught.value)


def test_where_no_process_can_be_started_it_is_said_and_tried_again() -> None:
    full = False

    def make() -> ProcessPool:
        if full:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return new_pool()

    processes = Processes(make)
    try:
        pid = asked(processes)
        full = True
        kill(pid)
        eventually(lambda: not processes._pool.active)
        assert refusal(processes) == ("no others can be started: Resource temporarily unavailable")
        full = False
        assert asked(processes) != pid
    finally:
        processes.close()


def test_the_next_one_asked_answers_however_often_an_idle_one_dies(processes: Processes) -> None:
    seen = set()
    for _ in range(5):
        pid = asked(processes)
        seen.add(pid)
        kill(pid)
    assert len(seen) == 5


def test_starting_again_mends_a_broken_pool(processes: Processes) -> None:
    kill(asked(processes))
    eventually(lambda: not processes._pool.active)
    processes.start()
    assert processes.schedule(os.getpid, (), 30).result(30)


def test_what_a_broken_pool_never_got_to_fails_though_nobody_asks_again(
    processes: Processes,
) -> None:
    """A pool may break between taking work and noting it; nobody would ever tell of it."""
    kill(asked(processes))
    eventually(lambda: not processes._pool.active)
    lost: Future[int] = Future()
    processes._out.add(lost)
    with pytest.raises(BrokenProcessPool, match="before they were at it"):
        lost.result(30)


def test_what_is_out_at_the_end_fails(processes: Processes) -> None:
    asked(processes)
    out = [processes.schedule(time.sleep, (600,), 600) for _ in range(3)]
    processes.close()
    for future in out:
        with pytest.raises(BrokenProcessPool, match="stopped"):
            future.result(0)


def test_a_pool_that_does_not_end_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    processes, end = Processes(new_pool), threading.Event()
    asked(processes)
    out = processes.schedule(time.sleep, (600,), 600)
    pool = processes._pool
    with monkeypatch.context() as patched:
        patched.setattr(pool, "join", end.wait)
        processes.close(0.1)
    assert isinstance(out.exception(0), BrokenProcessPool)
    end.set()
    pool.join()


def test_processes_that_die_as_they_start_are_given_up_and_may_be_tried_again_later() -> None:
    processes = Processes(dying_pool)
    try:
        said = [refusal(processes) for _ in range(12)]
    finally:
        processes.close()
    assert 1 < said.count("they end before they can do anything") < 6


def test_after_the_end_nothing_is_started_again(processes: Processes) -> None:
    asked(processes)
    processes.close()
    processes.close()
    with pytest.raises(BrokenProcessPool, match="stopped"):
        processes.schedule(os.getpid, (), 30)
