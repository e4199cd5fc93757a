"""A vision service of our own: a child process behind a socket that nobody else can reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from caseframe.domain.errors import VisionAway

_log = structlog.get_logger(__name__)
_RESTARTS = 5
_WITHIN_SECONDS = 60.0
_STOP_SECONDS = 30.0
_PREFIX = "CASEFRAME_"


class EmbeddedVision:
    """Runs `caseframe serve-vision` on a private socket and starts it again when it dies.

    `environment` holds the child's CASEFRAME_ settings; those of our own environment do not reach
    it. `address` is for `VisionClient` and is known before anything runs. The child ends when this
    process does, however that ends, because its standard input does.
    """

    def __init__(
        self, environment: Mapping[str, str], *, command: Sequence[str] | None = None
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="caseframe-vision-"))  # mkdtemp makes it 0700
        self.address = f"unix:{self._folder / 'socket'}"
        self._command = [*(command or (sys.executable, "-m", "caseframe", "serve-vision"))]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_PREFIX)}
        self._environment = {**kept, **environment}
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None
        self._deaths: deque[float] = deque(maxlen=_RESTARTS)
        self._gave_up: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id while one runs."""
        with self._lock:
            child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def start(self) -> None:
        """Start the child unless it runs, without waiting for its model.

        Raises VisionAway when it died too often, or cannot be started at all.
        """
        if self._gave_up is not None:
            raise VisionAway(self._gave_up)
        with self._lock:
            if self._watcher is not None or self._closed.is_set():
                return
            self._spawn()
            self._watcher = threading.Thread(target=self._watch, name="vision-child", daemon=True)
            self._watcher.start()

    def _spawn(self) -> None:
        try:
            self._child = subprocess.Popen(
                [*self._command, "--address", self.address, "--with-parent"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=self._environment,
                cwd=self._folder,  # no caseframe.toml of a folder that we happen to stand in
                start_new_session=True,  # Ctrl-C is for us; we stop the child when we are done
            )
        except OSError as error:
            said = f"the vision process cannot be started: {error.strerror}"
            raise VisionAway(said) from error

    def _watch(self) -> None:
        while True:
            child = self._child
            if child is None:
                return
            status = child.wait()
            with self._lock:
                if self._closed.is_set():
                    return
                if not self._may_restart(status):
                    return
                _log.warning("vision process ended, starting another", status=status)
                _close_input(child)
                try:
                    self._spawn()
                except VisionAway as error:
                    self._gave_up = str(error)
                    return

    def _may_restart(self, status: int) -> bool:
        now = time.monotonic()
        self._deaths.append(now)
        if len(self._deaths) < _RESTARTS or now - self._deaths[0] > _WITHIN_SECONDS:
            return True
        self._gave_up = (
            f"the vision process ended {_RESTARTS} times within {_WITHIN_SECONDS:g} s "
            f"(status {status}); its log tells why: run caseframe serve-vision"
        )
        _log.error("vision process given up", reason=self._gave_up)
        return False

    def close(self) -> None:
        """Stop the child and remove its socket; a second call does nothing."""
        with self._lock:
            self._closed.set()
            child, self._child = self._child, None
        if child is not None:
            _stop(child)
        # Ctrl-C may meet a thread that is just being started, which nobody can wait for.
        if self._watcher is not None and self._watcher.is_alive():
            self._watcher.join(_STOP_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)


def _close_input(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        with suppress(OSError):
            child.stdin.close()


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    _close_input(child)
