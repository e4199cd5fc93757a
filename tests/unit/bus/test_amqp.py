"""A connection that cannot come about says why."""

from __future__ import annotations

import asyncio

from aio_pika.abc import AbstractChannel
from tests.support.queues import amqp

from caseframe.bus.amqp import Bus


async def _nothing(_channel: AbstractChannel) -> None:
    """There is nothing to declare."""


def test_a_url_that_the_library_does_not_take_is_a_reason_and_no_silence() -> None:
    async def main() -> str | None:
        bus = Bus(amqp("amqp://guest:guest@127.0.0.1:1/?heartbeat=often"), _nothing)
        await bus.start()
        async with asyncio.timeout(60):
            while bus.reason == "not connected yet":
                assert bus._task is not None
                assert not bus._task.done()
                await asyncio.sleep(0.01)
        await bus.close()
        return bus.reason

    assert asyncio.run(main())
