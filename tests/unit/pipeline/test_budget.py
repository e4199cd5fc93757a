"""What workers hold stays below its limit, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from caseframe.bus.wire import Task
from caseframe.pipeline.budget import Budget
from caseframe.pipeline.station import _size_said


class Holders:
    """Takes shares, each until it is let go."""

    def __init__(self, most: int) -> None:
        self.budget = Budget(most)
        self.inside: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def ask(self, name: str, size: int | None, true: int | None = None) -> None:
        self._ends[name] = asyncio.Event()
        self._tasks.append(asyncio.create_task(self._hold(name, size, true)))
        await settle()

    async def _hold(self, name: str, size: int | None, true: int | None) -> None:
        async with self.budget.share(size) as share:
            self.inside.append(name)
            if true is not None:
                self.budget.correct(share, true)
            await self._ends[name].wait()
        self.inside.remove(name)

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
        await settle()

    async def over(self) -> None:
        await asyncio.gather(*self._tasks)
        assert (self.inside, self.budget.held) == ([], 0)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def played(most: int, play: Callable[[Holders], Awaitable[None]]) -> None:
    async def main() -> None:
        holders = Holders(most)
        async with asyncio.timeout(30):
            await play(holders)
            await holders.over()

    asyncio.run(main())


def test_who_does_not_fit_waits_and_is_passed_by_nobody() -> None:
    async def play(holders: Holders) -> None:
        await holders.ask("a", 60)
        await holders.ask("b", 50)
        await holders.ask("c", 10)  # it would fit, but b was first
        assert holders.inside == ["a"]
        await holders.end("a")
        assert holders.inside == ["b", "c"]
        await holders.end("b", "c")

    played(100, play)


@pytest.mark.parametrize("size", [101, 10**400, None])
def test_one_larger_than_all_of_it_goes_alone(size: int | None) -> None:
    async def play(holders: Holders) -> None:
        await holders.ask("small", 1)
        await holders.ask("large", size)
        await holders.ask("next", 1)
        assert holders.inside == ["small"]
        await holders.end("small")
        assert holders.inside == ["large"]
        await holders.end("large")
        assert holders.inside == ["next"]
        await holders.end("next")

    played(100, play)


def test_the_true_size_counts_once_it_is_known() -> None:
    async def play(holders: Holders) -> None:
        await holders.ask("unknown", None, true=10)
        await holders.ask("liar", 1, true=500)
        await holders.ask("next", 1)
        assert holders.inside == ["unknown", "liar"]
        await holders.end("unknown", "liar")
        assert holders.inside == ["next"]
        await holders.end("next")

    played(100, play)


@pytest.mark.parametrize(
    ("said", "size"),
    [(2.5, 2_500_000), (0, 0), (None, None), ("2.5", None), (-1, None), (float("nan"), None),
     (10**400, None), ([], None)],
)  # fmt: skip
def test_a_record_may_say_anything(said: Any, size: int | None) -> None:
    task = Task("q", "job", b"a.jpg", "0" * 32, record={"filesize": said})
    assert _size_said(task) == size
