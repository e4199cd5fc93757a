"""Answers at the job manager over a real broker: one that cannot be dealt with costs no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from tests.support import letters, queues
from tests.support.waiting import eventually

from caseframe.bus import wire
from caseframe.bus.deadletters import DeadLetters
from caseframe.catalog.database import Catalog
from caseframe.pipeline.exchange import Arrival
from caseframe.pipeline.late import LateAnswers


@pytest.fixture
def broker(rabbitmq_server: str) -> Iterator[str]:
    letters.delete(rabbitmq_server, wire.JOB_MANAGER, wire.dead(wire.JOB_MANAGER), wire.NOTICES)
    letters.declare(rabbitmq_server, (wire.JOB_MANAGER,))
    yield rabbitmq_server
    letters.delete(rabbitmq_server, wire.JOB_MANAGER, wire.dead(wire.JOB_MANAGER), wire.NOTICES)


def answered(url: str, *jobs: str, **keys: Any) -> None:
    """Answers of workers as they travel."""

    async def send() -> None:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            for job in jobs:
                said = {"from": "Faces", "jobId": job, "filepath": "/a.jpg", "md5": "0" * 32}
                body = json.dumps({**said, **keys}).encode()
                await channel.default_exchange.publish(aio_pika.Message(body), wire.JOB_MANAGER)

    asyncio.run(send())


def test_an_answer_that_breaks_us_is_kept_with_the_reason_and_its_neighbours_are_written(
    broker: str,
) -> None:
    written: list[str] = []

    def late(arrivals: Sequence[Arrival]) -> None:
        jobs = [arrival.result.job_id for arrival in arrivals]
        if "job-2" in jobs:
            raise ZeroDivisionError("a mistake of ours")
        written.extend(jobs)

    with queues.exchange(broker, ["Faces"], late):
        answered(broker, "job-1", "job-2", "job-3")
        eventually(lambda: sorted(written) == ["job-1", "job-3"])
        eventually(lambda: DeadLetters(queues.amqp(broker), []).list())
        answered(broker, "job-4")  # who writes is still there
        eventually(lambda: "job-4" in written)
    assert letters.waiting(broker, wire.JOB_MANAGER) == []  # all acknowledged
    (letter,) = DeadLetters(queues.amqp(broker), []).list()
    assert letter.job_id == "job-2"
    assert "could not be written: ZeroDivisionError: a mistake of ours" in letter.reason


def test_an_answer_with_half_a_character_stops_nobody(
    broker: str, catalog: Catalog, tmp_path: Path
) -> None:
    late = LateAnswers(catalog, queues.stages_of(["similar"]), bytes(tmp_path))
    with queues.exchange(broker, ["Faces"], late) as exchange:
        answered(broker, "\ud800")
        answered(broker, "job-1", outcome={"state": "done", "model": "\ud800"})
        eventually(lambda: len(DeadLetters(queues.amqp(broker), []).list()) == 2)
        assert exchange._writer.is_alive()
    assert letters.waiting(broker, wire.JOB_MANAGER) == []
    found = DeadLetters(queues.amqp(broker), []).list()
    assert [letter.reason for letter in found] == [
        "jobId of the message is no valid text", "model of the message is no valid text"
    ]  # fmt: skip


def test_what_workers_call_themselves_makes_no_new_metrics(broker: str) -> None:
    sound = {"state": "done", "found": False}
    with queues.exchange(broker, ["Faces"]) as exchange:
        for number in range(20):
            answered(broker, "job-1", **{"from": f"made up {number}", "outcome": sound})
        answered(broker, "job-1", outcome=sound)
        counted = exchange.metrics.answers.labels("Faces", "late")._value
        eventually(lambda: counted.get() == 1)
        for metric in (exchange.metrics.answers, exchange.metrics.seconds):
            (family,) = metric.collect()
            assert {one.labels["queue"] for one in family.samples} == {"Faces", "other"}
