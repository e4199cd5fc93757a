"""Rates are of the last moments, and fall when nothing happens any more."""

from __future__ import annotations

from collections import Counter

import pytest

from caseframe.domain.work import TaskState
from caseframe.pipeline.progress import Progress


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    # In that module only: an event loop in another thread would sleep by our time.
    monkeypatch.setattr("caseframe.pipeline.progress.time", made)
    return made


def test_a_rate_is_known_from_the_second_sample_on(clock: Clock) -> None:
    progress = Progress(stages={"exif": Counter()})
    assert progress.file_rate() is None
    progress.changed()
    assert progress.file_rate() is None
    clock.now += 2.0
    progress.examined, progress.unchanged = 30, 10
    progress.stages["exif"][TaskState.DONE] = 8
    progress.changed()
    assert progress.file_rate() == pytest.approx(20.0)
    assert progress.stage_rate("exif") == pytest.approx(4.0)
    assert progress.stage_rate("faces") == 0.0


def test_old_samples_are_forgotten(clock: Clock) -> None:
    progress = Progress()
    for _ in range(100):
        progress.examined += 100
        clock.now += 1.0
        progress.changed()
    for _ in range(20):
        progress.examined += 1
        clock.now += 1.0
        progress.changed()
    assert progress.file_rate() == pytest.approx(1.0)


def test_a_run_that_hangs_slows_down(clock: Clock) -> None:
    progress = Progress()
    progress.changed()
    clock.now += 1.0
    progress.examined = 100
    progress.changed()
    clock.now += 9.0
    assert progress.file_rate() == pytest.approx(10.0)


def test_samples_are_at_most_one_a_second(clock: Clock) -> None:
    progress = Progress()
    for _ in range(50):
        clock.now += 0.01
        progress.changed()
    assert len(progress.samples) == 1


def test_what_only_waits_for_workers_elsewhere_is_no_progress(clock: Clock) -> None:
    progress = Progress(stages={"plates": Counter()})
    progress.changed()
    clock.now += 2.0
    progress.stages["plates"][TaskState.PENDING] = 50
    progress.changed()
    assert progress.stage_rate("plates") == 0.0
    clock.now += 2.0
    progress.stages["plates"][TaskState.DONE] = 8
    progress.changed()
    assert progress.stage_rate("plates") == pytest.approx(2.0)
