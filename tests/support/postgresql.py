"""A PostgreSQL for tests: the one that is told, the one that runs here, or a private one."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

_LOCAL = "postgresql://postgres@127.0.0.1:5432/postgres"


def server() -> str | None:
    """URL of a server where databases may be made, or None."""
    for url in (os.environ.get("CASEFRAME_TEST_POSTGRESQL"), _LOCAL):
        if url and _answers(url):
            return url
    return None


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.Error:
        return False
    return True


@dataclass(frozen=True)
class PrivateServer:
    """A server that a test may stop and start."""

    url: str
    control: tuple[str, ...]
    start_options: tuple[str, ...]

    def start(self) -> None:
        """Start it and wait until it answers."""
        _quietly(*self.control, *self.start_options, "start")

    def stop(self) -> None:
        """Stop it at once, as if its machine had failed."""
        _quietly(*self.control, "-m", "immediate", "stop")


@contextmanager
def private_server() -> Iterator[PrivateServer | None]:
    """A server of our own from the installed programs, on a socket; None where there are none."""
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [
        os.path.dirname(found) for found in [shutil.which("initdb")] if found
    ]
    if not programs:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="cf-pg-"))
    try:
        yield from _run(folder, programs[-1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, programs: str) -> Iterator[PrivateServer]:
    prefix: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    data = str(folder / "data")
    _quietly(*prefix, f"{programs}/initdb", "-D", data, "-U", "postgres", "-A", "trust")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    server = PrivateServer(
        f"postgresql://postgres@/postgres?host={folder}",
        (*prefix, f"{programs}/pg_ctl", "-D", data, "-w"),
        ("-o", options, "-l", f"{data}/log"),
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _quietly(*command: str) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, cwd="/", check=True)


@contextmanager
def database(url: str, *, like: str | None = None) -> Iterator[str]:
    """A fresh database on that server, as a URL; dropped afterwards.

    Empty, or a copy of the one with the URL `like`, which nobody may be connected to.
    """
    name = f"caseframe_{uuid.uuid4().hex[:12]}"
    template = "template0 ENCODING 'UTF8'"
    if like is not None:
        template = f'"{like.partition("?")[0].rpartition("/")[2]}"'
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {template}')
    head, _, query = url.partition("?")
    try:
        yield head.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
