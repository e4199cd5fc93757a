"""Requests and answers over RabbitMQ, in the format of NestJS.

A request is `{"pattern": {"cmd": NAME}, "data": …, "id": ID}` with `replyTo` and `correlationId`;
its answer `{"response": …, "isDisposed": true, "id": ID}`, or `err` in place of `response`. A
request is carried out at most once: one that a dead server may have begun is dropped, and its
caller's time runs out.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Container, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from caseframe.bus.amqp import Bus, Delivery, Subscription
from caseframe.bus.options import AmqpOptions
from caseframe.bus.thread import LoopThread
from caseframe.domain.errors import ServiceAway, Unroutable

_log = structlog.get_logger(__name__)
_LARGEST = 4 * 1024 * 1024  # bytes of a request
_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 5.0
_START_SECONDS = 10.0
_END_SECONDS = 30.0


class Refusal(Exception):
    """The answer was no: `err` holds at least statusCode, message and error."""

    def __init__(self, err: Mapping[str, Any]) -> None:
        super().__init__(str(err.get("message", "refused")))
        self.err = dict(err)


def refusal(status: int, message: str | list[str], **more: Any) -> Refusal:
    """A refusal with the name of that HTTP status; `more` stands beside it."""
    return Refusal(
        {"statusCode": status, "message": message, "error": HTTPStatus(status).phrase, **more}
    )


def _started(bus: Bus, name: str) -> LoopThread:
    """The thread in which a bus connects from now on. Raises UsageError for bad certificates."""
    loop = LoopThread(name)
    try:
        loop.call(bus.start(), _START_SECONDS)
    except BaseException:
        loop.close()
        raise
    return loop


# ---- the side that asks -------------------------------------------------------------------------


class RpcClient:
    """Asks the servers behind a queue. Safe to use from many threads, many requests at once.

    It connects behind the caller's back, as often as it takes. `headers` makes those of a body.
    """

    def __init__(
        self,
        options: AmqpOptions,
        queue: str,
        *,
        seconds: float = 4.0,
        headers: Callable[[bytes], Mapping[str, str]] = lambda _body: {},
    ) -> None:
        self._queue = queue
        self._seconds = seconds
        self._headers = headers
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._replies = ""
        self._bus = Bus(options, self._prepare)
        self._loop = _started(self._bus, f"rpc {queue}")

    async def _prepare(self, channel: AbstractChannel) -> None:
        """A fresh queue for each connection: the one before may be locked until it is noticed."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ServiceAway("the connection to RabbitMQ broke meanwhile"))
        name = f"{self._queue}.reply.{uuid.uuid4()}"
        replies = await channel.declare_queue(name, exclusive=True, auto_delete=True)
        below = await channel.get_underlay_channel()
        below.on_consumer_cancel_callbacks.add(self._note_cancel)
        await replies.consume(self._answered, no_ack=True, exclusive=True)
        self._replies = name

    def _note_cancel(self, _frame: object) -> None:
        self._again = asyncio.ensure_future(self._bus.again())

    async def _answered(self, message: AbstractIncomingMessage) -> None:
        waiting = self._waiting.get(message.correlation_id or "")
        if waiting is not None and not waiting.done():
            waiting.set_result(message.body)

    @property
    def reason(self) -> str | None:
        """Why nothing can be asked now; None when there is a connection."""
        return self._bus.reason

    def call(self, command: str, data: Mapping[str, Any]) -> Any:
        """The response to one request.

        Raises Refusal when the answer is no, ServiceAway when there is none in time: then it may
        or may not have been done.
        """
        number = str(uuid.uuid4())
        asked = {"pattern": {"cmd": command}, "data": data, "id": number}
        body = json.dumps(asked, separators=(",", ":")).encode("ascii")
        try:
            found = self._loop.call(self._ask(number, body), self._seconds + 1)
        except CancelledError as error:
            raise ServiceAway("this program is ending") from error
        return _response(found)

    async def _ask(self, number: str, body: bytes) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                if not self._bus.connected:
                    await self._bus.wait(min(_CONNECT_SECONDS, self._seconds))
                return await self._exchange(number, body)
        except TimeoutError as error:
            raise ServiceAway(f"nobody answers at the queue {self._queue}") from error
        except Unroutable as error:
            raise ServiceAway(f"there is no queue {self._queue}: its service never ran") from error

    async def _exchange(self, number: str, body: bytes) -> bytes:
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            await self._bus.publish(
                body,
                self._queue,
                headers=self._headers(body),
                correlation_id=number,
                reply_to=self._replies,
                persistent=False,
                seconds=self._seconds,
                life=self._seconds,
            )
            return await waiting
        finally:
            del self._waiting[number]
            if waiting.done() and not waiting.cancelled():
                waiting.exception()  # seen, also where the publishing failed first

    def close(self) -> None:
        """Disconnect; calls that still wait get ServiceAway. A second call does nothing."""
        with suppress(ServiceAway):  # closed before, or the broker does not say goodbye
            self._loop.call(self._bus.close(), _END_SECONDS)
        self._loop.close()


def _response(body: bytes) -> Any:
    try:
        answer = json.loads(body)
        if answer.get("err") is not None:
            raise Refusal(answer["err"])
        return answer.get("response")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ServiceAway("the service sent an answer that is none") from error


# ---- the side that answers ----------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """One request; `data` is what JSON held, an object or anything else."""

    command: str
    data: Any = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, Any] = field(repr=False)


Handler = Callable[[Request], Any]
"""Gives the response, fit for JSON; raises Refusal. It is called from several threads."""


class RpcServer:
    """Answers the requests of one queue until it is closed.

    Commands in `quick` have threads of their own, so that they do not wait behind slow ones; of
    those at most `slow_waiting` wait here, the next are refused at once. What waited for longer
    than `patience` seconds is refused too: whoever asked has given up.
    """

    def __init__(
        self,
        options: AmqpOptions,
        queue: str,
        handler: Handler,
        *,
        quick: Container[str] = (),
        prefetch: int = 64,
        threads: int = 8,
        slow_waiting: int = 32,
        patience: float = 4.0,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._quick = quick
        self._threads = {name: ThreadPoolExecutor(threads, name) for name in ("quick", "slow")}
        self._slow = 0
        self._most_slow = threads + slow_waiting
        self._patience = patience
        self._bus = Bus(options, self._prepare)
        self._bus.subscribe(Subscription(queue, self._arrived, prefetch))
        self._loop = _started(self._bus, f"rpc server {queue}")

    async def _prepare(self, channel: AbstractChannel) -> None:
        await channel.declare_queue(self._queue, durable=True)

    @property
    def reason(self) -> str | None:
        """Why no request can come now; None when they can."""
        return self._bus.reason

    def close(self) -> None:
        """Take no more requests, answer those at work, and disconnect."""
        with suppress(ServiceAway):
            self._loop.call(self._bus.close(), _END_SECONDS)
        for threads in self._threads.values():
            threads.shutdown()
        self._loop.close()

    async def _arrived(self, delivery: Delivery) -> None:
        try:
            if delivery.redelivered:
                _log.warning("rpc.dropped", queue=self._queue, reason="it may have been begun")
            elif not delivery.reply_to:
                _log.warning("rpc.dropped", queue=self._queue, reason="it names no replyTo")
            else:
                await self._reply(delivery, await self._answer(delivery))
        finally:
            await delivery.ack()

    async def _answer(self, delivery: Delivery) -> dict[str, Any]:
        number: Any = delivery.correlation_id
        try:
            asked = _parsed(delivery.body)
            number = asked.get("id", number)
            request = Request(_command(asked), asked.get("data"), delivery.body, delivery.headers)
            return {"response": await self._work(request), "isDisposed": True, "id": number}
        except Refusal as no:
            return {"err": no.err, "isDisposed": True, "id": number}
        except Exception:  # noqa: BLE001 - the boundary of one request
            _log.exception("rpc.failed", queue=self._queue)
            failed = refusal(500, "something went wrong here; the service's log says what")
            return {"err": failed.err, "isDisposed": True, "id": number}

    async def _work(self, request: Request) -> Any:
        quick = request.command in self._quick
        if not quick and self._slow >= self._most_slow:
            raise _busy()
        loop = asyncio.get_running_loop()
        self._slow += not quick
        try:
            threads = self._threads["quick" if quick else "slow"]
            until = time.monotonic() + self._patience
            return await loop.run_in_executor(threads, self._handle, request, until)
        finally:
            self._slow -= not quick

    def _handle(self, request: Request, until: float) -> Any:
        if time.monotonic() > until:
            raise _busy()
        return self._handler(request)

    async def _reply(self, delivery: Delivery, answer: dict[str, Any]) -> None:
        try:
            await self._bus.publish(
                json.dumps(answer, separators=(",", ":")).encode("ascii"),
                delivery.reply_to or "",
                correlation_id=delivery.correlation_id,
                persistent=False,
                seconds=_ANSWER_SECONDS,
            )
        except (ServiceAway, Unroutable) as error:
            # Whoever asked is gone, or asks again: nothing here is done twice over it.
            _log.info("rpc.unanswered", queue=self._queue, reason=str(error))


def _busy() -> Refusal:
    return refusal(503, "too many requests wait already; try again in a minute", code="away")


def _parsed(body: bytes) -> dict[str, Any]:
    """Raises Refusal for what is no request."""
    if len(body) > _LARGEST:
        raise refusal(413, f"a request has at most {_LARGEST} bytes")
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise refusal(400, "a request is a JSON object with pattern, data and id")
    return asked


def _command(asked: Mapping[str, Any]) -> str:
    pattern = asked.get("pattern")
    command = pattern.get("cmd") if isinstance(pattern, dict) else pattern
    if not isinstance(command, str):
        raise refusal(400, 'a request names its command as {"pattern": {"cmd": NAME}}')
    return command
