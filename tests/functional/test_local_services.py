"""deploy/local.sh: processes known by name, servers that let in nobody without a certificate."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aio_pika.connection import Connection, make_url
from aiormq.exceptions import AMQPError
from deploy.arrangement import Arrangement, NotReady
from deploy.certificates import make_certificates
from deploy.prepare import make_secrets
from deploy.processes import Processes, Program

from caseframe.bus.options import AmqpOptions, with_password

_PROGRAM = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
signal.signal(signal.SIGTERM, {how})
time.sleep(600)
"""
POLITE, DEAF = "lambda *_: sys.exit(0)", "signal.SIG_IGN"


def program(how: str) -> Program:
    return Program([sys.executable, "-c", _PROGRAM.format(how=how)], os.environ)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.stop("one", program(POLITE), seconds=0)


def child_of(processes: Processes) -> psutil.Process:
    while not processes.said("one").strip():
        assert processes.find("one") is not None
    return psutil.Process(int(processes.said("one")))


def gone(process: psutil.Process) -> bool:
    try:
        process.wait(10)
        return True
    except psutil.TimeoutExpired:
        return process.status() == psutil.STATUS_ZOMBIE


def test_a_program_ends_when_it_is_asked_and_leaves_nobody_behind(processes: Processes) -> None:
    processes.start("one", program(POLITE))
    child = child_of(processes)
    first = processes.find("one")
    processes.start("one", program(POLITE))
    assert processes.find("one") == first
    assert processes.stop("one", program(POLITE))
    assert processes.find("one") is None
    assert gone(child)


def test_one_that_does_not_listen_is_killed_and_named(processes: Processes) -> None:
    processes.start("one", program(DEAF))
    child_of(processes)
    assert not processes.stop("one", program(DEAF), seconds=0.2)
    assert processes.find("one") is None


def test_another_command_finds_what_one_started(processes: Processes, tmp_path: Path) -> None:
    processes.start("one", program(POLITE))
    assert Processes(tmp_path).find("one") == processes.find("one")


def test_a_crash_takes_one_process_and_the_next_start_clears_up(processes: Processes) -> None:
    processes.start("one", program(POLITE))
    child = child_of(processes)
    processes.kill("one")
    assert processes.find("one") is None
    assert child.is_running()
    processes.start("one", program(POLITE))
    assert gone(child)
    assert child_of(processes) != child


def test_a_process_with_the_number_of_a_dead_one_is_not_taken_for_it(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    (tmp_path / "pids" / "one.json").write_text(f'{{"pid": {os.getpid()}, "began": 1.0, "log": 0}}')
    assert processes.find("one") is None
    assert processes.stop("one", Program(["true"], stop_signal=signal.SIGKILL))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrangement]:
    """RabbitMQ and Redis as `deploy/local.sh up` starts them."""
    if not shutil.which("rabbitmq-server") or not shutil.which("redis-server"):
        reason = "RabbitMQ and Redis must be installed to be started"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("local")
    made = Arrangement(folder, folder)
    make_secrets(folder / "secrets")
    make_certificates(folder / "secrets")
    made.choose_ports()
    names = ("epmd", "rabbitmq", "redis")
    for name in names:
        made.start(name)
    try:
        for name in names:
            made.wait_ready(name)
        yield made
    finally:
        assert [made.stop(name) for name in reversed(names)] == [True] * len(names)


def options(local: Arrangement, *, certificate: bool, user: str, password: str) -> AmqpOptions:
    secrets = local.folder / "secrets"
    url = local.urls["rabbitmq"].replace("//", f"//{user}@") + "/"
    pair = (secrets / "stage.pem", secrets / "stage.key") if certificate else (None, None)
    return AmqpOptions(with_password(url, password), secrets / "ca.pem", *pair)


async def connects(to: AmqpOptions) -> bool:
    made = Connection(make_url(to.url.get_secret_value()), ssl_context=to.context())
    try:
        await made.connect(timeout=20)
    except (AMQPError, OSError):
        return False
    finally:
        await made.close()  # else it tries to when it is collected, in whatever thread
    return True


def test_the_broker_wants_a_certificate_and_the_password(local: Arrangement) -> None:
    right = (local.folder / "secrets" / "amqp_password").read_text()
    for certificate, user, password, welcome in (
        (True, "caseframe", right, True),
        (False, "caseframe", right, False),
        (True, "caseframe", "another", False),
        (True, "guest", "guest", False),
    ):
        asked = options(local, certificate=certificate, user=user, password=password)
        assert asyncio.run(connects(asked)) is welcome, (certificate, user)


def test_nothing_secret_is_in_the_list_of_processes(local: Arrangement) -> None:
    secrets = [file.read_text() for file in (local.folder / "secrets").glob("*_password")]
    shown = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    assert not [line for line in shown if any(secret in line for secret in secrets)]
    assert not [s for s in secrets if s in local.log("rabbitmq") or s in local.log("redis")]


def test_what_was_killed_can_be_started_again_at_the_same_place(local: Arrangement) -> None:
    place = local.urls["redis"]
    local.kill("redis")
    assert local.ready("redis") == "not running"
    local.start("redis")
    local.wait_ready("redis")
    assert local.urls["redis"] == place


def test_a_part_that_ends_is_named_with_the_end_of_its_log(local: Arrangement) -> None:
    with pytest.raises(NotReady, match="gateway: not running"):
        local.wait_ready("gateway")


def test_the_command_refuses_a_name_that_is_no_part() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local", "kill", "nobody"],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "stage-caption" in done.stderr
