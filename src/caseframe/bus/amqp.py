"""One connection to RabbitMQ that comes back by itself, for one event loop.

Whatever is lost (the connection, a channel, a consumer whose queue was deleted) makes it begin anew
and declare all it needs. So there is one way back from every accident, and it is taken often enough
to be right. What was delivered and not acknowledged comes again: handlers must bear that.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import aio_pika
import aiormq
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.connection import Connection, make_url
from aio_pika.exceptions import DeliveryError, PublishError
from pamqp.commands import Basic

from caseframe.bus.lost import LOST, uncancelled, words
from caseframe.bus.options import AmqpOptions
from caseframe.domain.errors import BrokerAway, ServiceAway, Unroutable

_log = structlog.get_logger(__name__)
for _name in ("aio_pika", "aiormq"):  # what they would say beside, we say in words of our own
    logging.getLogger(_name).setLevel(logging.CRITICAL)
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 3.0
_CONNECT_SECONDS = 10.0
_CONFIRM_SECONDS = 60.0
_AT_ONCE = 128
_SETUP_SECONDS = 60.0
_LAST_SECONDS = 1.0  # for confirmations after the connection is lost or given up

Setup = Callable[[AbstractChannel], Awaitable[None]]
"""Declares what must exist before anything is consumed or published."""


@dataclass
class Delivery:
    """One message that came, with the two ways to be done with it; the first one counts."""

    body: bytes
    headers: Mapping[str, Any]
    routing_key: str
    redelivered: bool
    reply_to: str | None
    correlation_id: str | None
    _message: AbstractIncomingMessage = field(repr=False, compare=False)
    _over: bool = field(default=False, repr=False, compare=False)

    async def ack(self) -> None:
        """It is dealt with. On a lost connection nothing happens: it will come again."""
        over, self._over = self._over, True
        tag = self._message.delivery_tag
        if over or tag is None:
            return
        # Past the library's own, which waits for the socket at each.
        with suppress(*LOST), uncancelled():
            await self._message.channel.basic_ack(tag, wait=False)

    async def reject(self, *, requeue: bool) -> None:
        """Put it back, or let the broker's dead-letter rule have it."""
        over, self._over = self._over, True
        if over:
            return
        with suppress(*LOST), uncancelled():
            await self._message.reject(requeue=requeue)


Handler = Callable[[Delivery], Awaitable[None]]


@dataclass(frozen=True)
class Subscription:
    """`handler` gets at most `prefetch` messages at once that it has not acknowledged.

    `queue` must exist after the setup.
    """

    queue: str
    handler: Handler
    prefetch: int


class Bus:
    """Publishes with confirms and consumes. Use it inside one event loop.

    `start` returns at once and connects behind the caller's back, as often as it takes.
    """

    def __init__(self, options: AmqpOptions, setup: Setup) -> None:
        self.options = options
        self._setup = setup
        self._subscriptions: list[Subscription] = []
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._end = asyncio.Event()
        self._connection: AbstractConnection | None = None
        # Of the library below: it need not wait for the socket at each message.
        self._channel: aiormq.Channel | None = None
        self._task: asyncio.Task[None] | None = None
        # The library walks through all that waits for a confirm at each confirm.
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._handlers: set[asyncio.Task[None]] = set()
        self._limits: set[asyncio.Timeout] = set()
        self.reason: str | None = "not connected yet"
        """Why there is no connection now; None while there is one."""

    def subscribe(self, subscription: Subscription) -> None:
        """Consume from a queue, now and after every reconnection; call it before `start`."""
        self._subscriptions.append(subscription)

    async def start(self) -> None:
        """Begin to connect. Raises UsageError for certificates that cannot be used."""
        self._task = asyncio.create_task(self._keep(self.options.context()), name="bus")

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._up.is_set()

    async def wait(self, seconds: float) -> None:
        """Wait for a connection. Raises BrokerAway when there is none in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._up.wait()
        except TimeoutError as error:
            raise BrokerAway(f"RabbitMQ at {self.options.place}: {self.reason}") from error

    async def publish(
        self,
        body: bytes,
        routing_key: str,
        *,
        exchange: str = "",
        headers: Mapping[str, Any] | None = None,
        correlation_id: str | None = None,
        reply_to: str | None = None,
        persistent: bool = True,
        seconds: float = _CONFIRM_SECONDS,
        life: float | None = None,
    ) -> None:
        """Publish and wait until the broker has it safe in a queue.

        The broker drops it when nobody took it in `life` seconds; None lets it wait for ever.

        Raises Unroutable when there is no such queue, BrokerAway when there is no connection, it
        breaks, or the broker does not confirm in time (as it does while its memory is full): then
        the message may or may not have arrived.
        """
        properties = Basic.Properties(
            headers=dict(headers or {}),
            content_type="application/json",
            correlation_id=correlation_id,
            reply_to=reply_to,
            delivery_mode=2 if persistent else 1,
            expiration=None if life is None else str(int(life * 1000)),
            timestamp=datetime.now(UTC),
        )
        await self._confirmed(body, exchange, routing_key, properties, seconds)

    async def _confirmed(
        self,
        body: bytes,
        exchange: str,
        routing_key: str,
        properties: Basic.Properties,
        seconds: float,
    ) -> None:
        channel = self._channel
        if channel is None:
            raise BrokerAway(f"RabbitMQ at {self.options.place}: {self.reason}")
        try:
            async with asyncio.timeout(seconds) as limit, self._room:
                with self._bounded(limit), uncancelled():
                    await channel.basic_publish(
                        body, exchange=exchange, routing_key=routing_key, properties=properties,
                        mandatory=True, wait=False,
                    )  # fmt: skip
        except PublishError as error:
            raise Unroutable(f"no queue takes messages for {routing_key}") from error
        except TimeoutError as error:
            said = "takes no messages now (is its memory or its disk full?)"
            if channel is not self._channel:
                said = "went away before it confirmed a message"
            raise BrokerAway(f"RabbitMQ at {self.options.place} {said}") from error
        except (DeliveryError, *LOST) as error:
            raise BrokerAway(f"RabbitMQ at {self.options.place}: {words(error)}") from error

    @contextmanager
    def _bounded(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Have the time limit of a publication end soon when the connection is lost.

        A confirmation that is on its way then does not always end with an error.
        """
        self._limits.add(limit)
        try:
            yield
        finally:
            self._limits.discard(limit)

    async def look(self, queue: str) -> tuple[int, int] | None:
        """(messages that wait, consumers) of a queue; None where it does not exist.

        Raises BrokerAway.
        """
        connection = await self._connection_now()
        try:
            with uncancelled():
                async with connection.channel() as channel:
                    found = await channel.declare_queue(queue, passive=True)
            declared = found.declaration_result
            return declared.message_count or 0, declared.consumer_count or 0
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return None
        except LOST as error:
            raise BrokerAway(f"RabbitMQ at {self.options.place}: {words(error)}") from error

    async def again(self) -> None:
        """Connect anew and declare everything anew, as after a loss."""
        self._leave()

    async def close(self) -> None:
        """Take no more messages, let handlers end, and disconnect."""
        self._end.set()
        self._lost.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    # ---- how it stays connected -----------------------------------------------------------------

    async def _connection_now(self) -> AbstractConnection:
        if self._connection is None or not self._up.is_set():
            raise BrokerAway(f"RabbitMQ at {self.options.place}: {self.reason}")
        return self._connection

    async def _keep(self, context: ssl.SSLContext | None) -> None:
        pause = _FIRST_PAUSE
        while not self._end.is_set():
            try:
                with uncancelled():
                    await self._once(context)
                pause = _FIRST_PAUSE
            except (*LOST, ValueError) as error:  # a URL that the library does not take
                self.reason = words(error)
                _log.warning("broker.away", broker=self.options.place, reason=self.reason)
            finally:
                self._up.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._end.wait()
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _once(self, context: ssl.SSLContext | None) -> None:
        """One connection from its beginning to its end."""
        connection = await self._connected(context)
        self._connection = connection
        self._lost = asyncio.Event()
        try:
            connection.close_callbacks.add(self._note_loss)
            async with asyncio.timeout(_SETUP_SECONDS):
                channel = await self._open(connection)
                await self._setup(channel)
                # Before anything is consumed: who gets a message wants to answer it, and one that
                # cannot puts it back, to get it again at once.
                self._channel = await _below(channel)
                consumers = [await self._consume(connection, one) for one in self._subscriptions]
            self.reason = None
            self._up.set()
            _log.info("broker.connected", broker=self.options.place)
            if not self._end.is_set():  # asked while it connected: nobody sets this loss
                await self._lost.wait()
            if self._end.is_set():
                await self._drain(connection, consumers)
        finally:
            self._channel = self._connection = None
            with suppress(*LOST), uncancelled():
                async with asyncio.timeout(5):
                    await connection.close()

    async def _connected(self, context: ssl.SSLContext | None) -> AbstractConnection:
        url = make_url(self.options.url.get_secret_value())
        if "heartbeat" not in url.query:
            url = url.update_query(heartbeat=self.options.heartbeat)
        made = Connection(
            url, ssl_context=context, client_properties={"connection_name": self.options.name}
        )
        try:
            await made.connect(timeout=_CONNECT_SECONDS)
        except BaseException:
            await made.close()  # else it tries to when it is collected, in whatever thread
            raise
        return made

    async def _open(self, connection: AbstractConnection) -> AbstractChannel:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        channel.close_callbacks.add(self._note_loss)
        return channel

    async def _consume(
        self, connection: AbstractConnection, one: Subscription
    ) -> Callable[[], Awaitable[Any]]:
        channel = await self._open(connection)
        below = await channel.get_underlay_channel()
        below.on_consumer_cancel_callbacks.add(self._note_cancel)
        await channel.set_qos(prefetch_count=one.prefetch)
        queue = await channel.get_queue(one.queue, ensure=True)

        async def arrived(message: AbstractIncomingMessage) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._handlers.add(task)
                task.add_done_callback(self._handlers.discard)
            await self._handle(one, message)

        tag = await queue.consume(arrived)
        return lambda: queue.cancel(tag)

    async def _handle(self, one: Subscription, message: AbstractIncomingMessage) -> None:
        delivery = Delivery(
            message.body,
            message.headers,
            message.routing_key or "",
            bool(message.redelivered),
            message.reply_to,
            message.correlation_id,
            message,
        )
        try:
            await one.handler(delivery)
        except ServiceAway as error:  # it comes again
            _log.info("message.again", queue=one.queue, reason=str(error))
            await delivery.reject(requeue=True)
        except Exception:  # noqa: BLE001 - the boundary of one message: kept as a dead letter
            # A bug of ours: the message must not be lost over it, nor go round for ever.
            _log.exception("message.failed", queue=one.queue)
            await delivery.reject(requeue=not message.redelivered)

    async def _drain(
        self, connection: AbstractConnection, consumers: list[Callable[[], Awaitable[Any]]]
    ) -> None:
        for cancel in consumers:
            with suppress(*LOST), uncancelled():
                await cancel()
        if self._handlers:
            await asyncio.gather(*self._handlers, return_exceptions=True)
        # All acknowledgements have left when this has its answer.
        with suppress(*LOST), uncancelled():
            async with asyncio.timeout(_LAST_SECONDS), connection.channel():
                pass

    def _note_loss(self, _sender: object, error: BaseException | None = None) -> None:
        if error is not None:
            self.reason = words(error)
        self._leave()

    def _note_cancel(self, _frame: object) -> None:
        self.reason = "a queue was deleted"
        self._leave()

    def _leave(self) -> None:
        self._channel = None
        soon = asyncio.get_running_loop().time() + _LAST_SECONDS
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(min(soon, limit.when() or soon))
        self._up.clear()
        self._lost.set()


async def _below(channel: AbstractChannel) -> aiormq.Channel:
    found = await channel.get_underlay_channel()
    return cast("aiormq.Channel", found)
