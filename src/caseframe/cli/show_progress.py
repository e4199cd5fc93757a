"""Progress of long work: bars with rate and remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from caseframe.domain.evidence import PROBLEM_STATES
from caseframe.domain.text import counted, one_line
from caseframe.pipeline.progress import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID

_PLAIN_SECONDS = 5.0


@contextmanager
def shown(progress: Progress, *, quiet: bool) -> Iterator[None]:
    """Show `progress` while the block runs, on standard error; nothing when `quiet`."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        with _bars(progress):
            yield
    else:
        with _lines(progress):
            yield


@contextmanager
def _bars(progress: Progress) -> Iterator[None]:
    from rich import progress as rich  # noqa: PLC0415 - slow to load, and only for terminals
    from rich.console import Console  # noqa: PLC0415

    bars = rich.Progress(
        rich.SpinnerColumn(),
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[rate]}"),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[note]}", style="dim"),
        console=Console(stderr=True),
        transient=True,
    )
    rows: dict[str, TaskID] = {}

    def update(now: Progress) -> None:
        for name, done, total, note in _rows(now):
            if name not in rows:
                rows[name] = bars.add_task(name, total=total, rate="", note="")
            elapsed = max(time.monotonic() - now.started, 1e-3)
            bars.update(
                rows[name], completed=done, total=total, rate=f"{done / elapsed:,.1f}/s", note=note
            )

    progress.on_change = update
    with bars:
        update(progress)
        yield
        update(progress)


def _rows(now: Progress) -> list[tuple[str, int, int | None, str]]:
    """(name, done, total, note) of each bar."""
    shown_path = one_line(now.current, 40)
    rows = [("files", now.finished_files, now.total, shown_path)]
    if now.phase == "stages" and now.stage_total:
        rows.append(("pictures again", now.stage_done, now.stage_total, shown_path))
    for name, states in now.stages.items():
        failed = states.get("failed", 0)  # type: ignore[call-overload]
        total = now.total if now.phase == "scan" else now.stage_total or sum(states.values())
        rows.append((name, sum(states.values()), total, f"{failed} failed" if failed else ""))
    return rows


@contextmanager
def _lines(progress: Progress) -> Iterator[None]:
    last = time.monotonic()

    def update(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_SECONDS:
            last = time.monotonic()
            print(plain_line(now), file=sys.stderr, flush=True)

    progress.on_change = update
    yield


def plain_line(now: Progress) -> str:
    """One line that says how far the run is."""
    elapsed = max(time.monotonic() - now.started, 1e-3)
    done = now.finished_files + now.stage_done
    files = counted(now.finished_files, "file")
    if now.total:
        files = f"{now.finished_files:,} of {counted(now.total, 'file')}"
    problems = sum(now.states[state] for state in PROBLEM_STATES)
    return (
        f"{files}, {done / elapsed:,.1f} a second, "
        f"{now.bytes_read / 1e6:,.0f} MB read, {problems:,} with problems"
    )
