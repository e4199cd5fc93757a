"""Workers in processes of their own: what a picture, a death or a doubled message does to a job."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import pytest
from pydantic import SecretStr
from tests import makers
from tests.support import manager, plugins
from tests.support.waiting import eventually
from tests.support.workers import stage_worker

from caseframe.bus.deadletters import DeadLetters
from caseframe.bus.options import AmqpOptions
from caseframe.catalog import detail, gallery, tally, work
from caseframe.catalog.database import Catalog, open_sqlite
from caseframe.domain.errors import NotFound

NAME = "fragile"
DEADLY = """
if b'deadly' in frame.data:
    os.kill(os.getpid(), signal.SIGKILL)
if b'slow' in frame.data:
    time.sleep(1)
if b'patience' in frame.data:
    time.sleep(6)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Catalog]:
    opened = open_sqlite(tmp_path / "catalog.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    root = tmp_path / "sources"
    (root / "trip").mkdir(parents=True)
    for number in range(8):
        (root / "trip" / f"{number}.jpg").write_bytes(makers.photo(96, 64, number))
    return root


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    plugins.install(tmp_path / "packages", NAME, DEADLY)
    return tmp_path / "packages"


@contextmanager
def running(
    store: Catalog, sources: Path, url: str, tmp_path: Path, cache: Path, **given: Any
) -> Iterator[manager.System]:
    external = ({"name": NAME, "title": "Fragile"},)
    chosen = {"lease_seconds": 4, "queue_stages": (), "external_stages": external, **given}
    with manager.system(store, sources, url, tmp_path / "case", cache, **chosen) as made:
        yield made


def stages_by_path(store: Catalog, job: str) -> dict[str, dict[str, detail.Said]]:
    with store.read() as connection:
        found = {}
        for tile in gallery.page(connection, job).tiles:
            shown = detail.detail(connection, job, tile.image_id)
            found[shown.paths[0].path.decode()] = {said.stage: said for said in shown.stages}
    return found


def letters(url: str) -> DeadLetters:
    return DeadLetters(AmqpOptions(SecretStr(url)), [NAME])


def test_a_poisonous_picture_fails_alone_and_is_kept_until_it_can_be_done(
    store: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    packages: Path,
) -> None:  # fmt: skip
    """R4: at most three tries, a failed row, a dead letter with its reason; a replay mends it."""
    victim = sources / "trip" / "3.jpg"
    victim.write_bytes(victim.read_bytes() + b"deadly")
    with running(store, sources, rabbitmq_server, tmp_path, cache) as made:
        with stage_worker(rabbitmq_server, made.address, cache, NAME, packages=packages) as worker:
            job = made.start("trip", (NAME,))
            assert made.finish(job).state == "finished"
            metrics = httpx.get(f"{worker.door}/metrics").text
            assert httpx.get(f"{worker.door}/ready").status_code == 200
        found = stages_by_path(store, job)
        states = {path: said[NAME].state for path, said in found.items()}
        assert states == {f"{n}.jpg": "failed" if n == 3 else "done" for n in range(8)}
        failed = found["3.jpg"][NAME]
        assert failed.attempts == 3
        assert "SIGKILL" in (failed.reason or "")
        assert f'caseframe_worker_tasks_total{{stage="{NAME}",state="done"}} 7.0' in metrics
        assert f'caseframe_worker_dead_letters_total{{stage="{NAME}"}} 1.0' in metrics

        (letter,) = letters(rabbitmq_server).list()
        assert (letter.queue, letter.job_id, letter.path) == (NAME, job, b"trip/3.jpg")
        assert "SIGKILL" in letter.reason
        assert letters(rabbitmq_server).show(letter.id[:6]).body == letter.body
        with pytest.raises(NotFound):
            letters(rabbitmq_server).show("ffffffff")

        plugins.install(packages, NAME, "pass")  # the worker's maker mended it
        with stage_worker(rabbitmq_server, made.address, cache, NAME, packages=packages):
            assert letters(rabbitmq_server).replay([letter.id]) == 1
            eventually(lambda: stages_by_path(store, job)["3.jpg"][NAME].state == "done")
        assert letters(rabbitmq_server).list() == []


def test_a_stage_that_needs_no_picture_fetches_none(
    store: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    packages: Path,
) -> None:  # fmt: skip
    plugins.install(packages, NAME, "pass", needs_picture=False)
    with (
        running(store, sources, rabbitmq_server, tmp_path, cache) as made,
        stage_worker(rabbitmq_server, made.address, cache, NAME, packages=packages) as worker,
    ):
        job = made.start("trip", (NAME,))
        assert made.finish(job).state == "finished"
        metrics = httpx.get(f"{worker.door}/metrics").text
    found = stages_by_path(store, job)
    assert {said[NAME].state for said in found.values()} == {"done"}
    assert "caseframe_worker_fetched_bytes_total 0.0" in metrics


def test_a_worker_that_is_killed_loses_no_task(
    store: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    packages: Path,
) -> None:  # fmt: skip
    """R6: what it held comes again to the next one, and every task has one result."""
    for file in (sources / "trip").iterdir():
        file.write_bytes(file.read_bytes() + b"slow")
    with running(store, sources, rabbitmq_server, tmp_path, cache) as made:
        with stage_worker(rabbitmq_server, made.address, cache, NAME, packages=packages) as worker:
            job = made.start("trip", (NAME,))
            eventually(lambda: any(NAME in s and s[NAME].state == "done"
                                   for s in stages_by_path(store, job).values()))  # fmt: skip
            worker.kill()
        assert made.state(job).state == "running"
        with stage_worker(rabbitmq_server, made.address, cache, NAME, packages=packages) as worker:
            assert made.finish(job).state == "finished"
            assert worker.end() == 0
        states = [said[NAME].state for said in stages_by_path(store, job).values()]
        assert states == ["done"] * 8
    assert letters(rabbitmq_server).list() == []


def test_a_worker_asked_to_end_answers_what_it_holds(
    store: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    packages: Path,
) -> None:  # fmt: skip
    for file in (sources / "trip").iterdir():
        file.write_bytes(file.read_bytes() + b"slow")
    with running(store, sources, rabbitmq_server, tmp_path, cache, lease_seconds=60) as made:
        with stage_worker(
            rabbitmq_server, made.address, cache, NAME, packages=packages, CASEFRAME_PREFETCH="2"
        ) as worker:
            job = made.start("trip", (NAME,))
            eventually(lambda: any(NAME in s and s[NAME].state == "done"
                                   for s in stages_by_path(store, job).values()))  # fmt: skip
            assert worker.end() == 0
        with stage_worker(rabbitmq_server, made.address, cache, NAME, packages=packages):
            assert made.finish(job).state == "finished"
        attempts = [said[NAME].state for said in stages_by_path(store, job).values()]
        assert attempts == ["done"] * 8


def test_answers_that_come_after_the_job_was_stopped_are_kept(
    store: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    packages: Path,
) -> None:  # fmt: skip
    with running(store, sources, rabbitmq_server, tmp_path, cache) as made:
        job = made.start("trip", (NAME,))
        eventually(lambda: len(stages_by_path(store, job)) == 8)
        eventually(lambda: "no worker" in getattr(made.manager.progress(job), "waiting", ""))
        made.manager.stop_and_wait(job)
        assert made.state(job).state == "stopped"
        with stage_worker(rabbitmq_server, made.address, cache, NAME, packages=packages):
            eventually(lambda: all(said[NAME].state == "done"
                                   for said in stages_by_path(store, job).values()))  # fmt: skip
            made.manager.submit(job)
            assert made.finish(job).state == "finished"


def test_messages_that_make_no_sense_become_dead_letters_with_their_reason(
    store: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    packages: Path,
) -> None:  # fmt: skip
    async def publish(*messages: tuple[str, bytes]) -> None:
        connection = await aio_pika.connect(rabbitmq_server)
        async with connection, connection.channel() as channel:
            for queue, body in messages:
                await channel.default_exchange.publish(aio_pika.Message(body), queue)

    half = {"from": NAME, "to": "JobManager", "jobId": "nobody", "filepath": "/x.jpg"}
    stranger = {**half, "md5": "0" * 32, "message": "hello", "errors": []}
    with (
        running(store, sources, rabbitmq_server, tmp_path, cache) as made,
        stage_worker(rabbitmq_server, made.address, cache, NAME, packages=packages) as worker,
    ):
        asyncio.run(publish(
            (NAME, b"\\xff\\x00 no json"), (NAME, b"[]"), (NAME, json.dumps(half).encode()),
            ("JobManager", b"{"), ("JobManager", json.dumps(stranger).encode()),
        ))  # fmt: skip
        eventually(lambda: len(letters(rabbitmq_server).list()) == 3)
        job = made.start("trip", (NAME,))
        assert made.finish(job).state == "finished"
        assert worker.process.poll() is None
        reasons = sorted(letter.reason for letter in letters(rabbitmq_server).list())
    assert any("no JSON" in reason for reason in reasons)
    assert letters(rabbitmq_server).drop(None) == len(reasons)
    assert letters(rabbitmq_server).list() == []


def test_a_doubled_message_changes_nothing(
    store: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    packages: Path,
) -> None:  # fmt: skip
    """R8: every task delivered twice, and in another order."""

    async def double() -> int:
        connection = await aio_pika.connect(rabbitmq_server)
        async with connection, connection.channel() as channel:
            queue = await channel.get_queue(NAME)
            taken = []
            while (message := await queue.get(fail=False)) is not None:
                taken.append(message)
            for message in [*reversed(taken), *taken]:
                copy = aio_pika.Message(message.body, headers=dict(message.headers))
                await channel.default_exchange.publish(copy, NAME)
            for message in taken:
                await message.ack()
            return len(taken)

    with running(store, sources, rabbitmq_server, tmp_path, cache, lease_seconds=60) as made:
        job = made.start("trip", (NAME,))
        eventually(lambda: "no worker" in getattr(made.manager.progress(job), "waiting", ""))
        assert asyncio.run(double()) == 8
        with stage_worker(rabbitmq_server, made.address, cache, NAME, packages=packages):
            assert made.finish(job).state == "finished"
            found = stages_by_path(store, job)
        assert [said[NAME].state for said in found.values()] == ["done"] * 8


def test_work_that_takes_longer_than_heartbeat_and_lease_has_one_result(
    store: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    packages: Path,
) -> None:  # fmt: skip
    """R5: the connection lives while the stage works; a second message is no second result."""
    victim = sources / "trip" / "3.jpg"
    victim.write_bytes(victim.read_bytes() + b"patience")
    with running(store, sources, rabbitmq_server, tmp_path, cache, lease_seconds=2) as made:
        with stage_worker(
            f"{rabbitmq_server}?heartbeat=1", made.address, cache, NAME, packages=packages
        ) as worker:
            job = made.start("trip", (NAME,))
            assert made.finish(job).state == "finished"
            said = "".join(worker.lines)
        found = {path: s[NAME] for path, s in stages_by_path(store, job).items()}
    assert {said.state for said in found.values()} == {"done"}
    assert {said.attempts for said in found.values()} == {1}
    assert found["3.jpg"].seconds is not None
    assert found["3.jpg"].seconds >= 6
    assert "broker.away" not in said


def test_workers_that_finish_together_leave_exact_totals(
    store: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    packages: Path,
) -> None:  # fmt: skip
    """R7."""
    for number in range(8, 60):
        (sources / "trip" / f"{number}.jpg").write_bytes(makers.photo(96, 64, number))
    with running(store, sources, rabbitmq_server, tmp_path, cache) as made, ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(
                stage_worker(rabbitmq_server, made.address, cache, NAME, packages=packages)
            )
        job = made.start("trip", (NAME,))
        assert made.finish(job).state == "finished"
        with store.read() as connection:
            (progress,) = tally.progress(connection, job).stages
            recounted = work.count_tasks(connection, job, {NAME: "1"})
    assert (progress.found, progress.total, progress.pending) == (60, 60, 0)
    assert sum(row.count for row in recounted) == 60
