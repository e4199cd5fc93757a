"""Processes that outlive the command that started them, known by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Program:
    """What to run: words without secrets, since everybody on the machine can read them."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM


class Processes:
    """Starts programs in the background; `pids/` says which run, `logs/` what they said."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("pids", "logs"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def log(self, name: str) -> Path:
        """The file with all that a program said since it was first started."""
        return self._folder / "logs" / f"{name}.log"

    def said(self, name: str) -> str:
        """What a program said since its last start; empty before the first."""
        with suppress(OSError, ValueError, KeyError):
            start = json.loads(self._note(name).read_text())["log"]
            return self.log(name).read_bytes()[start:].decode("utf-8", "replace")
        return ""

    def find(self, name: str) -> psutil.Process | None:
        """The running process of that name; None when there is none."""
        if name in self._children:
            self._children[name].poll()  # else a dead child stays as a zombie
        try:
            noted = json.loads(self._note(name).read_text())
            process = psutil.Process(noted["pid"])
            same = abs(process.create_time() - noted["began"]) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, ValueError, psutil.Error):
            return None

    def start(self, name: str, program: Program) -> None:
        """Start it, unless it runs."""
        if self.find(name) is not None:
            return
        self._sweep(name)
        with open(self.log(name), "ab") as log:
            before = log.tell()
            child = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(program.environment),
                cwd=self._folder,
                start_new_session=True,
            )
        self._children[name] = child
        with suppress(psutil.Error):  # it may have ended already, which its log explains
            began = psutil.Process(child.pid).create_time()
            noted = {"pid": child.pid, "began": began, "log": before}
            self._note(name).write_text(json.dumps(noted))

    def stop(self, name: str, program: Program, seconds: float = _STOP_SECONDS) -> bool:
        """Ask it to end and wait; what has not ended by then is killed. Whether it ended itself."""
        process = self.find(name)
        ended = True
        if process is not None:
            with suppress(psutil.Error):
                process.send_signal(program.stop_signal)
            ended = self._gone(name, seconds)
        self._sweep(name)
        self._note(name).unlink(missing_ok=True)
        return ended

    def kill(self, name: str) -> None:
        """End it as a crash does: this one process, at once. Its children are left to notice."""
        process = self.find(name)
        if process is not None:
            with suppress(psutil.Error):
                process.kill()
            self._gone(name, _STOP_SECONDS)

    def _note(self, name: str) -> Path:
        return self._folder / "pids" / f"{name}.json"

    def _gone(self, name: str, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self.find(name) is not None:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def _sweep(self, name: str) -> None:
        """Kill what is left of its process group; a group's number is not given out while it is."""
        with suppress(OSError, ValueError, psutil.Error):
            noted = json.loads(self._note(name).read_text())
            first = psutil.Process(noted["pid"]) if psutil.pid_exists(noted["pid"]) else None
            if first is None or abs(first.create_time() - noted["began"]) < 1:
                os.killpg(noted["pid"], signal.SIGKILL)
        if name in self._children:
            with suppress(subprocess.TimeoutExpired):
                self._children.pop(name).wait(10)
