"""Dead letters over a real broker, and a web server that shows them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel
from tests.support.queues import amqp
from tests.support.web import WebServer, clean_settings, running_web

from caseframe.bus import wire
from caseframe.bus.deadletters import DeadLetters
from caseframe.cli.assemble import open_case
from caseframe.cli.web import web_services

JOB = "00000000-0000-4000-8000-000000000001"


def task(path: str, queue: str, **keys: Any) -> dict[str, Any]:
    """A task as it travels; its time is 2026-01-02T03:04:05Z."""
    return {
        "from": "JobManager", "to": queue, "time": "2026-01-02T03:04:05Z", "jobId": JOB,
        "filepath": path, "md5": "0" * 32, "errors": [], "message": {}, "attempt": 2, **keys,
    }  # fmt: skip


async def _connected(url: str, work: Callable[[AbstractChannel], Awaitable[Any]]) -> Any:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        return await work(channel)


def on(url: str, work: Callable[[AbstractChannel], Awaitable[Any]]) -> Any:
    """In a thread of its own: in that of a browser's test an event loop runs already."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, _connected(url, work)).result()


def declare(url: str, queues: Sequence[str]) -> None:
    """Make the queues, as their workers do."""

    async def work(channel: AbstractChannel) -> None:
        for queue in queues:
            await wire.declare(channel, queue)

    on(url, work)


def bury(url: str, queue: str, body: Mapping[str, Any] | bytes, reason: str | None = None) -> None:
    """Make a dead letter; one without a reason is refused by a worker."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def work(channel: AbstractChannel) -> None:
        if reason is not None:
            exchange = await channel.get_exchange(wire.DEAD_LETTERS)
            message = aio_pika.Message(
                data, headers={wire.REASON: reason}, timestamp=datetime(2026, 2, 3, tzinfo=UTC)
            )
            await exchange.publish(message, wire.dead(queue))
            return
        await channel.default_exchange.publish(aio_pika.Message(data), queue)
        taken = await (await channel.get_queue(queue)).get()
        await taken.reject(requeue=False)

    on(url, work)


def waiting(url: str, queue: str) -> list[bytes]:
    """Take all messages out of a queue; their bodies."""

    async def work(channel: AbstractChannel) -> list[bytes]:
        found = []
        source = await channel.get_queue(queue)
        while (message := await source.get(fail=False)) is not None:
            await message.ack()
            found.append(message.body)
        return found

    bodies: list[bytes] = on(url, work)
    return bodies


def delete(url: str, *queues: str) -> None:
    """Delete queues with all they hold."""

    async def work(channel: AbstractChannel) -> None:
        for queue in queues:
            await channel.queue_delete(queue)

    on(url, work)


@contextmanager
def web_with_letters(
    folder: Path, sources: Path, cache: Path, broker: str, queues: Sequence[str]
) -> Iterator[WebServer]:
    """A web server whose administrators see the dead letters of these queues."""
    settings = clean_settings(cache)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with (
            open_case(folder / "case", settings, create=True) as opened,
            web_services(opened, sources, url) as plain,
        ):
            services = replace(plain, dead_letters=DeadLetters(amqp(broker), queues))
            server = WebServer(url, folder / "case", sources, services)
            with running_web(services, listening):
                yield server
                server.close()
