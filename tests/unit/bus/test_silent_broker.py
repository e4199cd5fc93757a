"""R12: a broker that keeps its connections and says nothing. What waits for it ends as lost.

The library ends it by cancelling what waits, which looks as if nobody wanted it any more.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support import queues
from tests.support.freezing import FreezingBroker
from tests.support.queues import amqp
from tests.support.waiting import eventually

from caseframe.bus import wire
from caseframe.bus.deadletters import DeadLetters
from caseframe.bus.lost import uncancelled
from caseframe.bus.thread import LoopThread
from caseframe.domain.errors import BrokerAway

QUEUE = "Faces"
TASK = wire.Task(QUEUE, "job-1", b"trip/a.jpg", "0" * 32)


def test_what_was_sent_and_looked_at_ends_as_away_and_it_connects_again(
    rabbitmq_server: str,
) -> None:
    told: dict[int, Any] = {}
    with (
        FreezingBroker(rabbitmq_server) as broker,
        queues.exchange(f"{broker.url}?heartbeat=1", [QUEUE]) as exchange,
        ThreadPoolExecutor(1) as threads,
    ):
        broker.freeze()
        exchange.send([(TASK, {}), (TASK, {})], told.__setitem__)
        looks = threads.submit(lambda: exchange._loop.call(exchange._bus.look(QUEUE), 60))
        eventually(lambda: len(told) == 2)
        assert all(isinstance(error, BrokerAway) for error in told.values())
        with pytest.raises(BrokerAway):
            looks.result(60)
        eventually(lambda: "does not answer" in str(exchange.trouble))
        broker.thaw()
        exchange.wait(60)
        exchange.send([(TASK, {})], lambda _index, error: told.update({2: error}))
        eventually(lambda: 2 in told)
        assert told[2] is None


def test_dead_letters_end_as_away_too(rabbitmq_server: str) -> None:
    with FreezingBroker(rabbitmq_server) as broker:
        found = DeadLetters(amqp(f"{broker.url}?heartbeat=1"), [QUEUE])
        opened = found._channel

        async def silent() -> None:
            async with opened() as channel:
                broker.freeze()
                await channel.get_queue(wire.dead(QUEUE))

        with pytest.raises(BrokerAway, match="does not answer"):
            asyncio.run(silent())


async def _cancelled() -> None:
    """As the library ends what waits for a confirmation."""
    waiting = asyncio.get_running_loop().create_future()
    waiting.set_exception(asyncio.CancelledError())
    await waiting


def test_what_is_cancelled_below_us_is_lost_and_what_we_cancel_is_cancelled() -> None:
    async def guarded() -> None:
        with uncancelled():
            await _cancelled()

    async def ours() -> None:
        async def wait() -> None:
            with uncancelled():
                await asyncio.sleep(60)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with uncancelled(), pytest.raises(TimeoutError):  # a time limit is no loss
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)

    with pytest.raises(ConnectionError, match="does not answer"):
        asyncio.run(guarded())
    asyncio.run(ours())


def test_who_waits_in_another_thread_hears_that_the_broker_is_away() -> None:
    loop = LoopThread("test")
    try:
        with pytest.raises(BrokerAway):
            loop.call(_cancelled())
    finally:
        loop.close()


def test_a_publication_that_is_cancelled_is_told_as_one_that_failed(
    rabbitmq_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    with queues.exchange(rabbitmq_server, [QUEUE]) as exchange:
        monkeypatch.setattr(exchange._bus, "publish", lambda *_a, **_k: _cancelled())
        exchange.send([(TASK, {})], lambda _index, error: told.append(error))
        eventually(lambda: told)
    assert isinstance(told[0], BrokerAway)
