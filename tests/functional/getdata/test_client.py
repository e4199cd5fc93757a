"""Our own client of getData: its limits, its errors, and how long it waits."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from datetime import timedelta

import pytest
from tests.support.getdata import MEBI, Manager
from tests.support.jobs import WAIT, idle, job_server

from caseframe.accounts.tokens import make_task_token
from caseframe.domain.access import TokenRefused
from caseframe.domain.errors import JobsAway, OverLimit, ReadError, UsageError
from caseframe.jobmanager.client import AsyncJobsClient

HOUR = timedelta(hours=1)


def test_the_client_keeps_to_its_limit(manager: Manager) -> None:
    (manager.case / "it.jpg").write_bytes(bytes(3 * MEBI))
    assert len(manager.fetch("it.jpg", limit=3 * MEBI)) == 3 * MEBI
    with pytest.raises(OverLimit, match="over the limit"):
        manager.fetch("it.jpg", limit=3 * MEBI - 1)


def test_what_the_client_raises(manager: Manager) -> None:
    (manager.case / "folder").mkdir()
    with pytest.raises(ReadError, match="no such file"):
        manager.fetch("folder")
    for token in (
        "x",
        "",
        "not\nprintable",
        "ñ",
        make_task_token(manager.town.local.mint, "x", -HOUR),
    ):
        with pytest.raises(TokenRefused):
            manager.fetch("x", token=token, limit=9, patience=0.2)
    with pytest.raises(UsageError):
        AsyncJobsClient(" ")


def test_an_id_that_nobody_could_send_is_replaced(manager: Manager) -> None:
    (manager.case / "it.jpg").write_bytes(b"it")
    for number in ("", "two words", "line\nfeed", "\u00e9"):
        assert manager.fetch("it.jpg", correlation_id=number, limit=9) == b"it"


def test_many_at_once_in_one_event_loop(manager: Manager) -> None:
    wanted = {}
    for number in range(60):
        data = os.urandom(10_000 * number)
        (manager.case / f"{number}.jpg").write_bytes(data)
        wanted[f"case/{number}.jpg".encode()] = data

    async def fetch_all() -> list[bytes]:
        async with AsyncJobsClient(manager.address) as client:
            return await asyncio.gather(
                *(
                    client.fetch(path, token=manager.token, correlation_id="t", limit=MEBI)
                    for path in wanted
                )
            )

    assert asyncio.run(fetch_all()) == list(wanted.values())


def test_a_client_that_raised_goes_on(manager: Manager) -> None:
    (manager.case / "it.jpg").write_bytes(bytes(100))

    async def fetch_all() -> None:
        async with AsyncJobsClient(manager.address, patience=0.2) as client:
            for kind, name, token, limit in (
                (OverLimit, b"case/it.jpg", manager.token, 99),
                (ReadError, b"case/none.jpg", manager.token, 99),
                (TokenRefused, b"case/it.jpg", "x", 99),
            ):
                with pytest.raises(kind):
                    await client.fetch(name, token=token, correlation_id="t", limit=limit)
            got = await client.fetch(
                b"case/it.jpg", token=manager.token, correlation_id="t", limit=100
            )
            assert got == bytes(100)

    asyncio.run(fetch_all())


@pytest.mark.parametrize("count", [1, 20])
def test_a_manager_that_is_away_is_waited_for(manager: Manager, count: int) -> None:
    (manager.case / "it.jpg").write_bytes(b"it")
    address = nobody()
    began = threading.Event()
    got: list[bytes] = []

    async def fetch() -> None:
        async with AsyncJobsClient(address, patience=WAIT) as client:
            calls = [
                client.fetch(b"case/it.jpg", token=manager.token, correlation_id="t", limit=9)
                for _ in range(count)
            ]
            began.set()
            got.extend(await asyncio.gather(*calls))

    thread = threading.Thread(target=lambda: asyncio.run(fetch()))
    thread.start()
    assert began.wait(WAIT)
    time.sleep(0.3)
    parts = idle(manager.town)
    with job_server(parts, manager.root, mint=manager.town.local.mint, address=address):
        thread.join(WAIT)
    assert got == [b"it"] * count


def nobody() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


def test_patience_has_an_end() -> None:
    address = nobody()

    async def fetch() -> None:
        async with AsyncJobsClient(address, patience=0.3) as client:
            with pytest.raises(JobsAway, match="not answer"):
                await client.fetch(b"x", token="t", correlation_id="t", limit=9)

    asyncio.run(fetch())
