"""Requests and answers over a real RabbitMQ, with handlers of the tests."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.nest import Nest
from tests.support.people import race

from caseframe.bus.options import AmqpOptions
from caseframe.bus.rpc import Handler, Refusal, Request, RpcClient, RpcServer, refusal
from caseframe.domain.errors import BrokerAway, ServiceAway, UsageError

NOWHERE = "amqp://guest:guest@127.0.0.1:1/"


class Pair:
    """A queue of its own, with a server and a client."""

    def __init__(self, url: str) -> None:
        self.url, self.queue = url, f"rpc-{uuid.uuid4()}"
        self.options = AmqpOptions(SecretStr(url))
        self.stack = ExitStack()

    def serve(self, handler: Handler, **options: Any) -> RpcServer:
        made = RpcServer(self.options, self.queue, handler, **options)
        self.stack.enter_context(closing(made))
        until = time.monotonic() + 30
        while made.reason is not None and time.monotonic() < until:
            time.sleep(0.01)
        return made

    def client(self, seconds: float = 60.0) -> RpcClient:
        return self.stack.enter_context(
            closing(RpcClient(self.options, self.queue, seconds=seconds))
        )


@pytest.fixture
def pair(rabbitmq_server: str) -> Iterator[Pair]:
    made = Pair(rabbitmq_server)
    with made.stack:
        yield made


def echo(request: Request) -> Any:
    return {"command": request.command, "data": request.data}


def test_what_is_asked_comes_back(pair: Pair) -> None:
    pair.serve(echo)
    data = {"text": "Ünï\ud800\x00", "list": [1, None, True, 1.5], "deep": {"a": {}}}
    assert pair.client().call("echo", data) == {"command": "echo", "data": data}


def test_of_many_at_once_everybody_gets_their_own(pair: Pair) -> None:
    pair.serve(echo)
    client = pair.client()
    found = race(*[lambda n=n: client.call("echo", {"n": n}) for n in range(50)])
    assert [one["data"]["n"] for one in found if isinstance(one, dict)] == list(range(50))


def test_a_no_comes_back_with_all_it_says(pair: Pair) -> None:
    def say_no(_request: Request) -> Any:
        raise refusal(409, ["one", "two"], code="conflict")

    pair.serve(say_no)
    with pytest.raises(Refusal) as no:
        pair.client().call("x", {})
    assert no.value.err == {
        "statusCode": 409, "message": ["one", "two"], "error": "Conflict", "code": "conflict",
    }  # fmt: skip


def test_slow_requests_do_not_hold_up_quick_ones(pair: Pair) -> None:
    free = threading.Event()

    def handler(request: Request) -> Any:
        return free.wait(60) if request.command == "slow" else "quick"

    pair.serve(handler, quick={"quick"}, threads=2, slow_waiting=2)
    client = pair.client()
    results: list[Any] = []

    def ask() -> None:
        try:
            results.append(client.call("slow", {}))
        except Refusal as no:
            results.append(no.err["statusCode"])

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    try:
        assert client.call("quick", {}) == "quick"
        _until(lambda: len(results) == 6)  # two at work and two that wait; the rest are refused
        assert results == [503] * 6
    finally:
        free.set()
        for thread in threads:
            thread.join()
    assert sorted(map(int, results)) == [1] * 4 + [503] * 6


def test_what_waited_too_long_is_not_begun(pair: Pair) -> None:
    begun: list[str] = []
    free = threading.Event()

    def handler(request: Request) -> Any:
        begun.append(request.command)
        return free.wait(60)

    pair.serve(handler, threads=1, patience=0.1)
    client = pair.client()
    first = threading.Thread(target=client.call, args=("first", {}))
    first.start()
    _until(lambda: begun == ["first"])
    threading.Timer(0.5, free.set).start()
    with pytest.raises(Refusal) as no:
        client.call("second", {})
    first.join()
    assert no.value.err["statusCode"] == 503
    assert begun == ["first"]


def test_a_server_that_ends_answers_what_is_at_work(pair: Pair) -> None:
    begun, free = threading.Event(), threading.Event()

    def handler(_request: Request) -> Any:
        begun.set()
        return free.wait(60)

    server = pair.serve(handler)
    client = pair.client()
    results: list[Any] = []
    asking = threading.Thread(target=lambda: results.append(client.call("x", {})))
    asking.start()
    assert begun.wait(60)
    ending = threading.Thread(target=server.close)
    ending.start()
    free.set()
    for thread in (asking, ending):
        thread.join()
    assert results == [True]


def test_a_request_is_never_done_twice(pair: Pair) -> None:
    """A server that dies over a request leaves it in the queue; the next one must not do it."""
    done: list[str] = []

    def die(request: Request) -> Any:
        done.append(request.command)
        server._loop.call(server._bus.again())  # the connection breaks, the answer is lost
        return "x"

    server = pair.serve(die)
    with pytest.raises(ServiceAway):
        pair.client(seconds=2).call("once", {})
    _until(lambda: server.reason is None)
    assert done == ["once"]
    assert Nest(pair.url, pair.queue).waiting() == 0


def test_without_a_broker_calls_end_soon_and_say_so() -> None:
    client = RpcClient(AmqpOptions(SecretStr(NOWHERE)), "x", seconds=60)
    with closing(client), pytest.raises(BrokerAway, match=r"127\.0\.0\.1:1"):
        client.call("x", {})
    assert client.reason
    with pytest.raises(ServiceAway):
        client.call("x", {})


def test_certificates_that_cannot_be_used_are_named_at_once(tmp_path: Any) -> None:
    options = AmqpOptions(SecretStr("amqps://mq.example.org/"), tmp_path / "none.pem")
    for make in (lambda: RpcClient(options, "x"), lambda: RpcServer(options, "x", echo)):
        with pytest.raises(UsageError, match="amqp_ca"):
            make()


def _until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
