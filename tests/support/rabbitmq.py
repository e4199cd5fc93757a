"""A RabbitMQ for tests: a virtual host of one's own on the server that runs, or a private server.

A virtual host holds queues of its own, so fixed names (`JobManager`, `auth`) never meet between
tests that run at the same time.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

_LOCAL = "amqp://guest:guest@127.0.0.1:5672/"
_GREETING = b"AMQP\x00\x00\x09\x01"
_START_SECONDS = 90.0
_CONTROL_SECONDS = 60.0


def server() -> str | None:
    """URL of a server on which we can make virtual hosts, or None."""
    if shutil.which("rabbitmqctl") is None or os.geteuid() != 0 or not _answers(_LOCAL):
        return None
    try:
        _control("list_vhosts")
    except subprocess.SubprocessError:
        return None
    return _LOCAL


@contextmanager
def virtual_host(url: str) -> Iterator[str]:
    """A fresh virtual host on that server, as a URL; deleted afterwards with all its queues."""
    name = f"caseframe-{uuid.uuid4().hex[:12]}"
    user = urlsplit(url).username or "guest"
    _control("add_vhost", name)
    try:
        _control("set_permissions", "-p", name, user, ".*", ".*", ".*")
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    finally:
        try:
            _control("delete_vhost", name)
        except subprocess.TimeoutExpired:  # what was tested is over; it is only not tidied up
            print(f"RabbitMQ does not delete its virtual host {name}", file=sys.__stderr__)


def _control(*words: str) -> None:
    command = ["rabbitmqctl", "-q", *words]
    subprocess.run(command, capture_output=True, check=True, timeout=_CONTROL_SECONDS)


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port or 5672), timeout=3) as made:
            made.sendall(_GREETING)
            return made.recv(1) == b"\x01"  # a method frame: Connection.Start
    except OSError:
        return False


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of a server that asks its clients for a certificate of the same authority."""

    ca: Path
    cert: Path
    key: Path


@dataclass
class PrivateServer:
    """A server of ours, which a test may stop and start; what it held durably it keeps.

    `url` is in the clear; `tls_url` is None without certificates.
    """

    url: str
    tls_url: str | None
    program: str
    environment: Mapping[str, str] = field(repr=False)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError when it does not."""
        self._process = subprocess.Popen(
            [self.program], env=dict(self.environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        until = time.monotonic() + _START_SECONDS
        while not _answers(self.url):
            if time.monotonic() > until or self._process.poll() is not None:
                self.stop()
                raise RuntimeError("a private RabbitMQ does not start")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop it at once, as if its machine had failed."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def private_server(tls: TlsFiles | None = None) -> Iterator[PrivateServer | None]:
    """A server from the installed program, on ports of its own; None where there is none."""
    found = sorted(glob.glob("/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")) or [
        path for path in ["/opt/rabbitmq/sbin/rabbitmq-server"] if os.path.exists(path)
    ]
    if not found:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="cf-mq-"))
    made = _prepared(folder, found[-1], tls)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        # Erlang's name server is a daemon that outlives those who started it; this one is ours.
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(["epmd", "-kill"], env=dict(made.environment), capture_output=True,
                           check=False, timeout=_CONTROL_SECONDS)  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)


def _prepared(folder: Path, program: str, tls: TlsFiles | None) -> PrivateServer:
    plain, secure, names, nodes = _free_ports(4)
    config = [f"listeners.tcp.1 = 127.0.0.1:{plain}", "loopback_users.guest = true"]
    if tls is not None:
        config += [
            f"listeners.ssl.1 = 127.0.0.1:{secure}",
            f"ssl_options.cacertfile = {tls.ca}",
            f"ssl_options.certfile = {tls.cert}",
            f"ssl_options.keyfile = {tls.key}",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = true",
        ]
    (folder / "rabbitmq.conf").write_text("\n".join(config) + "\n")
    for name in ("env.conf", "plugins"):
        (folder / name).write_text("[].\n" if name == "plugins" else "")
    environment = {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "RABBITMQ_NODENAME": f"cf{uuid.uuid4().hex[:8]}@localhost",
        "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_DIST_PORT": str(nodes),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    login = "guest:guest@127.0.0.1"
    tls_url = None if tls is None else f"amqps://{login}:{secure}/"
    return PrivateServer(f"amqp://{login}:{plain}/", tls_url, program, environment)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def for_tests() -> Iterator[str]:
    """URL of a virtual host for this process: told, on the server that runs, or a private one.

    Without any the test is skipped; in CI that is a failure.
    """
    if told := os.environ.get("CASEFRAME_TEST_RABBITMQ"):
        yield told
        return
    if (url := server()) is not None:
        with virtual_host(url) as own:
            yield own
        return
    with private_server() as private:
        if private is None:
            missing("no RabbitMQ runs here and none is installed; set CASEFRAME_TEST_RABBITMQ")
        else:
            yield private.url


def missing(reason: str) -> None:
    """Skip the test for that reason; in CI fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
