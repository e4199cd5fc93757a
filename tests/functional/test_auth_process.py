"""`caseframe service auth` in a process of its own: how it starts, says it is ready, and ends."""

from __future__ import annotations

import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from tests.conftest import Cli
from tests.support import postgresql
from tests.support.cli import command, ending, environment
from tests.support.nest import Nest
from tests.support.people import HERE, PASSWORD, SECRET

from caseframe.accounts.remote import remote_accounts
from caseframe.bus.options import AmqpOptions
from caseframe.domain.access import Role
from caseframe.domain.people import NewAccount

_HEALTH = re.compile(r"health at (http://\S+)/ready")
_KEY = re.compile(r"https://case\.example\.org/auth/first\?key=(\S+)")


@dataclass(frozen=True)
class Running:
    """A running auth service."""

    health: str
    key: str
    process: subprocess.Popen[str]

    def until_ready(self) -> None:
        until = time.monotonic() + 60
        while httpx.get(f"{self.health}/ready").status_code != 200:
            assert time.monotonic() < until, httpx.get(f"{self.health}/ready").text
            time.sleep(0.1)


@contextmanager
def auth_service(folder: Path, queue: str, settings: dict[str, str]) -> Iterator[Running]:
    words = command("service", "auth", "--case", folder, "--queue", queue)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder,
            env=environment(folder, PYTHONUNBUFFERED="1", **settings),
        )  # fmt: skip
    with ending(process):
        yield _begun(process, folder / "log")


def _begun(process: subprocess.Popen[str], log: Path) -> Running:
    assert process.stdout is not None
    key = ""
    for line in process.stdout:
        if found := _KEY.search(line):
            key = found.group(1)
        if found := _HEALTH.search(line):
            return Running(found.group(1), key, process)
    raise AssertionError(log.read_text())


@pytest.fixture
def settings(
    tmp_path: Path, postgresql_server: str, rabbitmq_server: str, redis_server: str
) -> Iterator[dict[str, str]]:
    secret = tmp_path / "secret"
    secret.write_text(SECRET.get_secret_value())
    with postgresql.database(postgresql_server) as catalog:
        yield {
            "CASEFRAME_CATALOG_URL": catalog,
            "CASEFRAME_AMQP_URL": rabbitmq_server,
            "CASEFRAME_REDIS_URL": redis_server,
            "CASEFRAME_TOKEN_SECRET_FILE": str(secret),
            "CASEFRAME_PUBLIC_URL": "https://case.example.org",
            "CASEFRAME_SIGN_UP": "open",
        }


def test_it_serves_until_it_is_asked_to_end(
    tmp_path: Path, settings: dict[str, str], rabbitmq_server: str
) -> None:
    queue = f"auth-{uuid.uuid4()}"
    with auth_service(tmp_path, queue, settings) as service:
        service.until_ready()
        options = AmqpOptions(SecretStr(rabbitmq_server))
        with closing(remote_accounts(options, SECRET, queue=queue, seconds=60)) as accounts:
            new = NewAccount("Ro", "Ot", "root@example.org", PASSWORD)
            pair = accounts.create_first_administrator(service.key, new, HERE)
            assert accounts.validate(pair.access).role is Role.ADMINISTRATOR
            assert accounts.first_key() is None
        nest = Nest(rabbitmq_server, queue)
        done = nest.ask("sign-up", firstname="Eva", lastname="Li", email="eva@example.org",
                        password=PASSWORD)  # fmt: skip
        assert done["response"]["status"] == "success"
        (mail,) = (tmp_path / "outbox").glob("*.eml")
        text = mail.read_text().replace("=\n", "")
        key = re.search(r"auth/verify\?key=3D([0-9a-f-]{36})|verify\?key=([0-9a-f-]{36})", text)
        assert key
        assert "response" in nest.ask("verify-user", key=key.group(1) or key.group(2))
        metrics = httpx.get(f"{service.health}/metrics").text
        assert 'caseframe_auth_requests_total{answer="ok",command="sign-up"} 1.0' in metrics
        for secret in (PASSWORD, pair.access, SECRET.get_secret_value(), key.group(0)[-36:]):
            assert secret not in (tmp_path / "log").read_text() + metrics
        words = subprocess.run(
            ["ps", "-o", "args=", str(service.process.pid)], capture_output=True, check=True
        )
        assert b"guest" not in words.stdout
    assert service.process.returncode == 0


def test_without_a_secret_or_with_a_sample_it_refuses_to_start(cli: Cli, tmp_path: Path) -> None:
    """S10."""
    near = {
        "CASEFRAME_CATALOG_URL": "postgresql://127.0.0.1:1/none",
        "CASEFRAME_AMQP_URL": "amqp://guest:guest@127.0.0.1:1/",
    }
    good = {"CASEFRAME_TOKEN_SECRET": SECRET.get_secret_value()}
    for given, word in (
        (near, "CASEFRAME_TOKEN_SECRET_FILE"),
        ({**near, "CASEFRAME_TOKEN_SECRET": "secret"}, "shorter"),
        ({**near, "CASEFRAME_TOKEN_SECRET": "please-change-this-secret-before-use-1234"}, "sample"),
        (good, "CASEFRAME_AMQP_URL"),
        ({**good, "CASEFRAME_AMQP_URL": "amqps://guest:guest@mq.example.org/"}, "sample"),
        ({**good, "CASEFRAME_AMQP_URL": near["CASEFRAME_AMQP_URL"]}, "CASEFRAME_CATALOG_URL"),
    ):
        ran = cli("service", "auth", cwd=tmp_path, **given)
        assert ran.status == 2
        assert word in ran.err


def test_help_says_what_it_needs(cli: Cli) -> None:
    said = " ".join(cli("service", "auth", "--help").out.split())
    for word in ("PostgreSQL", "RabbitMQ", "token_secret_file", "Redis", "--case", "SIGTERM"):
        assert word in said
