"""The broadcaster: one question for many listeners, slow ones, the end; and who is cut off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from caseframe.domain.access import AccountsAway, TokenRefused
from caseframe.domain.errors import CatalogBusy
from caseframe.web.events import Broadcaster
from caseframe.web.watch import while_allowed

TICK = 0.005


class Counting:
    """A snapshot that is new each time; `frozen` makes it stay the same."""

    def __init__(self, frozen: bool = False) -> None:
        self.asked = 0
        self.frozen = frozen

    def __call__(self, job_id: str) -> dict[str, Any]:
        self.asked += 1
        return {"job": job_id, "at": 0 if self.frozen else self.asked}


def stream(broadcaster: Broadcaster, job: str = "a") -> aclosing[Any]:
    return aclosing(broadcaster.listen(job))


async def take(events: AsyncIterator[str], count: int) -> list[str]:
    found = []
    async for event in events:
        found.append(event)
        if len(found) == count:
            break
    return found


def within(work: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(60):
            return await work

    return asyncio.run(bounded())


def data(event: str) -> dict[str, Any]:
    kind, line = event.rstrip("\n").split("\n")
    assert kind == "event: progress"
    found: dict[str, Any] = json.loads(line.removeprefix("data: "))
    return found


def test_the_first_event_comes_at_once_and_is_whole() -> None:
    async def listen() -> list[str]:
        async with stream(Broadcaster(Counting(), every=3600)) as events:
            return await take(events, 1)

    (event,) = within(listen())
    assert event.endswith("\n\n")
    assert data(event) == {"job": "a", "at": 1}


def test_hundreds_of_listeners_cost_one_question() -> None:
    counting = Counting()

    async def listen() -> list[list[str]]:
        broadcaster = Broadcaster(counting, every=TICK)

        async def one() -> list[str]:
            async with stream(broadcaster) as events:
                return await take(events, 5)

        return await asyncio.gather(*(one() for _ in range(300)))

    heard = within(listen())
    assert all(len(events) == 5 for events in heard)
    assert counting.asked < 60


def test_a_late_listener_hears_the_last_word_at_once() -> None:
    async def listen() -> tuple[str, str]:
        broadcaster = Broadcaster(Counting(frozen=True), every=3600)
        async with stream(broadcaster) as first:
            early = await take(first, 1)
            async with stream(broadcaster) as second:
                return early[0], (await take(second, 1))[0]

    early, late = within(listen())
    assert early == late


def test_a_slow_listener_misses_stale_events_and_delays_nobody() -> None:
    async def listen() -> tuple[list[int], list[int]]:
        broadcaster = Broadcaster(Counting(), every=TICK)
        async with stream(broadcaster) as slow, stream(broadcaster) as quick:
            first = await take(slow, 1)
            heard = await take(quick, 50)
            rest = await take(slow, 5)
        return [data(e)["at"] for e in heard], [data(e)["at"] for e in first + rest]

    heard, slow = within(listen())
    assert heard == sorted(heard)
    assert len(set(heard)) == 50
    assert slow[0] == 1
    assert slow[1] > 30  # the events between were stale
    assert slow == sorted(slow)


def test_without_news_only_a_sign_of_life_now_and_then() -> None:
    async def listen() -> list[str]:
        async with stream(Broadcaster(Counting(frozen=True), every=0.001)) as events:
            return await take(events, 3)

    first, *rest = within(listen())
    assert data(first)["at"] == 0
    assert rest == [": still here\n\n"] * 2


def test_nobody_listening_nobody_asks() -> None:
    counting = Counting()

    async def listen() -> None:
        broadcaster = Broadcaster(counting, every=TICK)
        async with stream(broadcaster) as events:
            await take(events, 2)
        await asyncio.sleep(0.05)
        before = counting.asked
        await asyncio.sleep(0.1)
        assert counting.asked == before
        async with stream(broadcaster) as events:
            await take(events, 1)

    within(listen())


def test_jobs_are_told_apart() -> None:
    async def listen() -> set[str]:
        broadcaster = Broadcaster(Counting(), every=TICK)
        async with stream(broadcaster, "a") as a, stream(broadcaster, "b") as b:
            return {data(event)["job"] for event in await take(a, 3)} | {
                data(event)["job"] + "!" for event in await take(b, 3)
            }

    assert within(listen()) == {"a", "b!"}


def test_trouble_is_told_and_passes() -> None:
    asked = []

    def snapshot(job_id: str) -> dict[str, Any]:
        asked.append(job_id)
        if len(asked) == 1:
            raise CatalogBusy("another process holds the catalog")
        return {"at": len(asked)}

    async def listen() -> list[str]:
        async with stream(Broadcaster(snapshot, every=TICK)) as events:
            return await take(events, 2)

    trouble, after = within(listen())
    assert trouble.startswith("event: trouble\ndata: ")
    assert "somebody else is changing this case" in trouble
    assert data(after)


def test_closing_ends_every_stream_and_lets_none_begin() -> None:
    async def listen() -> list[list[str]]:
        broadcaster = Broadcaster(Counting(), every=TICK)
        begun = asyncio.Event()

        async def one() -> list[str]:
            heard = []
            async with stream(broadcaster) as events:
                async for event in events:
                    heard.append(event)
                    begun.set()
            return heard

        tasks = [asyncio.create_task(one()) for _ in range(20)]
        await begun.wait()
        broadcaster.close()
        ended = await asyncio.gather(*tasks)
        ended.append(await one())
        return ended

    *ended, late = within(listen())
    assert len(ended) == 20
    assert late == []


async def _numbers() -> AsyncIterator[str]:
    for number in range(100):
        yield str(number)


@pytest.mark.parametrize(
    ("check", "heard"),
    [(lambda: None, 100), (AccountsAway, 100), (CatalogBusy, 100), (TokenRefused, 0)],
)
def test_who_may_no_longer_look_on_is_cut_off(check: Callable[[], Any], heard: int) -> None:
    def asked() -> None:
        if isinstance(check, type):
            raise check("no")

    async def listen() -> list[str]:
        events = while_allowed(_numbers(), asked, every=-1)
        return [event async for event in events]

    assert len(within(listen())) == heard


def test_the_check_is_made_now_and_then_only() -> None:
    asked = []

    async def listen() -> list[str]:
        events = while_allowed(_numbers(), lambda: asked.append(1), every=3600)
        return [event async for event in events]

    assert len(within(listen())) == 100
    assert asked == []
