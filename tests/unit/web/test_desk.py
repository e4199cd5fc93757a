"""Room for uploads, the allowance of visitors, names of models."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest
from starlette.requests import Request
from tests import makers
from tests.support.vision import Colours, eventually, running

from caseframe.domain.access import AccountsAway, TokenRefused, TooManyAttempts
from caseframe.domain.errors import UsageError, VisionBusy
from caseframe.vision.client import VisionClient
from caseframe.web.allowance import Allowance
from caseframe.web.desk import Desk
from caseframe.web.options import WebOptions
from caseframe.web.room import Room
from caseframe.web.uploads import model_name


def within(work: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(60):
            return await work

    return asyncio.run(bounded())


# --- room ----------------------------------------------------------------------------------------


def test_who_fits_comes_in_and_others_wait_in_their_order() -> None:
    async def crowd() -> tuple[list[int], int]:
        room, order, inside, most = Room(10, 30), [], 0, 0

        async def one(number: int, size: int) -> None:
            nonlocal inside, most
            async with room.take(size):
                order.append(number)
                inside += size
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= size

        await asyncio.gather(*(one(n, size) for n, size in enumerate([4, 4, 9, 1, 3, 10, 2] * 5)))
        return order, most

    order, most = within(crowd())
    assert order == list(range(35))
    assert most == 10


def test_who_is_larger_than_the_room_has_it_alone() -> None:
    async def crowd() -> list[str]:
        room = Room(10, 30)
        seen: list[str] = []
        async with room.take(5):
            large = asyncio.create_task(enter(room, 1000, seen, "large"))
            await asyncio.sleep(0)
            small = asyncio.create_task(enter(room, 1, seen, "small"))
            await asyncio.sleep(0.01)
            assert seen == []  # nobody passes the one who waits before them
        await asyncio.gather(large, small)
        return seen

    async def enter(room: Room, size: int, seen: list[str], name: str) -> None:
        async with room.take(size):
            seen.append(name)

    assert within(crowd()) == ["large", "small"]


def test_patience_ends_and_the_place_is_not_lost() -> None:
    async def crowd() -> None:
        room = Room(1, 0.01)
        async with room.take():
            with pytest.raises(VisionBusy):
                async with room.take():
                    pass
            waiting = asyncio.create_task(room.take().__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        for _ in range(3):
            async with room.take():
                pass

    within(crowd())


def test_one_that_is_called_off_when_it_is_let_in_gives_its_place_on() -> None:
    async def crowd() -> None:
        room = Room(1, 30)
        first = room.take()
        await first.__aenter__()
        waiting = asyncio.create_task(room.take().__aenter__())
        await asyncio.sleep(0)
        await first.__aexit__(None, None, None)  # lets the waiting one in …
        waiting.cancel()  # … which is gone before it notices
        await asyncio.gather(waiting, return_exceptions=True)
        async with room.take():
            pass

    within(crowd())


def test_too_long_a_line_is_refused_at_once() -> None:
    async def crowd() -> None:
        room = Room(1, 3600, line=2)
        async with room.take():
            waiting = [asyncio.create_task(room.take().__aenter__()) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(VisionBusy, match="try again"):
                await room.take().__aenter__()
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    within(crowd())


# --- allowance -----------------------------------------------------------------------------------


def test_calls_of_an_address_and_of_its_network() -> None:
    allowance = Allowance(2)
    for address in ("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3"):
        allowance.use(address)
        assert allowance.left(address).left == 1
    allowance.use("192.0.2.3")
    with pytest.raises(TooManyAttempts) as refused:
        allowance.use("192.0.2.3")
    assert 3590 <= refused.value.retry_after <= 3600
    allowance.use("2001:db8::1")
    assert allowance.left("2001:db8::ffff:2").left == 1
    assert allowance.left("2001:db8:0:1::1").left == 2


def test_calls_at_the_same_moment_are_all_counted() -> None:
    allowance, taken = Allowance(5), []
    gate = threading.Barrier(20)

    def use() -> None:
        gate.wait()
        try:
            allowance.use("192.0.2.1")
        except TooManyAttempts:
            return
        taken.append(1)

    threads = [threading.Thread(target=use) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 5
    assert allowance.left("192.0.2.1").left == 0


def test_no_calls_at_all_means_signing_in() -> None:
    with pytest.raises(TokenRefused):
        Allowance(0).use("192.0.2.1")


# --- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "name"),
    [("BLIP", "BLIP"), (" blip_quantized ", "BLIP_QUANTIZED"), (0, "BLIP"), ("1", "BLIP_QUANTIZED"),
     (2, "FACTS"), (None, None), ("", None)],
)  # fmt: skip
def test_names_of_models(given: object, name: str | None) -> None:
    assert model_name(given) == name


@pytest.mark.parametrize("given", ["GPT", 3, -1, True, False, 1.0, [], {}, b"BLIP", "0x1", "٢"])
def test_what_names_no_model(given: object) -> None:
    with pytest.raises(UsageError, match="BLIP = 0"):
        model_name(given)


# --- the desk over a real service ----------------------------------------------------------------


def upload(desk: Desk, body: bytes, stranger: str | None = None) -> Any:
    """Hand in one form with one picture, as the route does."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    head = [(b"content-type", b"multipart/form-data; boundary=x"),
            (b"content-length", str(len(body)).encode())]  # fmt: skip
    scope = {"type": "http", "method": "POST", "headers": head}

    async def handed_in() -> str:
        async with desk.upload(Request(scope, receive), stranger) as received:
            return (await desk.describe(received, "FACTS"))[0].text

    return handed_in()


def form(data: bytes) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n'
    return head + data + b"\r\n--x--\r\n"


def options(tmp_path: Any, **more: Any) -> WebOptions:
    return WebOptions(tmp_path, tmp_path, "http://127.0.0.1", **more)


def test_when_all_places_are_taken_others_are_told_to_come_again(tmp_path: Any) -> None:
    gate = threading.Event()
    model = Colours(gate=gate)
    picture = form(makers.photo(64, 64, 1))
    with running({"FACTS": model}) as service, VisionClient(service.address) as client:

        async def crowd() -> list[Any]:
            desk = Desk(client, options(tmp_path, uploads=2, patience=0.2))
            first = [asyncio.create_task(upload(desk, picture)) for _ in range(2)]
            assert await asyncio.to_thread(eventually, model.begun.is_set)
            refused = await asyncio.gather(
                *(upload(desk, picture) for _ in range(3)), return_exceptions=True
            )
            gate.set()
            return [*refused, *await asyncio.gather(*first)]

        *refused, one, other = within(crowd())
    assert [type(error) for error in refused] == [VisionBusy] * 3
    assert one == other != ""


def test_pictures_in_memory_are_bounded_together(tmp_path: Any) -> None:
    picture = form(makers.photo(64, 64, 1))
    model = Colours(batch=1, seconds=0.01)
    with running({"FACTS": model}) as service, VisionClient(service.address) as client:

        async def crowd() -> tuple[list[Any], int]:
            desk = Desk(client, options(tmp_path, max_picture=len(picture) + 10))
            tasks = [asyncio.create_task(upload(desk, picture)) for _ in range(10)]
            most = 0
            while not all(task.done() for task in tasks):
                turns = service.service.turns
                most = max(most, turns.at_work + turns.waiting)
                await asyncio.sleep(0.002)
            return [task.result() for task in tasks], most

        words, most = within(crowd())
    assert len(set(words)) == 1
    assert most == 1


def test_who_counts_strangers_elsewhere_holds_up_nobody(tmp_path: Any) -> None:
    picture = form(makers.photo(64, 64, 1))
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,  # takes connections, and says nothing
        VisionClient("127.0.0.1:1") as client,
    ):
        counts = f"redis://127.0.0.1:{silent.getsockname()[1]}"

        async def knock() -> int:
            desk = Desk(client, options(tmp_path, counts=counts))
            waiting = asyncio.create_task(upload(desk, picture, "192.0.2.1"))
            turns = 0
            while not waiting.done():
                await asyncio.sleep(0.001)
                turns += 1
            with pytest.raises(AccountsAway):
                await waiting
            return turns

        assert within(knock()) > 10
