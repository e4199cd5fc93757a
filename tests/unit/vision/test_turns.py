"""Turns: a bounded number at work, first come first served, nothing lost when callers vanish."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caseframe.domain.errors import VisionAway, VisionBusy
from caseframe.vision.turns import Turns

ROOM = 1000


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_they_come_in_the_order_of_their_asking() -> None:
    async def main() -> list[int]:
        turns, order = Turns(2, ROOM), []

        async def caller(number: int) -> None:
            async with turns.take(1, None):
                order.append(number)
                await settle()

        await asyncio.gather(*(caller(i) for i in range(20)))
        return order

    assert asyncio.run(main()) == list(range(20))


def test_never_more_at_work_than_allowed() -> None:
    async def main() -> list[int]:
        turns, seen = Turns(3, ROOM), []

        async def caller() -> None:
            async with turns.take(1, None):
                seen.append(turns.at_work)
                await settle()

        await asyncio.gather(*(caller() for _ in range(30)))
        assert (turns.at_work, turns.waiting) == (0, 0)
        return seen

    assert max(asyncio.run(main())) == 3


def test_who_waits_too_long_is_told_that_it_is_busy() -> None:
    async def main() -> None:
        turns = Turns(1, ROOM)
        async with turns.take(1, None):
            with pytest.raises(VisionBusy, match="1 pictures are at work"):
                async with turns.take(1, 0.01):
                    pass
            assert turns.waiting == 0
        async with turns.take(1, 0.01):
            assert turns.at_work == 1

    asyncio.run(main())


def test_those_that_wait_hold_a_bounded_memory() -> None:
    async def main() -> None:
        turns = Turns(1, ROOM)

        async def wait(size: int, seconds: float | None = 60.0) -> None:
            async with turns.take(size, seconds):
                pass

        async with turns.take(10 * ROOM, None):  # one at work is no business of the line
            first = asyncio.create_task(wait(ROOM - 1))
            await settle()
            with pytest.raises(VisionBusy, match="too many pictures wait"):
                await wait(2)
            second = asyncio.create_task(wait(1))
            await settle()
            batched = asyncio.create_task(wait(10 * ROOM, None))  # bounds its memory itself
            await settle()
            assert turns.waiting == 3
        await asyncio.gather(first, second, batched)
        async with turns.take(1, None):
            third = asyncio.create_task(wait(ROOM))  # all the room is there again
            await settle()
            assert turns.waiting == 1
        await third

    asyncio.run(main())


def test_a_closed_line_sends_all_away_but_those_at_work() -> None:
    async def main() -> None:
        turns = Turns(1, ROOM)

        async def wait() -> None:
            async with turns.take(1, None):
                pass

        async with turns.take(1, None):
            waiting = [asyncio.create_task(wait()) for _ in range(3)]
            await settle()
            turns.close()
            ended = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(error) for error in ended] == [VisionAway] * 3
            with pytest.raises(VisionAway, match="stopping"):
                await wait()
            assert turns.at_work == 1
        assert turns.at_work == 0

    asyncio.run(main())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["stay", "cancel", "expire"])), max_size=30
    )
)
def test_no_place_is_lost_however_callers_end(callers: list[tuple[int, str]]) -> None:
    async def main() -> None:
        turns = Turns(2, ROOM)

        async def caller(ticks: int, limit: float | None) -> None:
            async with turns.take(1, limit):
                for _ in range(ticks):
                    await asyncio.sleep(0)

        tasks = []
        for ticks, fate in callers:
            task = asyncio.create_task(caller(ticks, 0.0 if fate == "expire" else None))
            tasks.append(task)
            await asyncio.sleep(0)
            if fate == "cancel":
                tasks[len(tasks) // 2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (turns.at_work, turns.waiting) == (0, 0)
        async with turns.take(ROOM, None), turns.take(ROOM, None):
            assert turns.at_work == 2

    asyncio.run(main())
