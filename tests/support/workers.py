"""Workers as real processes: `caseframe service stage` over a broker and a job manager."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.cli import command, end, environment

_READY = "running; health at"
_DOOR = re.compile(r"health at (http://\S+)/ready")


@dataclass
class WorkerProcess:
    """One worker; `lines` is what it said."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    @property
    def door(self) -> str:
        """Address of its health door."""
        return next(found[1] for line in self.lines if (found := _DOOR.search(line)))

    def read(self) -> None:
        """Read what it says until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if _READY in line:
                self.ready.set()

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait(30)

    def end(self) -> int:
        """Ask it to end; its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def stage_worker(
    url: str, jobs_address: str, cache: Path, *stages: str, packages: Path | None = None,
    **settings: str,
) -> Iterator[WorkerProcess]:  # fmt: skip
    """A worker of these stages; `packages` is a folder with plug-ins."""
    more = {"CASEFRAME_AMQP_URL": url, "CASEFRAME_JOBS_ADDRESS": jobs_address,
            "CASEFRAME_WORKERS": "1", "PYTHONUNBUFFERED": "1", **settings}  # fmt: skip
    if packages is not None:
        more["PYTHONPATH"] = str(packages)
    process = subprocess.Popen(
        command("service", "stage", *stages), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=environment(cache, **more),
    )  # fmt: skip
    made = WorkerProcess(process)
    reader = threading.Thread(target=made.read, daemon=True)
    reader.start()
    try:
        assert made.ready.wait(60), "".join(made.lines)
        yield made
    finally:
        try:
            end(process)
        finally:
            reader.join(10)
            if process.stdout is not None:
                process.stdout.close()
