"""Running the product as its users do, and reading time and memory of all its processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True, slots=True)
class Run:
    """One finished command: wall seconds, peak memory of its whole process tree in MB, output."""

    seconds: float
    peak_mb: float
    output: str


def run(command: list[str], *, watch_memory: bool = False, **environment: str) -> Run:
    """Run a command. Raises CalledProcessError when it fails.

    Watching memory takes the better part of a core, so it is off where time is measured.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    if watch_memory:
        watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    if watch_memory:
        watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(seconds, peak[0], output)


def _watch(pid: int, peak: list[float]) -> None:
    """Memory that exists once: the sum of proportional set sizes (shared pages are divided)."""
    try:
        top = psutil.Process(pid)
        while top.is_running() and top.status() != psutil.STATUS_ZOMBIE:
            peak[0] = max(peak[0], sum(map(_pss, [top, *top.children(recursive=True)])) / 1e6)
            time.sleep(0.25)
    except psutil.Error:
        return


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def scan(
    source: Path,
    case: Path,
    *,
    workers: int,
    stages: str | None = None,
    watch_memory: bool = False,
) -> Run:
    """`caseframe scan` in a process of its own."""
    command = [sys.executable, "-m", "caseframe", "scan", str(source), "--case", str(case)]
    command += ["--workers", str(workers), "--json"]
    command += ["--stages", stages] if stages else []
    return run(command, watch_memory=watch_memory)


def job_seconds(result: Run) -> float:
    """How long the job took by the catalog's own record: without start and end of the program."""
    found = counts(result)
    began, ended = (datetime.fromisoformat(found[key]) for key in ("started_at", "finished_at"))
    return (ended - began).total_seconds()


def counts(result: Run) -> dict[str, Any]:
    """The summary that a scan printed."""
    found: dict[str, Any] = json.loads(result.output)
    return found
