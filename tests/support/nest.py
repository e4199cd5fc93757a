"""A client of the auth service as NestJS writes it, by hand: nothing in it is ours."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage


@dataclass(frozen=True)
class Nest:
    """Asks at one queue. Every call is a connection of its own."""

    url: str
    queue: str

    def ask(self, command: str, **data: Any) -> dict[str, Any]:
        """The whole answer to one command."""
        return self.together((command, data))[0]

    def together(self, *asked: tuple[str, Any]) -> list[dict[str, Any]]:
        """The answers to commands that are all sent before the first answer is looked at."""
        ids = [str(uuid.uuid4()) for _ in asked]
        bodies = [
            json.dumps({"pattern": {"cmd": command}, "data": data, "id": number}).encode()
            for (command, data), number in zip(asked, ids, strict=True)
        ]
        answers = self.raw(bodies, ids)
        for answer, number in zip(answers, ids, strict=True):
            assert answer["isDisposed"] is True
            assert answer["id"] == number
        return answers

    def raw(self, bodies: Sequence[bytes], ids: Sequence[str] | None = None) -> list[Any]:
        """The answers to any bodies, in their order."""
        numbers = list(ids) if ids is not None else [str(uuid.uuid4()) for _ in bodies]
        return asyncio.run(self._exchange(bodies, numbers))

    def send(self, body: bytes) -> None:
        """Send a body that names no queue for an answer."""
        asyncio.run(self._send(body))

    async def _exchange(self, bodies: Sequence[bytes], ids: list[str]) -> list[Any]:
        found: dict[str, Any] = {}
        all_there = asyncio.Event()

        async def take(message: AbstractIncomingMessage) -> None:
            found[message.correlation_id or ""] = json.loads(message.body)
            if set(ids) <= set(found):
                all_there.set()

        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            replies = await channel.declare_queue(exclusive=True)
            await replies.consume(take, no_ack=True)
            for body, number in zip(bodies, ids, strict=True):
                message = aio_pika.Message(body, correlation_id=number, reply_to=replies.name)
                await channel.default_exchange.publish(message, self.queue)
            async with asyncio.timeout(60):
                await all_there.wait()
        return [found[number] for number in ids]

    async def _send(self, body: bytes) -> None:
        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            await channel.default_exchange.publish(aio_pika.Message(body), self.queue)

    def waiting(self) -> int:
        """Messages that nobody has taken, or that went back."""
        return asyncio.run(self._waiting())

    async def _waiting(self) -> int:
        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(self.queue, passive=True)
            return queue.declaration_result.message_count or 0
