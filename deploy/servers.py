"""PostgreSQL, RabbitMQ and Redis of our own: how each is made ready and started on this machine."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import redis

from deploy.processes import Program

_HERE = Path(__file__).parent
DATABASE = USER = "caseframe"
_ANSWER_SECONDS = 5.0


class Missing(Exception):
    """A program that is needed is not installed, or a folder is out of its reach."""


@dataclass(frozen=True)
class Place:
    """Where a server keeps its files, the port it gets, and where the secrets are."""

    folder: Path
    port: int
    secrets: Path

    def password(self, name: str) -> str:
        """A password out of its file."""
        return (self.secrets / name).read_text().strip()


@dataclass(frozen=True)
class Server:
    """`prepare` may be called often; `answers` says whether it can be worked with now."""

    prepare: Callable[[], None]
    program: Program
    answers: Callable[[], bool]


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """That of a program that must not see the caller's settings."""
    foreign = ("CASEFRAME_", "RABBITMQ_", "PG")
    return {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | dict(more)


def found(*candidates: str) -> str:
    """The first of these programs that is installed: paths, patterns of paths, or names.

    Raises Missing.
    """
    for one in candidates:
        if matches := sorted(glob.glob(one)):
            return matches[-1]
        if path := shutil.which(one):
            return path
    raise Missing(f"{Path(candidates[-1]).name} is needed and not installed")


# ---- PostgreSQL ---------------------------------------------------------------------------------


def postgresql(place: Place) -> Server:
    """A cluster with one user and one database, for passwords only, on this machine only."""
    program = found("/usr/lib/postgresql/*/bin/postgres", "postgres")
    data = place.folder / "data"
    options = {
        "listen_addresses": "127.0.0.1", "port": str(place.port), "unix_socket_directories": "",
        "max_connections": "200",
    }  # fmt: skip
    words = [f"-c{name}={value}" for name, value in options.items()]
    return Server(
        lambda: _make_cluster(place, data, str(Path(program).parent / "initdb")),
        Program(
            [*_not_root(), program, "-D", str(data), *words],
            environment({}),
            stop_signal=signal.SIGINT,  # SIGTERM waits for clients to go
        ),
        lambda: _database_answers(place),
    )


def _not_root() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return [found("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


def _make_cluster(place: Place, data: Path, initdb: str) -> None:
    if (data / "PG_VERSION").exists():
        _forget_the_dead(data / "postmaster.pid")
        return
    place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=place.folder) as secret:
        secret.write(place.password("postgres_password"))
        secret.flush()
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            for one in (place.folder, Path(secret.name)):
                os.chown(one, owner.pw_uid, owner.pw_gid)
        command = [*_not_root(), initdb, "-D", str(data), "-U", USER, f"--pwfile={secret.name}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    if done.returncode:
        raise Missing(f"initdb: {done.stderr.strip()} (CASEFRAME_LOCAL names another folder)")


def _forget_the_dead(note: Path) -> None:
    """Where nobody reaps orphans, a killed server stays as a zombie, and the next one fears it."""
    with suppress(OSError, ValueError, IndexError, psutil.Error):
        process = psutil.Process(int(note.read_text().splitlines()[0]))
        if process.status() == psutil.STATUS_ZOMBIE:
            note.unlink()


def _database_answers(place: Place) -> bool:
    """Whether the database is there; makes it when it is the first time."""
    given = psycopg.conninfo.make_conninfo(
        host="127.0.0.1",
        port=place.port,
        user=USER,
        password=place.password("postgres_password"),
        dbname="postgres",
        connect_timeout=3,
    )
    try:
        with psycopg.connect(given, autocommit=True) as to:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if to.execute(query, (DATABASE,)).fetchone() is None:
                to.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'")
    except psycopg.Error:
        return False
    return True


# ---- RabbitMQ -----------------------------------------------------------------------------------


def port_mapper(place: Place) -> Server:
    """Erlang's directory of nodes. RabbitMQ would start one that outlives it."""
    command = [found("epmd"), "-port", str(place.port), "-address", "127.0.0.1"]
    return Server(lambda: None, Program(command, environment({})), lambda: True)


def rabbitmq(place: Place, mapper_port: int, distribution_port: int) -> Server:
    """A node with one user, reached over TLS by who shows a certificate of our authority."""
    folder = place.folder
    variables = {
        "HOME": folder,  # for a cookie of its own
        "RABBITMQ_NODENAME": "caseframe@localhost",
        "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
        "RABBITMQ_ADVANCED_CONFIG_FILE": folder / "advanced.config",
        "RABBITMQ_CONF_ENV_FILE": folder / "rabbitmq-env.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "enabled_plugins",
        "RABBITMQ_MNESIA_BASE": folder / "data",
        "RABBITMQ_LOG_BASE": folder,
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": folder / "rabbitmq.pid",
        "RABBITMQ_DIST_PORT": distribution_port,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_PORT": mapper_port,
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RUNNING_UNDER_SYSTEMD": "true",  # the script gives way to the server: signals reach it
    }
    program = found("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
    return Server(
        lambda: _configure(place),
        Program([program], environment({name: str(value) for name, value in variables.items()})),
        lambda: _broker_answers(place),
    )


def _configure(place: Place) -> None:
    """The configuration of the containers, with our places in it."""
    ours = {
        "listeners.ssl.1": f"127.0.0.1:{place.port}",
        "ssl_options.cacertfile": place.secrets / "ca.pem",
        "ssl_options.certfile": place.secrets / "rabbitmq.pem",
        "ssl_options.keyfile": place.secrets / "rabbitmq.key",
    }
    lines = (_HERE / "rabbitmq" / "10-caseframe.conf").read_text().splitlines()
    replaced = {*ours, "listeners.ssl.default"}
    kept = [line for line in lines if line.partition("=")[0].strip() not in replaced]
    kept += [f"{name} = {value}" for name, value in ours.items()]
    place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = "\n".join(kept) + "\n" + (place.secrets / "rabbitmq_user.conf").read_text()
    descriptor = os.open(
        place.folder / "rabbitmq.conf", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
    )
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    for name, nothing in (("advanced.config", "[]."), ("enabled_plugins", "[]."),
                          ("rabbitmq-env.conf", "")):  # fmt: skip
        (place.folder / name).write_text(nothing + "\n")


def _broker_answers(place: Place) -> bool:
    context = ssl.create_default_context(cafile=place.secrets / "ca.pem")
    context.load_cert_chain(place.secrets / "gateway.pem", place.secrets / "gateway.key")
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", place.port), _ANSWER_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        secured.sendall(b"AMQP\x00\x00\x09\x01")
        return bool(secured.recv(1))
    return False


# ---- Redis --------------------------------------------------------------------------------------


def redis_server(place: Place) -> Server:
    """Keeps what it holds over a restart; for passwords only, on this machine only."""
    program = found("redis-server")
    words = ["--bind", "127.0.0.1", "--port", str(place.port), "--dir", str(place.folder),
             "--appendonly", "yes", "--daemonize", "no"]  # fmt: skip
    return Server(
        lambda: place.folder.mkdir(mode=0o700, parents=True, exist_ok=True),
        Program([program, str(place.secrets / "redis.conf"), *words], environment({})),
        lambda: _redis_answers(place),
    )


def _redis_answers(place: Place) -> bool:
    client = redis.Redis(
        port=place.port, password=place.password("redis_password"), socket_timeout=_ANSWER_SECONDS
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
