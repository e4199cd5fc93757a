"""`caseframe serve` in a process of its own, so that a test can weigh it, stop it, or kill it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tests.support.cli import command, ending, environment

_ADDRESS = re.compile(r"Caseframe is at (http://\S+)")
_KEY = re.compile(r"/auth/first\?key=(\S+)")


@dataclass(frozen=True)
class Served:
    """A running server; `key` makes its first administrator."""

    url: str
    key: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def memory(self) -> int:
        """Bytes that the server process itself holds now (resident)."""
        held: int = psutil.Process(self.process.pid).memory_info().rss
        return held


@contextmanager
def served(
    case: Path, sources: Path, cache: Path, *, stderr: Any = subprocess.DEVNULL, **settings: str
) -> Iterator[Served]:
    """A server over the case, stopped as Ctrl-C stops it."""
    chosen = {"CASEFRAME_DESCRIBE_WITH": "FACTS", **settings}
    words = command("serve", "--case", case, "--sources", sources, "--port", "0")
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=sources,
        env=environment(cache, PYTHONUNBUFFERED="1", **chosen),
    )  # fmt: skip
    with ending(process):
        yield _begun(process)


def _begun(process: subprocess.Popen[str]) -> Served:
    assert process.stdout is not None
    url = ""
    for line in process.stdout:
        if found := _ADDRESS.search(line):
            url = found.group(1)
        if found := _KEY.search(line):
            return Served(url, found.group(1), process)
    raise AssertionError("the server ended before it began")
