"""What saturates first as workers are added: a simulation of the services, fed by measured costs.

`python -m bench scale` prints the tables of docs/scale.md. Nothing runs but the model: every part
is a station with one or more servers and a queue in front of it, tasks walk from one to the next as
they do in the product, and a seeded generator draws the times, so that the tables never change by
themselves. The closed forms that it must agree with stand in tests/functional/test_scale.py.
"""

from __future__ import annotations

import heapq
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from bench.report import Report

Then = Callable[[], None]


@dataclass(frozen=True)
class Costs:
    """Seconds of one core (bytes for what travels), and where each figure comes from."""

    scan: float = 4.1e-3
    """One process reads, hashes and decodes a picture and draws its thumbnail (RESULTS.md)."""
    ingest: float = 0.45e-3
    """The job manager records it (RESULTS.md)."""
    order: float = 0.95e-3
    """The job manager sends one task that needs no picture and takes its answer (RESULTS.md)."""
    data: float = 1.33e-3
    """The job manager answers one getData of 162 kB over TLS."""
    broker: float = 1.7e-3
    """RabbitMQ takes, keeps and hands out one task and its answer (the same run)."""
    database: float = 2.1e-3
    """PostgreSQL, for each task (the same run)."""
    picture_bytes: int = 162_000
    message_bytes: int = 4_000
    stages: Mapping[str, float] = field(
        default_factory=lambda: {"faces": 0.074, "facts": 0.022, "caption": 0.404}
    )
    """A worker with one process, the stage (RESULTS.md; facts: the same run) and 4 ms around it."""
    after: Mapping[str, str] = field(default_factory=lambda: {"facts": "faces"})


@dataclass(frozen=True)
class Plant:
    """How many there are of each part; `link` in bytes a second."""

    workers: int
    managers: int = 1
    scanners: int = 4
    brokers: int = 2
    """Cores of the broker that its queues keep busy."""
    writers: int = 4
    """Cores of the database."""
    link: float = 1.25e9
    prefetch: int = 16
    in_flight: int = 2000
    """Tasks under way; fewer than in the product where so many only make a longer queue."""


@dataclass(frozen=True)
class Outcome:
    """Pictures a second, and how busy each part was, from 0 to 1."""

    rate: float
    busy: Mapping[str, float]
    seconds: float
    """From the entry of a picture to its last result, the mean."""

    @property
    def bottleneck(self) -> str:
        """The part that was busiest."""
        return max(self.busy, key=lambda name: self.busy[name])


def demands(costs: Costs, plant: Plant) -> dict[str, float]:
    """Seconds that each part works on one picture, divided by how many of it there are.

    One over the largest is the most pictures a second that there can be (the bottleneck law of
    Denning and Buzen, "The Operational Analysis of Queueing Network Models", 1978).
    """
    tasks = len(costs.stages)
    manager = costs.ingest + tasks * (costs.order + costs.data)
    return {
        "scanners": costs.scan / plant.scanners,
        "manager": manager / plant.managers,
        "broker": tasks * costs.broker / plant.brokers,
        "database": tasks * costs.database / plant.writers,
        "link": tasks * (costs.picture_bytes + 2 * costs.message_bytes) / plant.link,
        "workers": sum(costs.stages.values()) / plant.workers,
    }


class Clock:
    """The time of the simulation and what is to happen."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Then]] = []
        self._order = count()

    def after(self, seconds: float, then: Then) -> None:
        """Let something happen later."""
        heapq.heappush(self._events, (self.now + seconds, next(self._order), then))

    def step(self) -> None:
        """Go to the next event."""
        self.now, _, then = heapq.heappop(self._events)
        then()


class Station:
    """Some servers with one queue: who came first is served first."""

    def __init__(self, clock: Clock, servers: int, draw: Callable[[float], float]) -> None:
        self._clock, self._idle, self._draw = clock, servers, draw
        self._queue: deque[tuple[float, Then]] = deque()
        self.servers, self.worked = servers, 0.0

    def serve(self, mean: float, then: Then) -> None:
        """Work for a time around `mean` seconds, now or when a server is free, and go on."""
        self._queue.append((self._draw(mean), then))
        self._begin()

    def _begin(self) -> None:
        if self._idle and self._queue:
            self._idle -= 1
            seconds, then = self._queue.popleft()
            self._clock.after(seconds, lambda: self._end(seconds, then))

    def _end(self, seconds: float, then: Then) -> None:
        self._idle += 1
        self.worked += seconds
        self._begin()
        then()


class Workers:
    """Workers in turn, each holding at most `prefetch` tasks and working on one at a time."""

    def __init__(self, stations: list[Station], prefetch: int) -> None:
        self._stations = stations
        self._room = [prefetch] * len(stations)
        self._free = deque(range(len(stations)))
        self._waiting: deque[Callable[[int], None]] = deque()

    def take(self, begin: Callable[[int], None]) -> None:
        """Hand a task to the next worker with room, now or when there is one."""
        self._waiting.append(begin)
        self._match()

    def work(self, number: int, mean: float, then: Then) -> None:
        """One worker works."""
        self._stations[number].serve(mean, then)

    def give_back(self, number: int) -> None:
        """A task was acknowledged."""
        if self._room[number] == 0:
            self._free.append(number)
        self._room[number] += 1
        self._match()

    def _match(self) -> None:
        while self._waiting and self._free:
            number = self._free.popleft()
            self._room[number] -= 1
            if self._room[number]:
                self._free.append(number)
            self._waiting.popleft()(number)


class Simulation:
    """Pictures walk through the plant; as one leaves, the next one enters."""

    def __init__(self, costs: Costs, plant: Plant, *, steady: bool = False, seed: int = 1) -> None:
        generator = Random(seed)
        draw = (lambda mean: mean) if steady else (lambda mean: generator.expovariate(1 / mean))
        self.clock = Clock()
        self._costs, self._plant = costs, plant
        counts = {"scanners": plant.scanners, "manager": plant.managers, "broker": plant.brokers,
                  "database": plant.writers, "link": 1}  # fmt: skip
        self.stations = {name: Station(self.clock, n, draw) for name, n in counts.items()}
        alone = [Station(self.clock, 1, draw) for _ in range(plant.workers)]
        self._alone = alone
        self._workers = Workers(alone, plant.prefetch)
        self._left = 0
        self._stayed = 0.0

    def run(self, measured: int) -> Outcome:
        """Let the plant fill, then measure while at least so many pictures leave.

        All start together and so go round together for a while: we measure over whole rounds.
        """
        at_once = max(1, self._plant.in_flight // len(self._costs.stages))
        for _ in range(at_once):
            self._enter()
        self._until(2 * at_once)
        measured = at_once * max(2, round(measured / at_once))
        began, before, stayed = self.clock.now, self._worked(), self._stayed
        self._until(2 * at_once + measured)
        seconds = self.clock.now - began
        busy = {name: (worked - before[name]) / seconds for name, worked in self._worked().items()}
        return Outcome(measured / seconds, busy, (self._stayed - stayed) / measured)

    def _until(self, left: int) -> None:
        while self._left < left:
            self.clock.step()

    def _worked(self) -> dict[str, float]:
        worked = {name: one.worked / one.servers for name, one in self.stations.items()}
        return worked | {"workers": sum(one.worked for one in self._alone) / len(self._alone)}

    def _enter(self) -> None:
        began, costs = self.clock.now, self._costs
        open_stages = set(costs.stages)

        def done(stage: str) -> None:
            open_stages.discard(stage)
            for name, base in costs.after.items():
                if base == stage and name in costs.stages:
                    self._task(name, done)
            if not open_stages:
                self._left += 1
                self._stayed += self.clock.now - began
                self._enter()

        def scanned() -> None:
            first = [name for name in costs.stages if costs.after.get(name) not in costs.stages]
            for name in first:
                self._task(name, done)

        self._walk(iter([("scanners", costs.scan), ("manager", costs.ingest)]), scanned)

    def _task(self, stage: str, done: Callable[[str], None]) -> None:
        costs, workers = self._costs, self._workers
        message = ("link", costs.message_bytes / self._plant.link)
        picture = ("link", costs.picture_bytes / self._plant.link)
        half = ("manager", costs.order / 2), ("broker", costs.broker / 2)

        def taken(number: int) -> None:
            def answered() -> None:
                workers.give_back(number)
                way = iter([half[0], ("database", costs.database)])
                self._walk(way, lambda: done(stage))

            def worked() -> None:
                self._walk(iter([message, half[1]]), answered)

            def fetched() -> None:
                workers.work(number, costs.stages[stage], worked)

            self._walk(iter([("manager", costs.data), picture]), fetched)

        self._walk(iter([*half, message]), lambda: workers.take(taken))

    def _walk(self, way: Iterator[tuple[str, float]], then: Then) -> None:
        step = next(way, None)
        if step is None:
            then()
        else:
            name, seconds = step
            self.stations[name].serve(seconds, lambda: self._walk(way, then))


# ---- the tables ---------------------------------------------------------------------------------

WORKERS = (1, 10, 100, 1000)
_BUSY = ("workers", "manager", "broker", "database", "scanners", "link")
_FACES_ONLY = {"faces": 0.074, "facts": 0.022}
_CATALOG = {"rows": 14.7, "catalog, without thumbnails": 13_000, "thumbnails": 12_900}
_PICTURES = (10**6, 10**7, 10**8, 10**9)


def tables(measured: int = 2000) -> dict[str, str]:
    """Each table of docs/scale.md in Markdown, by its title."""
    everything, faces = Costs(), replace(Costs(), stages=_FACES_ONLY)
    return {
        "Faces, facts and captions, one job manager": _by_workers(everything, measured),
        "Faces and facts, one job manager": _by_workers(faces, measured),
        "Faces, facts and captions, several job managers, 8 cores for the broker, 16 for the "
        "database": _by_managers(everything, measured),
        "What a number of pictures takes": _sizes(),
    }


def _by_workers(costs: Costs, measured: int) -> str:
    heads = ("Workers", "Pictures/s", "At most", *(f"{name} busy" for name in _BUSY), "10^6 take")
    rows = []
    for workers in WORKERS:
        plant = Plant(workers, in_flight=min(2000, 60 + 20 * workers))
        rows.append((f"{workers:,}", *_row(costs, plant, measured)))
    return _table(heads, rows)


def _by_managers(costs: Costs, measured: int) -> str:
    heads = ("Workers", "Managers", "Pictures/s", "At most", *(f"{name} busy" for name in _BUSY),
             "10^6 take")  # fmt: skip
    rows = []
    for workers, managers in ((100, 4), (1000, 10), (1000, 40)):
        plant = Plant(workers, managers, scanners=4 * managers, brokers=8, writers=16,
                      in_flight=max(2000, 8 * workers))  # fmt: skip
        rows.append((f"{workers:,}", f"{managers}", *_row(costs, plant, measured)))
    return _table(heads, rows)


def _row(costs: Costs, plant: Plant, measured: int) -> list[str]:
    found = Simulation(costs, plant).run(measured)
    most = 1 / max(demands(costs, plant).values())
    busy = [_percent(found.busy[name], name == found.bottleneck) for name in _BUSY]
    return [_number(found.rate), _number(most), *busy, _duration(10**6 / found.rate)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _percent(share: float, first: bool) -> str:
    text = f"{min(share, 1.0):.0%}"
    return f"**{text}**" if first else text


def _duration(seconds: float) -> str:
    days, hours = seconds / 86_400, seconds / 3600
    return f"{days:.1f} days" if days >= 2 else f"{hours:.1f} h"


def _sizes() -> str:
    costs = Costs()
    wire = len(costs.stages) * (costs.picture_bytes + 2 * costs.message_bytes)
    lines = {"pictures themselves": costs.picture_bytes, **_CATALOG, "over the wire": wire}
    rows = [
        (name, *(_amount(each * pictures, name) for pictures in _PICTURES))
        for name, each in lines.items()
    ]
    return _table(("", *(f"10^{len(str(n)) - 1} pictures" for n in _PICTURES)), rows)


def _amount(value: float, name: str) -> str:
    if name == "rows":
        return f"{value / 1e6:,.0f} million"
    return f"{value / 1e12:,.3g} TB" if value >= 1e12 else f"{value / 1e9:,.3g} GB"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def bench(report: Report) -> None:
    """Print every table."""
    for title, table in tables().items():
        report.heading(f"{title}\n\n{table}")


if __name__ == "__main__":
    bench(Report(sys.stdout))
