"""Dead letters: messages that no worker could deal with, kept with the reason until a person looks.

They lie in queues of the broker; nothing else knows of them. To look at them is to take them out
and put them back, so only one who looks at a time sees them all. Quorum queues count each look and
drop what was delivered too often: deploy/rabbitmq/keep-dead-letters.sh has them not do it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.connection import Connection, make_url
from aio_pika.exceptions import ChannelNotFoundEntity, PublishError

from caseframe.bus import wire
from caseframe.bus.lost import LOST, uncancelled, words
from caseframe.bus.options import AmqpOptions
from caseframe.domain.errors import BrokerAway, NotFound, Unroutable

_log = structlog.get_logger(__name__)
_CONNECT_SECONDS = 10.0
_MOST = 10_000
_COUNT = "x-delivery-count"  # set by quorum queues only
_MANY = 10  # half of what RabbitMQ 4 allows where nothing says otherwise
_OF_THE_BROKER = ("x-death", "x-first-death", "x-last-death")

Renew = Callable[[str, str], str]
"""Gives, for a job and the token of its task, the token to send the task again with."""


@dataclass(frozen=True)
class DeadLetter:
    """One message that ended here. `path`, `job_id` and `stage` are None where it does not say."""

    id: str
    """Made from what it says, so that it is the same at every look."""
    queue: str
    """The queue that it was meant for."""
    reason: str
    job_id: str | None
    path: bytes | None
    attempt: int
    correlation_id: str
    body: bytes
    at: datetime | None = None
    """When it was given up; where nobody noted that, when it was sent. None where nothing says."""


class DeadLetters:
    """The dead letters of some queues; each call connects anew. Raises BrokerAway in all calls.

    Safe to use from many threads: one looks after the other.
    """

    def __init__(
        self, options: AmqpOptions, queues: Iterable[str], renew: Renew = lambda _job, old: old
    ) -> None:
        self._options = options
        self._renew = renew
        self._queues = tuple(dict.fromkeys((*queues, wire.JOB_MANAGER)))
        self._lock = threading.Lock()

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues whose dead letters these are."""
        return self._queues

    def list(self, queue: str | None = None, limit: int = 1000) -> Sequence[DeadLetter]:
        """All dead letters, or those of one queue, the oldest first; at most `limit` a queue."""
        names = self._names(queue)
        with self._lock:
            return asyncio.run(self._list(names, limit))

    def show(self, number: str) -> DeadLetter:
        """One of them; the beginning of its id will do. Raises NotFound."""
        found = [letter for letter in self.list(limit=_MOST) if letter.id.startswith(number)]
        if not found:
            raise NotFound(f"there is no dead letter {number}; see: caseframe dead-letters list")
        return found[0]

    def replay(self, numbers: Sequence[str] | None, queue: str | None = None) -> int:
        """Send these (None: all) back to their queues; how many went.

        Raises Unroutable where the queue is gone, and what `renew` raises; what went before it
        went.
        """
        return self._taken(numbers, queue, again=True)

    def drop(self, numbers: Sequence[str] | None, queue: str | None = None) -> int:
        """Throw these (None: all) away; how many went."""
        return self._taken(numbers, queue, again=False)

    def _taken(self, numbers: Sequence[str] | None, queue: str | None, *, again: bool) -> int:
        names = self._names(queue)
        with self._lock:
            return asyncio.run(self._take(names, _chooser(numbers), again=again))

    def _names(self, queue: str | None) -> tuple[str, ...]:
        if queue is None:
            return self._queues
        if queue not in self._queues:
            raise NotFound(f"no queue is called {queue}; there are: {', '.join(self._queues)}")
        return (queue,)

    async def _list(self, names: Sequence[str], limit: int) -> Sequence[DeadLetter]:
        found: list[DeadLetter] = []
        async with self._channel() as channel:
            for name in names:
                messages = [m async for m in _messages(channel, name, limit)]
                _warn(name, messages)
                found += [_letter(name, message) for message in messages]
        return found  # the channel closes, and all are back in their places

    async def _take(
        self, names: Sequence[str], wanted: Callable[[str], bool], *, again: bool
    ) -> int:
        count = 0
        async with self._channel() as channel:
            for name in names:
                async for message in _messages(channel, name, _MOST):
                    if wanted(_letter(name, message).id):
                        if again:
                            await self._send_again(channel, name, message)
                        await message.ack()
                        count += 1
        return count

    async def _send_again(
        self, channel: AbstractChannel, name: str, message: AbstractIncomingMessage
    ) -> None:
        fresh = aio_pika.Message(
            message.body,
            headers=self._headers(name, message),
            content_type="application/json",
            correlation_id=message.correlation_id,
            delivery_mode=2,
        )
        try:
            await channel.default_exchange.publish(fresh, name, mandatory=True)
        except PublishError as error:
            said = f"there is no queue {name} any more; start one of its workers"
            raise Unroutable(said) from error

    def _headers(self, name: str, message: AbstractIncomingMessage) -> dict[str, Any]:
        """Its own, less those of a dead letter; a task's token may be older than its life."""
        headers: dict[str, Any] = {
            key: value
            for key, value in message.headers.items()
            if key not in {wire.REASON, wire.ANSWERED} and not key.startswith(_OF_THE_BROKER)
        }  # fmt: skip
        job = _about(name, message.body)[0]
        token = wire.token(headers)
        if token and job is not None and name != wire.JOB_MANAGER:
            headers |= wire.bearer(self._renew(job, token))
        return headers

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        url = make_url(self._options.url.get_secret_value())
        try:
            # One that is not closed tries to when it is collected, in whatever thread.
            connection = Connection(url, ssl_context=self._options.context())
            with uncancelled():
                async with connection:
                    await connection.connect(timeout=_CONNECT_SECONDS)
                    async with connection.channel(on_return_raises=True) as channel:
                        yield channel
        except LOST as error:
            raise BrokerAway(f"RabbitMQ at {self._options.place}: {words(error)}") from error


def _chooser(numbers: Sequence[str] | None) -> Callable[[str], bool]:
    if numbers is None:
        return lambda _number: True
    return lambda number: any(number.startswith(wanted) for wanted in numbers)


async def _messages(
    channel: AbstractChannel, name: str, limit: int
) -> AsyncIterator[AbstractIncomingMessage]:
    try:
        queue = await channel.get_queue(wire.dead(name))
    except ChannelNotFoundEntity:
        await channel.reopen()
        return
    # No more than there were: what is sent again and dies again comes back here meanwhile.
    for _ in range(min(limit, queue.declaration_result.message_count or 0)):
        message = await queue.get(no_ack=False, fail=False)
        if message is None:
            return
        yield message


def _warn(name: str, messages: Sequence[AbstractIncomingMessage]) -> None:
    """Say it in time where the broker may soon drop letters because they were looked at."""
    counts = [count for m in messages if isinstance(count := m.headers.get(_COUNT), int)]
    if max(counts, default=0) >= _MANY:
        advice = "the broker may drop them; see Dead letters in docs/deploy.md"
        _log.warning("dead_letters.counted", queue=name, looks=max(counts), advice=advice)


def _letter(name: str, message: AbstractIncomingMessage) -> DeadLetter:
    said = wire.reason(message.headers)
    digest = hashlib.sha256(name.encode() + b"\0" + message.body).hexdigest()
    job, path, attempt = _about(name, message.body)
    return DeadLetter(
        id=digest[:16],
        queue=name,
        reason=said or _death(message),
        job_id=job,
        path=path,
        attempt=attempt,
        correlation_id=wire.correlation(message.headers),
        body=message.body,
        at=_moment(message, ours=said is not None),
    )


def _moment(message: AbstractIncomingMessage, *, ours: bool) -> datetime | None:
    """By our own note, or the broker's, or else by what the message itself says."""
    deaths = message.headers.get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else {}
    died = first.get("time") if isinstance(first, dict) else None
    for moment in (message.timestamp if ours else None, died, _sent(message.body)):
        if isinstance(moment, datetime):
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _sent(body: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(body)["time"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _about(name: str, body: bytes) -> tuple[str | None, bytes | None, int]:
    try:
        found = wire.read_result(body) if name == wire.JOB_MANAGER else wire.read_task(body)
    except wire.BadMessage:
        return None, None, 1
    return found.job_id, found.path, found.attempt


def _death(message: AbstractIncomingMessage) -> str:
    words = {
        "rejected": "its worker refused it",
        "expired": "it waited too long",
        "maxlen": "its queue was full",
        "delivery_limit": "it was delivered too often",
    }
    text = wire.death(message.headers)
    return words.get(text, text or "it does not say")
