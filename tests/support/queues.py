"""A job manager's exchange and a worker of stages over a real broker, in this process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from caseframe.bus.options import AmqpOptions
from caseframe.domain.errors import ReadError
from caseframe.domain.work import ImageRecord, Order
from caseframe.pipeline.exchange import Arrival, Metrics, StageExchange
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.original import QUEUES
from caseframe.pipeline.pool import OrderPool
from caseframe.pipeline.process import LocalOptions
from caseframe.pipeline.rabbit import RabbitOptions, RabbitRunner
from caseframe.pipeline.spool import Spool
from caseframe.pipeline.station import Station, StationMetrics, StationOptions
from caseframe.stages.registry import load_stages
from caseframe.stages.stage import Stage, StageContext


def amqp(url: str) -> AmqpOptions:
    """Where the broker of the tests is."""
    return AmqpOptions(SecretStr(url))


def queue_names(names: Sequence[str]) -> dict[str, str]:
    """The queues of stages by their names."""
    return {name: QUEUES.get(name, name) for name in names}


def stages_of(names: Sequence[str]) -> dict[str, Stage]:
    """Installed stages by their names."""
    return {name: load_stages().get(name).stage for name in names}


class FolderPictures:
    """`Pictures` from a folder of this machine, which notes who asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[tuple[bytes, str, str]] = []

    async def fetch(self, path: bytes, token: str, correlation_id: str) -> bytes:
        """See `Pictures.fetch`."""
        self.asked.append((path, token, correlation_id))
        try:
            return (self.root / os.fsdecode(path)).read_bytes()
        except OSError as error:
            raise ReadError(f"there is no such file: {error.strerror}") from error


@contextmanager
def exchange(
    url: str, queues: Sequence[str], late: Callable[[Sequence[Arrival]], None] | None = None
) -> Iterator[StageExchange]:
    """A connected exchange."""
    made = StageExchange(
        amqp(url), queues, late or (lambda _arrivals: None), Metrics(CollectorRegistry())
    )
    made.start()
    try:
        made.wait(30)
        yield made
    finally:
        made.close()


@contextmanager
def runner(
    url: str,
    sources: Path,
    stages: Mapping[str, Stage],
    *,
    queues: Mapping[str, str] | None = None,
    note: Callable[[str], None] = lambda _text: None,
    stop: Callable[[], bool] = lambda: False,
    late: Callable[[Sequence[Arrival]], None] | None = None,
    **options: Any,
) -> Iterator[RabbitRunner]:
    """A runner over queues, with an exchange of its own."""
    names = dict(queues or queue_names(tuple(stages)))
    with exchange(url, list(names.values()), late) as made:
        chosen = RabbitOptions(os.fsencode(sources), names, **options)
        yield RabbitRunner(made, stages, chosen, lambda job: f"token of {job}", stop, note)


class Worker:
    """A station in a thread with an event loop of its own."""

    def __init__(
        self,
        url: str,
        names: Sequence[str],
        pictures: Any,
        cache: Path,
        *,
        local: Mapping[str, Any] | None = None,
        spool: Spool | None = None,
        **options: Any,
    ) -> None:
        self.pool = OrderPool(
            LocalRunner(
                LocalOptions(**{"workers": 1, "context": StageContext(cache), **(local or {})})
            )
        )
        self.pool.start()
        self.registry = CollectorRegistry()
        self._end = threading.Event()
        self._begun = threading.Event()
        stages = list(stages_of(names).values())
        chosen = StationOptions(queue_names(names), **options)

        async def work() -> None:
            self.station = station = Station(
                amqp(url), stages, self.pool, pictures, chosen, StationMetrics(self.registry),
                spool,
            )  # fmt: skip
            await station.start()
            while self.pool.reason is not None or not station._bus.connected:
                await asyncio.sleep(0.02)
            self._begun.set()
            await asyncio.to_thread(self._end.wait)
            await station.close()

        self._thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
        self._thread.start()
        assert self._begun.wait(30), "the worker does not come up"

    def close(self) -> None:
        """End as SIGTERM ends it."""
        self._end.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        self.pool.close()


@contextmanager
def worker(
    url: str, names: Sequence[str], pictures: Any, cache: Path, **options: Any
) -> Iterator[Worker]:
    """A worker of these stages."""
    made = Worker(url, names, pictures, cache, **options)
    try:
        yield made
    finally:
        made.close()


def order(root: Path, file: Path, stages: Sequence[str], number: int = 1, **more: Any) -> Order:
    """An order for stages of a file, as the catalog would know it."""
    import hashlib  # noqa: PLC0415

    data = file.read_bytes()
    record = ImageRecord(
        number, hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest(), "image/jpeg",
        len(data), "JPEG", 96, 64, "RGB", 8, 72.0,
    )  # fmt: skip
    values: dict[str, Any] = {
        "root": os.fsencode(root), "path": os.fsencode(file.relative_to(root)),
        "stages": tuple(stages), "ingest": False, "sha256": hashlib.sha256(data).digest(),
        "image_id": number, "job_id": "job-1", "record": record,
    }  # fmt: skip
    return Order(**{**values, **more})
