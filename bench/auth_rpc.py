"""Validating tokens over RabbitMQ against a bare aio-pika request and reply, both in one run.

Two hundred requests a second, each begun when its time has come, whatever became of those before.
The bare side answers a constant to the same message over the same kind of connection (TLS with
certificates both ways where a RabbitMQ can be started). Ours checks the signature of the token and
looks the session up in a catalog; it is asked once by the same bare client, once as the gateway
asks. Servers are processes of their own; the sides take turns.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from pydantic import SecretStr
from tests.support import rabbitmq
from tests.support.certificates import Authority

from bench.report import Report
from caseframe.accounts.local import LocalAccounts
from caseframe.accounts.mail import OutboxMailer
from caseframe.accounts.remote import remote_accounts
from caseframe.accounts.serve import QUICK, AccountsService
from caseframe.bus.options import AmqpOptions
from caseframe.bus.rpc import RpcServer
from caseframe.catalog.database import open_sqlite
from caseframe.domain.people import Client, NewAccount
from caseframe.logs import configure

_RATE = 200  # requests a second
_SECONDS = 1.0
_ROUNDS = 5
_PREFETCH = 64
_SECRET = SecretStr("h2Kq9Zr4Wm7Tx1Vb6Nc3Jd8Lf5Pg0SyQ")


@dataclass(frozen=True)
class _Place:
    """Where the broker is; the three files are empty where it speaks in the clear."""

    url: str
    ca: str = ""
    cert: str = ""
    key: str = ""

    def options(self) -> AmqpOptions:
        ca, cert, key = (Path(name) if name else None for name in (self.ca, self.cert, self.key))
        return AmqpOptions(SecretStr(self.url), ca, cert, key)

    async def connect(self) -> AbstractConnection:
        return await aio_pika.connect(self.url, ssl_context=self.options().context())


def bench(report: Report) -> None:
    """Print the 95th percentile of both sides and their ratio."""
    configure("warning", as_json=False)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = stack.enter_context(_broker(folder))
        how = "in the clear" if place is None or not place.ca else "TLS both ways"
        report.heading(f"validate-token over RabbitMQ, {_RATE} a second, {how}")
        if place is None:
            report.line("everything", "not measured: no RabbitMQ is here")
            return
        bare = stack.enter_context(_server("bare", place, folder)).queue
        ours = stack.enter_context(_server("ours", place, folder))
        accounts = remote_accounts(place.options(), _SECRET, queue=ours.queue, keep_seconds=0)
        stack.enter_context(closing(accounts))
        accounts.validate(ours.token)
        gateway = partial(accounts.validate, ours.token)
        # Near each other, so that a busy neighbour disturbs all alike.
        turns = [_turn(place, bare, ours, gateway) for _ in range(_ROUNDS)]
        _print(report, turns)


def _turn(
    place: _Place, bare: str, ours: _Server, gateway: Callable[[], Any]
) -> dict[str, list[float]]:
    return {
        "bare": asyncio.run(_wire(place, bare, ours.token)),
        "wire": asyncio.run(_wire(place, ours.queue, ours.token)),
        "gateway": _threads(gateway),
    }


def _print(report: Report, turns: list[dict[str, list[float]]]) -> None:
    late = [{side: _late(took) for side, took in turn.items()} for turn in turns]
    for side, words in (
        ("bare", "bare aio-pika"),
        ("wire", "ours, asked by the bare client"),
        ("gateway", "ours, as the gateway asks"),
    ):
        middle = 1000 * statistics.median(statistics.median(turn[side]) for turn in turns)
        end = 1000 * statistics.median(turn[side] for turn in late)
        report.line(words, f"median {middle:.2f} ms, 95th percentile {end:.2f} ms")
    for side, words in (("wire", "validate-token"), ("gateway", "the gateway's validate")):
        ratio = statistics.median(turn[side] / turn["bare"] for turn in late)
        name = f"{words} / bare, median of the turns"
        report.limit(name, ratio, at_most=3, unit="times at the 95th percentile")


def _late(took: list[float]) -> float:
    return sorted(took)[int(0.95 * len(took))]


@contextmanager
def _broker(folder: Path) -> Iterator[_Place | None]:
    """A private RabbitMQ with TLS, else the one that runs here, else None."""
    authority = Authority.make(folder, "authority")
    files = rabbitmq.TlsFiles(authority.file, *authority.issue("broker"))
    with rabbitmq.private_server(files) as private:
        if private is not None and private.tls_url is not None:
            cert, key = authority.issue("bench")
            yield _Place(private.tls_url, str(authority.file), str(cert), str(key))
            return
    url = rabbitmq.server()
    yield None if url is None else _Place(url)


# ---- who asks -----------------------------------------------------------------------------------


async def _wire(place: _Place, queue: str, token: str) -> list[float]:
    """Seconds of each request by a client that does nothing but that."""
    waiting: dict[str, asyncio.Future[bytes]] = {}

    async def take(message: AbstractIncomingMessage) -> None:
        waiting.pop(message.correlation_id or "").set_result(message.body)

    async with await place.connect() as connection:
        channel = await connection.channel()
        replies = await channel.declare_queue(exclusive=True)
        await replies.consume(take, no_ack=True)

        async def one() -> None:
            number = str(uuid.uuid4())
            asked = {"pattern": {"cmd": "validate-token"}, "data": {"token": token}, "id": number}
            answer = waiting[number] = asyncio.get_running_loop().create_future()
            message = aio_pika.Message(
                json.dumps(asked).encode(), correlation_id=number, reply_to=replies.name
            )
            await channel.default_exchange.publish(message, queue)
            if json.loads(await answer)["response"]["isValid"] is not True:
                raise RuntimeError("the token was refused")

        await one()  # warm
        return await _begun_in_time(one)


async def _begun_in_time(one: Callable[[], Awaitable[None]]) -> list[float]:
    began = time.perf_counter()

    async def timed(due: float) -> float:
        await asyncio.sleep(max(0, due - time.perf_counter()))
        await one()
        return time.perf_counter() - due

    count = int(_RATE * _SECONDS)
    return await asyncio.gather(*(timed(began + n / _RATE) for n in range(count)))


def _threads(call: Callable[[], Any]) -> list[float]:
    """Seconds of each call, made from threads as a web server's."""
    began = time.perf_counter()

    def timed(due: float) -> float:
        call()
        return time.perf_counter() - due

    with ThreadPoolExecutor(40) as threads:
        results = []
        for number in range(int(_RATE * _SECONDS)):
            due = began + number / _RATE
            time.sleep(max(0, due - time.perf_counter()))
            results.append(threads.submit(timed, due))
        return [result.result() for result in results]


# ---- who answers, each in a process of its own --------------------------------------------------


@dataclass(frozen=True)
class _Server:
    queue: str
    token: str


@contextmanager
def _server(side: str, place: _Place, folder: Path) -> Iterator[_Server]:
    words = [sys.executable, "-m", "bench.auth_rpc", side, str(folder)]
    words += [place.url, place.ca, place.cert, place.key]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise RuntimeError("no output")
    try:
        yield _Server(**json.loads(process.stdout.readline()))
    finally:
        process.communicate("", timeout=30)  # its input ends, and so does it


def _answer_bare(place: _Place) -> None:
    async def run() -> None:
        async with await place.connect() as connection:
            channel = await connection.channel()
            await channel.set_qos(_PREFETCH)
            queue = await channel.declare_queue(exclusive=False, auto_delete=True)

            async def answer(message: AbstractIncomingMessage) -> None:
                asked = json.loads(message.body)
                said = {"isValid": True, "isVerified": True, "message": "the token is valid"}
                body = json.dumps({"response": said, "isDisposed": True, "id": asked["id"]})
                await channel.default_exchange.publish(
                    aio_pika.Message(body.encode(), correlation_id=message.correlation_id),
                    message.reply_to or "",
                )
                await message.ack()

            await queue.consume(answer)
            print(json.dumps({"queue": queue.name, "token": ""}), flush=True)
            await asyncio.to_thread(sys.stdin.read)

    asyncio.run(run())


def _answer_ours(place: _Place, folder: Path) -> None:
    mailer, queue = OutboxMailer(folder / "outbox", "bench@example.org"), f"auth-{uuid.uuid4()}"
    with closing(open_sqlite(folder / "catalog.sqlite")) as catalog:
        accounts = LocalAccounts(catalog, mailer, _SECRET)
        new = NewAccount("Ben", "Ch", "bench@example.org", "Correct-horse-7")
        pair = accounts.create_first_administrator(accounts.first_key() or "", new, Client())
        service = AccountsService(accounts, _SECRET)
        with closing(RpcServer(place.options(), queue, service, quick=QUICK)) as server:
            while server.reason is not None:
                time.sleep(0.05)
            print(json.dumps({"queue": queue, "token": pair.access}), flush=True)
            sys.stdin.read()
        accounts.close()


if __name__ == "__main__":
    configure("warning", as_json=False)  # the lines on standard output are for the bench
    if sys.argv[1:2] == ["bare"]:
        _answer_bare(_Place(*sys.argv[3:]))
    elif sys.argv[1:2] == ["ours"]:
        _answer_ours(_Place(*sys.argv[3:]), Path(sys.argv[2]))
    else:
        bench(Report(sys.stdout))
