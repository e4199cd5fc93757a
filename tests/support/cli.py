"""The command line in a process of its own, as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT = 300.0


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON value."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(cache: Path, **more: str) -> dict[str, str]:
    """A clean environment: no setting of the developer's own reaches a test."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CASEFRAME_")}
    ours = {
        "CASEFRAME_CACHE_DIR": str(cache),
        "CASEFRAME_MODELS_DIR": str(cache / "no-models"),
        "CASEFRAME_WORKERS": "2",
    }
    return {**kept, **ours, **more}


def command(*arguments: str | bytes | Path) -> list[str | bytes | Path]:
    """The words of a caseframe command."""
    return [sys.executable, "-m", "caseframe", *arguments]


def end(process: subprocess.Popen[str]) -> None:
    """End a process, politely if it can."""
    process.terminate()
    try:
        process.wait(60)
    finally:
        process.kill()
        process.wait()


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[None]:
    """Have a process that was started end with the block, politely if it can."""
    try:
        yield
    finally:
        try:
            end(process)
        finally:
            process.communicate()


def run(
    *arguments: str | bytes | Path, cache: Path, cwd: Path | None = None, **environ: str
) -> Ran:
    """Run a caseframe command to its end."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        cwd=cwd,
        env=environment(cache, **environ),
        timeout=TIMEOUT,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
