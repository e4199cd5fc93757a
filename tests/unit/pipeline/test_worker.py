"""A stage whose service is away is looked at again, and not for every picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from caseframe.domain.errors import StageAway
from caseframe.domain.work import Order, StageOutcome, TaskState
from caseframe.pipeline import worker
from caseframe.pipeline.worker import Worker
from caseframe.scanner.limits import Limits
from caseframe.stages.stage import Frame, StageContext, StageResult, StageUnavailable


class Needy:
    """Fails as often as there are errors, first to be prepared, then to run."""

    name, title, version = "needy", "Needy", "1"
    max_side: int | None = None
    after: tuple[str, ...] = ()
    needs_picture = False
    result = StageResult

    def __init__(self, unprepared: list[Exception], failing: list[Exception] | None = None) -> None:
        self.unprepared = unprepared
        self.failing = failing or []
        self.prepared = 0

    def missing(self, context: StageContext) -> str | None:
        return None

    def prepare(self, context: StageContext) -> None:
        self.prepared += 1
        if self.unprepared:
            raise self.unprepared.pop(0)

    def run(self, frame: Frame, earlier: Mapping[str, StageResult]) -> StageResult:
        if self.failing:
            raise self.failing.pop(0)
        return StageResult()


def outcomes(stage: Needy, count: int) -> list[StageOutcome]:
    made = Worker([stage], StageContext(Path("cache")), Limits())
    order = Order(b"/nowhere", b"a", stages=("needy",), ingest=False)
    return [made.do(order).stages[0] for _ in range(count)]


def test_what_may_pass_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_AGAIN_SECONDS", 0.0)
    stage = Needy([StageAway("restarting"), StageAway("loading")])
    found = outcomes(stage, 4)
    states = [(one.state.value, one.passing, one.reason) for one in found]
    assert states == [
        ("unavailable", True, "restarting"), ("unavailable", True, "loading"),
        ("done", False, None), ("done", False, None),
    ]  # fmt: skip
    assert stage.prepared == 3


def test_a_long_absence_does_not_cost_each_picture_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_AGAIN_SECONDS", 3600.0)
    stage = Needy([StageAway("away")])
    assert {(one.reason, one.passing) for one in outcomes(stage, 5)} == {("away", True)}
    assert stage.prepared == 1


@pytest.mark.parametrize("error", [StageUnavailable("no package"), ValueError("a bug")])
def test_what_will_not_pass_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(worker, "_AGAIN_SECONDS", 0.0)
    stage = Needy([error])
    found = outcomes(stage, 3)
    assert {(one.state, one.passing) for one in found} == {(TaskState.UNAVAILABLE, False)}
    assert stage.prepared == 1


def test_a_stage_may_lose_what_it_needs_while_it_runs() -> None:
    found = outcomes(Needy([], [StageAway("gone"), StageUnavailable("no model")]), 3)
    assert [(one.state.value, one.passing) for one in found] == [
        ("unavailable", True), ("unavailable", False), ("done", False),
    ]  # fmt: skip
