"""A Redis for tests: a private one where the program is installed, else the one that is told."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from tests.support.rabbitmq import missing

_START_SECONDS = 30.0


@dataclass
class PrivateRedis:
    """A server of ours that keeps nothing on disk: stopping it loses its content."""

    url: str
    command: tuple[str, ...]
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError when it does not."""
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + _START_SECONDS
        while not _answers(self.url):
            if time.monotonic() > until or self._process.poll() is not None:
                self.stop()
                raise RuntimeError("a private Redis does not start")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


@contextmanager
def private_server() -> Iterator[PrivateRedis | None]:
    """An empty server on a port of its own; None where the program is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="cf-redis-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder))
    made = PrivateRedis(
        f"redis://127.0.0.1:{port}/0", (*command, "--save", "", "--appendonly", "no")
    )
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def for_tests() -> Iterator[str]:
    """URL of a Redis for this process alone.

    A told one must be that too. Without any the test is skipped; in CI that is a failure.
    """
    if told := os.environ.get("CASEFRAME_TEST_REDIS"):
        yield told
        return
    with private_server() as private:
        if private is None:
            missing("no Redis is installed here; install redis-server or set CASEFRAME_TEST_REDIS")
        else:
            yield private.url


def emptied(url: str) -> str:
    """The same URL, with nothing in that database any more."""
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url
