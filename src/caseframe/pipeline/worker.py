"""What one worker does with one order: open the file once, examine it, run the stages due.

Knows nothing of the catalog or of how orders reach it. Before each step it leaves a mark where
the parent can see it, so that when a picture kills this process the parent knows which step did.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from pydantic import ValidationError

from caseframe.domain.errors import (
    PictureError,
    ReadError,
    StageAway,
    StageError,
    StageUnavailable,
)
from caseframe.domain.evidence import Examined, FileState, PictureInfo
from caseframe.domain.text import one_line
from caseframe.domain.work import Order, Outcome, StageOutcome, TaskState, unreadable
from caseframe.scanner.limits import Limits
from caseframe.scanner.reading import open_root
from caseframe.scanner.scan import scan_file
from caseframe.stages.stage import (
    BatchStage,
    Frame,
    NotApplicable,
    Pixels,
    Stage,
    StageContext,
    StageResult,
    needs_picture,
)

_APART = {"problems"}  # stored in a table of their own
TOO_MUCH_MEMORY = "it takes more memory than a worker may use (worker_memory_mb)"
_AGAIN_SECONDS = 3.0  # at least, until another look whether something is back
_AGAIN_TIMES = 5  # of what the last look took: other stages wait for it
_UNNEEDED = "it looks at the picture although it says needs_picture = False"
Mark = Callable[[str], None]


def no_mark(_step: str) -> None:
    """A `Mark` for when nobody watches."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A stage in a worker: loaded, or `reason` why it is not available.

    `until` is when that is worth another look, by the monotonic clock.
    """

    stage: Stage
    reason: str | None = None
    until: float = inf


def prepare(stage: Stage, context: StageContext) -> Ready:
    """Load what a stage needs; a failure makes the stage unavailable, and nothing else."""
    reason = stage.missing(context)
    if reason is not None:
        return Ready(stage, reason)
    began = time.monotonic()
    try:
        stage.prepare(context)
    except StageAway as error:
        now = time.monotonic()
        pause = max(_AGAIN_SECONDS, _AGAIN_TIMES * (now - began))
        return Ready(stage, one_line(str(error)), now + pause)
    except StageUnavailable as error:
        return Ready(stage, one_line(str(error)))
    except Exception as error:  # noqa: BLE001 - the boundary of one stage: stored as its reason
        return Ready(stage, one_line(f"it cannot be started: {type(error).__name__}: {error}"))
    return Ready(stage)


@dataclass(frozen=True)
class Begun:
    """An order with all done that one picture's own turn can do.

    `waiting` holds, by name, what stages gathered that look at several pictures at once.
    """

    outcome: Outcome
    waiting: dict[str, Any] = field(default_factory=dict)


class _NoPicture:
    """The frame of a stage that said it needs none."""

    @property
    def data(self) -> bytes:
        """Raises StageError, as all else."""
        raise StageError(_UNNEEDED)

    @property
    def info(self) -> PictureInfo:
        """See `data`."""
        raise StageError(_UNNEEDED)

    def pixels(self, max_side: int) -> Pixels:  # noqa: ARG002
        """See `data`."""
        raise StageError(_UNNEEDED)


_NO_PICTURE = _NoPicture()


class Worker:
    """Carries out orders one after the other; holds the loaded stages and the open source."""

    def __init__(
        self, stages: Sequence[Stage], context: StageContext, limits: Limits, mark: Mark = no_mark
    ) -> None:
        self._stages = {stage.name: stage for stage in stages}
        # Asked once: whether a stage keeps to a protocol takes longer than many a stage.
        self._batched = {stage.name: stage for stage in stages if isinstance(stage, BatchStage)}
        self._blind = {stage.name for stage in stages if not needs_picture(stage)}
        self._ready: dict[str, Ready] = {}
        self._context = context
        self._limits = limits
        # What was hashed once is so again, whatever its size: else nobody could compare.
        self._hashed = replace(limits, other_hash_bytes=sys.maxsize)
        self._mark = mark
        self._roots: dict[bytes, int] = {}

    def close(self) -> None:
        """Close the open source folders."""
        for descriptor in self._roots.values():
            with suppress(OSError):
                os.close(descriptor)
        self._roots.clear()

    def do(self, order: Order) -> Outcome:
        """Everything that one order asks for; see `begin` and `finish`."""
        return self.finish([self.begin(order)])[0]

    def begin(self, order: Order) -> Begun:
        """Open, examine and look at one file; never raises for what the file holds.

        A stage that is neither among the outcomes nor waiting was not tried: `examined.reason`
        says why.
        """
        if not order.ingest and self._blind.issuperset(order.stages):
            outcomes, waiting = self._run_all(order, _NO_PICTURE)
            return Begun(Outcome(order, None, tuple(outcomes)), waiting)
        self._mark("open")
        try:
            root = self._root(order.root)
        except OSError as error:
            gone = f"the source folder cannot be opened: {error.strerror}"
            return Begun(Outcome(order, unreadable(order, gone)))
        limits = self._limits if order.before is None else self._hashed
        scanned = scan_file(root, order.path, limits, known=order.known, step=self._step(order))
        examined = scanned.examined
        if examined.state is FileState.UNREADABLE:
            examined = unreadable(order, examined.reason or "cannot be read")
        if examined.digests is not None and examined.digests.sha256 in order.known | order.anew:
            return Begun(Outcome(order, examined, already_known=True))
        if order.sha256 is not None and _digest(examined) != order.sha256:
            return Begun(Outcome(order, _moved(examined)))
        if scanned.picture is None:
            return Begun(Outcome(order, examined))
        outcomes, waiting = self._run_all(order, scanned.picture)
        return Begun(Outcome(order, examined, tuple(outcomes)), waiting)

    def finish(self, begun: Sequence[Begun]) -> list[Outcome]:
        """Let the stages that look at several pictures at once do so; the outcomes, in order."""
        stages: list[tuple[StageOutcome, ...]] = [one.outcome.stages for one in begun]
        for name in dict.fromkeys(name for one in begun for name in one.waiting):
            self._mark(name)
            holders = [index for index, one in enumerate(begun) if name in one.waiting]
            gathered = [begun[index].waiting[name] for index in holders]
            said = run_batch(self._stages[name], gathered)
            for index, outcome in zip(holders, said, strict=True):
                stages[index] = (*stages[index], outcome)
        return [replace(o.outcome, stages=s) for o, s in zip(begun, stages, strict=True)]

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

    def _run_all(self, order: Order, frame: Frame) -> tuple[list[StageOutcome], dict[str, Any]]:
        results: dict[str, StageResult] = {}
        outcomes = []
        waiting: dict[str, Any] = {}
        for name, payload in order.given.items():
            with suppress(ValidationError, KeyError):  # of another version: the stage will say so
                results[name] = self._stages[name].result.model_validate_json(payload)
        for name in order.stages:
            stage = self._stages[name]
            seen = _NO_PICTURE if name in self._blind else frame
            earlier = {base: results[base] for base in stage.after if base in results}
            unable = self._unable(order, stage)
            if unable is not None:
                outcomes.append(unable)
            elif name in self._batched:
                held, failed = gather(self._batched[name], seen, earlier)
                if failed is None:
                    waiting[name] = held
                else:
                    outcomes.append(failed)
            else:
                outcome, result = run_stage(stage, seen, earlier)
                outcomes.append(outcome)
                if result is not None:
                    results[name] = result
        return outcomes, waiting

    def _unable(self, order: Order, stage: Stage) -> StageOutcome | None:
        """The outcome of a stage that is left out, or cannot work here; None when it can."""
        name = stage.name
        if name in order.skip:
            return self._fail(name, order.skip[name])
        self._mark(name)
        ready = self._ready.get(name)
        if ready is None or time.monotonic() >= ready.until:
            ready = self._ready[name] = prepare(stage, self._context)
        if ready.reason is None:
            return None
        return StageOutcome(
            name, stage.version, TaskState.UNAVAILABLE, reason=ready.reason,
            passing=ready.until < inf,
        )  # fmt: skip


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
    except Exception as error:  # noqa: BLE001 - the boundary of one item: a bug costs one picture
        return _ended(stage, error, _since(started)), None


def gather(
    stage: BatchStage, frame: Frame, earlier: dict[str, StageResult]
) -> tuple[Any, StageOutcome | None]:
    """What a stage wants to keep of one picture; or what became of it, when that failed."""
    started = time.perf_counter()
    try:
        return stage.gather(frame, earlier), None
    except Exception as error:  # noqa: BLE001 - the boundary of one item: a bug costs one picture
        return None, _ended(stage, error, _since(started))


def run_batch(stage: Stage, gathered: Sequence[Any]) -> list[StageOutcome]:
    """Run a batch stage on what it gathered; each picture is said to take its share of the time."""
    started = time.perf_counter()
    answers: Sequence[StageResult | Exception]
    try:
        if not isinstance(stage, BatchStage):
            raise TypeError(f"{stage.name} looks at one picture at a time")
        answers = stage.run_many(gathered)
        if len(answers) != len(gathered):
            raise ValueError(f"it answered for {len(answers)} of {len(gathered)} pictures")
    except Exception as error:  # noqa: BLE001 - the boundary of one batch: stored with each picture
        answers = [error] * len(gathered)
    share = round(_since(started) / len(gathered), 6)
    return [_said(stage, answer, share) for answer in answers]


def _said(stage: Stage, answer: StageResult | Exception, seconds: float) -> StageOutcome:
    if isinstance(answer, Exception):
        return _ended(stage, answer, seconds)
    try:
        return _done(stage, answer, seconds)
    except Exception as error:  # noqa: BLE001 - the boundary of one item: a result of the wrong kind
        return _ended(stage, error, seconds)


def _ended(stage: Stage, error: Exception, seconds: float) -> StageOutcome:
    """What an exception of a stage means."""
    state = TaskState.FAILED
    if isinstance(error, NotApplicable):
        reason, state = f"not applicable: {error}", TaskState.DONE
    elif isinstance(error, StageUnavailable):
        reason, state = str(error), TaskState.UNAVAILABLE
    elif isinstance(error, (StageError, PictureError, ReadError)):
        reason = str(error)
    elif isinstance(error, MemoryError):
        reason = TOO_MUCH_MEMORY
    else:
        reason = f"{type(error).__name__}: {error}"
    said = one_line(reason) or "it gave no reason"
    passing = isinstance(error, StageAway)
    return StageOutcome(
        stage.name, stage.version, state, reason=said, seconds=seconds, passing=passing
    )


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
