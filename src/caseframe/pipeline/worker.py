"""What one worker does with one order: open the file once, examine it, run the stages due.

Knows nothing of the catalog or of how orders reach it. Before each step it leaves a mark where
the parent can see it, so that when a picture kills this process the parent knows which step did.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pydantic import ValidationError

from caseframe.domain.errors import PictureError, ReadError, StageError, StageUnavailable
from caseframe.domain.evidence import Examined, FileState
from caseframe.domain.text import one_line
from caseframe.domain.work import Order, Outcome, StageOutcome, TaskState
from caseframe.scanner.limits import Limits
from caseframe.scanner.reading import open_root
from caseframe.scanner.scan import scan_file
from caseframe.stages.stage import Frame, NotApplicable, Stage, StageContext, StageResult

_APART = {"problems"}  # stored in a table of their own
TOO_MUCH_MEMORY = "it takes more memory than a worker may use (worker_memory_mb)"
Mark = Callable[[str], None]


def no_mark(_step: str) -> None:
    """A `Mark` for when nobody watches."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A stage in a worker: loaded, or `reason` why it is not available."""

    stage: Stage
    reason: str | None = None


def prepare(stage: Stage, context: StageContext) -> Ready:
    """Load what a stage needs; a failure makes the stage unavailable, and nothing else."""
    reason = stage.missing()
    if reason is not None:
        return Ready(stage, reason)
    try:
        stage.prepare(context)
    except StageUnavailable as error:
        return Ready(stage, one_line(str(error)))
    except Exception as error:  # noqa: BLE001 - the boundary of one stage: stored as its reason
        return Ready(stage, one_line(f"it cannot be started: {type(error).__name__}: {error}"))
    return Ready(stage)


class Worker:
    """Carries out orders one after the other; holds the loaded stages and the open source."""

    def __init__(
        self, stages: Sequence[Stage], context: StageContext, limits: Limits, mark: Mark = no_mark
    ) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._ready: dict[str, Ready] = {}
        self._context = context
        self._limits = limits
        self._mark = mark
        self._roots: dict[bytes, int] = {}

    def close(self) -> None:
        """Close the open source folders."""
        for descriptor in self._roots.values():
            with suppress(OSError):
                os.close(descriptor)
        self._roots.clear()

    def do(self, order: Order) -> Outcome:
        """Everything that the order asks for; never raises for what the file holds.

        A stage that is not among the outcomes was not tried: `examined.reason` says why.
        """
        self._mark("open")
        try:
            root = self._root(order.root)
        except OSError as error:
            gone = f"the source folder cannot be opened: {error.strerror}"
            return Outcome(order, Examined(FileState.UNREADABLE, 0, 0, gone))
        scanned = scan_file(
            root, order.path, self._limits, known=order.known, step=self._step(order)
        )
        examined = scanned.examined
        if examined.digests is not None and examined.digests.sha256 in order.known:
            return Outcome(order, examined, already_known=True)
        if order.sha256 is not None and _digest(examined) != order.sha256:
            return Outcome(order, _moved(examined))
        if scanned.picture is None:
            return Outcome(order, examined)
        return Outcome(order, examined, tuple(self._run_all(order, scanned.picture)))

    def _root(self, root: bytes) -> int:
        if root not in self._roots:
            self._roots[root] = open_root(root)
        return self._roots[root]

    def _step(self, order: Order) -> Callable[[str], str | None]:
        def step(name: str) -> str | None:
            self._mark(name)
            return order.skip.get(name)

        return step

    def _fail(self, name: str, reason: str) -> StageOutcome:
        return StageOutcome(name, self._stages[name].version, TaskState.FAILED, reason=reason)

    def _run_all(self, order: Order, frame: Frame) -> list[StageOutcome]:
        results: dict[str, StageResult] = {}
        outcomes = []
        for name, payload in order.given.items():
            with suppress(ValidationError, KeyError):  # of another version: the stage will say so
                results[name] = self._stages[name].result.model_validate_json(payload)
        for name in order.stages:
            outcome, result = self._run_one(order, name, frame, results)
            outcomes.append(outcome)
            if result is not None:
                results[name] = result
        return outcomes

    def _run_one(
        self, order: Order, name: str, frame: Frame, earlier: dict[str, StageResult]
    ) -> tuple[StageOutcome, StageResult | None]:
        stage = self._stages[name]
        if name in order.skip:
            return self._fail(name, order.skip[name]), None
        self._mark(name)
        if name not in self._ready:
            self._ready[name] = prepare(stage, self._context)
        reason = self._ready[name].reason
        if reason is not None:
            return StageOutcome(name, stage.version, TaskState.UNAVAILABLE, reason=reason), None
        wanted = {base: earlier[base] for base in stage.after if base in earlier}
        return run_stage(stage, frame, wanted)


def _moved(examined: Examined) -> Examined:
    """The content that stages were to look at is not at that path any more."""
    reason = examined.reason or "the file changed since it was scanned; scan the folder again"
    return replace(examined, reason=reason)


def _digest(examined: Examined) -> bytes | None:
    return examined.digests.sha256 if examined.digests else None


def run_stage(
    stage: Stage, frame: Frame, earlier: dict[str, StageResult]
) -> tuple[StageOutcome, StageResult | None]:
    """Run one stage on one picture and say what became of it; the result too, when there is one."""
    started = time.perf_counter()
    try:
        result = stage.run(frame, earlier)
        return _done(stage, result, _since(started)), result
    except NotApplicable as answer:
        reason, state = f"not applicable: {answer}", TaskState.DONE
    except (StageError, PictureError, ReadError) as error:
        reason, state = str(error), TaskState.FAILED
    except MemoryError:
        reason, state = TOO_MUCH_MEMORY, TaskState.FAILED
    except Exception as error:  # noqa: BLE001 - the boundary of one item: a bug costs one picture
        reason, state = f"{type(error).__name__}: {error}", TaskState.FAILED
    seconds = _since(started)
    said = one_line(reason) or "it gave no reason"
    return StageOutcome(stage.name, stage.version, state, reason=said, seconds=seconds), None


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 6)


def _done(stage: Stage, result: StageResult, seconds: float) -> StageOutcome:
    return StageOutcome(
        stage.name,
        stage.version,
        TaskState.DONE,
        found=result.found,
        payload=result.model_dump_json(exclude=_APART) if result.found else None,
        facts=result.facts(),
        problems=tuple(one_line(problem) for problem in result.problems),
        model=getattr(stage, "model", None),
        model_digest=getattr(stage, "model_digest", None),
        seconds=seconds,
    )
