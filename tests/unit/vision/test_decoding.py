"""Decoder processes: hostile bytes cost one child and one request."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import psutil
import pytest
from tests import makers
from tests.support.vision import EATER, HANGER, KILLER, STUMBLER, eventually, mean_colour

from caseframe.domain.errors import OverLimit, PictureError, VisionFailed
from caseframe.vision.decoding import DecoderOptions, Decoders

GOOD = makers.photo(64, 48, seed=3)
COLOUR = mean_colour(GOOD)
PRELOAD = ("tests.support.vision",)


def told(data: bytes) -> tuple[int, bytes]:
    return os.getpid(), data[:3]


def limits(_data: bytes) -> tuple[str | None, int]:
    return os.environ.get("OMP_NUM_THREADS"), resource.getrlimit(resource.RLIMIT_DATA)[0]


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


def with_decoders(
    work: Callable[[Decoders], Awaitable[Any]], seconds: float = 30.0, processes: int = 2
) -> Any:
    options = DecoderOptions(processes, seconds, 1_500_000_000, PRELOAD)

    async def main() -> Any:
        prepares = {"mean": mean_colour, "told": told, "limits": limits}
        decoders = Decoders(prepares, options)
        try:
            async with asyncio.timeout(120):  # what is lost must not hang the others
                return await work(decoders)
        finally:
            await asyncio.to_thread(decoders.close)

    return asyncio.run(main())


def test_bytes_come_back_as_what_the_model_takes() -> None:
    async def work(decoders: Decoders) -> Any:
        await decoders.warm()
        return await decoders.prepare("mean", GOOD)

    assert with_decoders(work) == COLOUR


def test_warm_decoders_are_all_there() -> None:
    async def work(decoders: Decoders) -> Any:
        await decoders.warm()
        slow = [asyncio.create_task(decoders.prepare("mean", HANGER)) for _ in range(3)]
        pid, _ = await decoders.prepare("told", GOOD)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return psutil.pid_exists(pid)

    assert with_decoders(work, processes=4)


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (KILLER, VisionFailed, r"killed the decoder \(signal SIGSEGV\)"),
        (EATER, OverLimit, "more memory than a worker may use"),
        (STUMBLER, VisionFailed, "RuntimeError: a mistake of the decoder's own over two lines"),
        (b"no picture", PictureError, "not a picture: text/plain"),
        (GOOD[: len(GOOD) * 2 // 3], PictureError, "corrupt"),
    ],
)
def test_each_fault_is_told_apart_and_the_next_picture_is_decoded(
    data: bytes, error: type[Exception], said: str
) -> None:
    async def work(decoders: Decoders) -> Any:
        with pytest.raises(error, match=said):
            await decoders.prepare("mean", data)
        return await decoders.prepare("mean", GOOD)

    assert with_decoders(work) == COLOUR


def test_a_hanging_decoder_is_ended_and_its_neighbours_go_on() -> None:
    async def work(decoders: Decoders) -> Any:
        hanging = asyncio.create_task(decoders.prepare("mean", HANGER))
        good = [await decoders.prepare("mean", GOOD) for _ in range(5)]
        with pytest.raises(VisionFailed, match=r"longer than 0\.7 s"):
            await hanging
        return good

    assert with_decoders(work, seconds=0.7) == [COLOUR] * 5


def test_cancelling_ends_a_hanging_decoder_at_once() -> None:
    async def work(decoders: Decoders) -> Any:
        await decoders.warm()
        for _ in range(3):
            hanging = asyncio.create_task(decoders.prepare("mean", HANGER))
            await asyncio.sleep(0.2)
            hanging.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hanging
        return await decoders.prepare("mean", GOOD)

    assert with_decoders(work, processes=1, seconds=3600) == COLOUR


def test_who_gives_up_at_any_moment_takes_no_neighbour_along() -> None:
    async def one(decoders: Decoders, number: int) -> Any:
        task = asyncio.create_task(decoders.prepare("mean", GOOD))
        if number % 3 == 0:
            await asyncio.sleep(number % 50 / 2500)  # from before its turn to after its end
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return COLOUR
        return await task

    async def work(decoders: Decoders) -> Any:
        await decoders.warm()
        return [
            await asyncio.gather(*(one(decoders, number) for number in range(part, part + 8)))
            for part in range(0, 800, 8)
        ]

    assert with_decoders(work) == [[COLOUR] * 8] * 100


def test_a_decoder_killed_while_it_has_no_work_is_replaced() -> None:
    async def work(decoders: Decoders) -> Any:
        pids = set()
        for _ in range(3):
            pid, _ = await decoders.prepare("told", GOOD)
            pids.add(pid)
            os.kill(pid, signal.SIGKILL)
            assert eventually(partial(_gone, pid))
            await asyncio.sleep(0.3)
        assert len(pids) == 3
        return await decoders.prepare("mean", GOOD)

    assert with_decoders(work, processes=1) == COLOUR


def test_decoders_have_one_thread_each_and_bounded_memory() -> None:
    async def work(decoders: Decoders) -> Any:
        return await decoders.prepare("limits", GOOD)

    before = os.environ.pop("OMP_NUM_THREADS", None)
    try:
        assert with_decoders(work) in {("1", 1_500_000_000), (None, 1_500_000_000)}
        assert "OMP_NUM_THREADS" not in os.environ  # the model beside them keeps its threads
    finally:
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def test_many_bytes_pass_through() -> None:
    data = os.urandom(20_000_000)

    async def work(decoders: Decoders) -> Any:
        return await asyncio.gather(*(decoders.prepare("told", data) for _ in range(4)))

    assert {head for _, head in with_decoders(work)} == {data[:3]}
