"""Dead letters in quorum queues, which drop what was delivered too often: looking costs none."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import pytest
import structlog
from aio_pika.abc import AbstractChannel
from tests.support import letters, queues, rabbitmq
from tests.support.letters import bury, task
from tests.support.waiting import eventually

from caseframe.bus import wire
from caseframe.bus.deadletters import DeadLetters

QUEUE = "Faces"
POLICY = Path(__file__).parents[3] / "deploy" / "rabbitmq" / "keep-dead-letters.sh"
LIMIT = 12


@pytest.fixture
def host() -> Iterator[str]:
    """A virtual host whose quorum queues drop what was delivered more than `LIMIT` times."""
    if (server := rabbitmq.server()) is None:
        pytest.skip("policies need a RabbitMQ that rabbitmqctl reaches")
    with rabbitmq.virtual_host(server) as url:
        words = ["set_policy", "-p", name(url), "all", ".*", f'{{"delivery-limit": {LIMIT}}}']
        subprocess.run(["rabbitmqctl", "-q", *words], check=True, capture_output=True,
                       timeout=60)  # fmt: skip
        declare(url)
        yield url


def name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def declare(url: str) -> None:
    """As a server does it whose default are quorum queues."""

    async def work(channel: AbstractChannel) -> None:
        exchange = await channel.declare_exchange(
            wire.DEAD_LETTERS, aio_pika.ExchangeType.TOPIC, durable=True
        )
        kept = await channel.declare_queue(
            wire.dead(QUEUE), durable=True, arguments={"x-queue-type": "quorum"}
        )
        await kept.bind(exchange, f"{QUEUE}.#")

    letters.on(url, work)


def looks(url: str, times: int) -> list[int]:
    """How many letters each look shows."""
    found = DeadLetters(queues.amqp(url), [QUEUE])
    return [len(found.list(QUEUE)) for _ in range(times)]


def sights(url: str, times: int) -> None:
    """Look until a letter was seen so often; a look too soon after another may show none."""
    found = DeadLetters(queues.amqp(url), [QUEUE])
    for _ in range(times):
        eventually(lambda: len(found.list(QUEUE)) == 1)


def test_with_our_policy_a_letter_bears_thirty_looks(host: str) -> None:
    subprocess.run([str(POLICY), name(host)], check=True, capture_output=True, timeout=60)
    bury(host, QUEUE, task("/a.jpg", QUEUE), "its worker died")
    sights(host, 30)


def test_without_it_the_log_warns_before_the_letter_is_dropped(host: str) -> None:
    bury(host, QUEUE, task("/a.jpg", QUEUE), "its worker died")
    with structlog.testing.capture_logs() as logs:
        sights(host, 9)
        assert logs == []
        seen = looks(host, 21)
    assert seen[-1] == 0  # the broker does it, whatever we do: so the warning
    assert logs[0]["event"] == "dead_letters.counted"
    assert logs[0]["looks"] == 10
