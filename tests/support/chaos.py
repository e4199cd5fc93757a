"""A job at work over services, and what is left at the end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aio_pika
from aio_pika.abc import AbstractChannel
from deploy.arrangement import Arrangement
from PIL import Image
from sqlalchemy import func, select
from tests.makers.photos import encoded, gps_tags, jpeg_with_exif, photo
from tests.support.rows import Rows, rows
from tests.support.services import ServicesWeb, queue_depths, settings_of

from caseframe.bus.deadletters import DeadLetters
from caseframe.catalog import jobs
from caseframe.catalog.tables import images, tasks
from caseframe.cli.service_common import amqp_options
from caseframe.demo.portraits import portrait
from caseframe.domain.work import JobState
from caseframe.pipeline.original import QUEUES

STAGES = ("exif", "place", "similar", "faces", "facts")
WORKERS = {"stage-one": ("exif", "place", "similar"), "stage-two": ("faces", "facts", "similar")}
SETTINGS = {
    "CASEFRAME_QUEUE_STAGES": '["exif", "similar", "faces"]',
    "CASEFRAME_LEASE_SECONDS": "8",
    "CASEFRAME_IN_FLIGHT": "40",
    "CASEFRAME_PREFETCH": "4",
    "CASEFRAME_BUSY_SECONDS": "15",
}
WORK_QUEUES = tuple(QUEUES.get(name, name) for name in STAGES)
PICTURES = 120
OVER = {JobState.FINISHED, JobState.STOPPED, JobState.FAILED}
_PATIENCE = 240.0
_FROM, _TO = 0.05, 0.5
_TRIES = 5


def make_sources(root: Path) -> Path:
    """A folder with pictures of all kinds of fate: faces, places, copies, broken ones."""
    folder = root / "Chaos"
    folder.mkdir(parents=True)
    face = portrait()
    for number in range(PICTURES):
        kind = number % 8
        if kind == 0:
            data = jpeg_with_exif(
                (96, 72), number, Make="Nikon", Model=f"D{number}",
                DateTimeOriginal="2016:07:02 10:00:00", **gps_tags(45.9 + number / 100, 6.9),
            )  # fmt: skip
        elif kind == 1 and number < 80:
            size = 220 + number
            data = encoded(face.resize((size, size), Image.Resampling.BICUBIC))
        else:
            data = photo(96, 72, number)
        (folder / f"{number:03}.jpg").write_bytes(data)
    (folder / "copy.jpg").write_bytes((folder / "000.jpg").read_bytes())
    (folder / "cut.jpg").write_bytes(photo(320, 240, 1000)[:5000])
    (folder / "nothing.jpg").write_bytes(b"")
    (folder / "notes.txt").write_bytes(b"no picture\n")
    (folder / "Zürich ☂.png").write_bytes(photo(80, 60, 1001, format="PNG"))
    with open(bytes(folder) + b"/not \xff text.jpg", "wb") as file:
        file.write(photo(80, 60, 1002))
    return root


@dataclass
class Scene:
    """One arrangement, and what disturbances need of it."""

    made: Arrangement
    web: ServicesWeb
    dice: random.Random = field(default_factory=random.Random)

    def wait(self, what: str, until: Callable[[], Any], seconds: float = _PATIENCE) -> None:
        """Wait until something is so; AssertionError when it never is."""
        end = time.monotonic() + seconds
        while not self.web.services.catalog.patiently(until):
            assert time.monotonic() < end, f"{what}: not within {seconds:g} s\n{self.state()}"
            time.sleep(0.1)

    def restart(self, name: str) -> None:
        """Start a part that ended and wait for it."""
        self.made.start(name)
        self.made.wait_ready(name)

    def state(self) -> str:
        """What people would look at first when nothing goes on."""
        lines = [f"{name}: {self.made.ready(name)}" for name in self.made.names]
        lines.append(f"queues: {queue_depths(self.made)}")
        lines.append(f"tasks: {self.counts()}")
        for name in ("jobs", *WORKERS):
            lines += [f"--- {name}", *self.made.log(name).splitlines()[-12:]]
        return "\n".join(lines)

    def counts(self) -> dict[str, int]:
        """How many tasks are in each state."""
        query = select(tasks.c.state, func.count()).group_by(tasks.c.state)
        with self.web.services.catalog.read() as connection:
            return {str(state): int(count) for state, count in connection.execute(query)}

    def done(self) -> int:
        """How many tasks are over."""
        return sum(count for state, count in self.counts().items() if state != "pending")

    # ---- over AMQP --------------------------------------------------------------------------

    def amqp(self, work: Callable[[AbstractChannel], Any]) -> Any:
        """What `work` does in a channel of its own, as an administrator may."""
        options = amqp_options(settings_of(self.made), "chaos")

        async def once() -> Any:
            connection = await aio_pika.connect(
                options.url.get_secret_value(), ssl_context=options.context()
            )
            async with connection, connection.channel() as channel:
                return await work(channel)

        return asyncio.run(once())

    def dead_letters(self) -> DeadLetters:
        """What `caseframe dead-letters` works with."""
        return DeadLetters(amqp_options(settings_of(self.made), "chaos"), WORK_QUEUES)

    # ---- one run ----------------------------------------------------------------------------

    def run(self, disturb: Callable[[Scene], None] | None = None) -> Rows:
        """A job from its making to its deletion, disturbed while at work; what it found."""
        if disturb is None:
            return self.finish(self._begin())
        for _ in range(_TRIES):
            job = self._begin()
            enough = self.dice.uniform(_FROM, _TO) * PICTURES * len(STAGES)
            self.wait("the work begins", partial(self._past, enough))
            if self.job(job).state is JobState.RUNNING:
                disturb(self)
                return self.finish(job)
            self.finish(job)  # where others keep the machine busy, the moment may be missed
        raise AssertionError("the job always ended before it could be disturbed")

    def _past(self, tasks: float) -> bool:
        return self.done() >= tasks

    def finish(self, job: str) -> Rows:
        """Wait for the end, look at what is there, and delete the job."""
        self.wait("the job ends", lambda: self.job(job).state in OVER)
        ended = self.job(job)
        assert ended.state is JobState.FINISHED, f"{ended.reason}\n{self.state()}"
        self.wait("the queues are empty", lambda: not any(self.left().values()))
        for name in self.made.names:  # a job may end before the last part has found the others
            self.made.wait_ready(name)
        with self.web.services.catalog.read() as connection:
            found = rows(connection)
        self._delete(job)
        return found

    def left(self) -> dict[str, int]:
        """Messages in queues of work, answers and notices; dead letters lie apart."""
        return {n: c for n, c in queue_depths(self.made).items() if not n.endswith(".dead")}

    def job(self, job: str) -> jobs.Job:
        """The job as it stands."""

        def once() -> jobs.Job:
            with self.web.services.catalog.read() as connection:
                return jobs.get_job(connection, job)

        return self.web.services.catalog.patiently(once)

    def active(self) -> list[str]:
        """The ids of jobs that are at work."""
        with self.web.services.catalog.read() as connection:
            return [one.id for one in jobs.list_jobs(connection) if one.state not in OVER]

    def start(self, job: str) -> None:
        """Start a job as a user does."""
        client = self.web.client(self.web.administrator)
        client.post(f"/api/v1/jobs/{job}/start").raise_for_status()

    def _begin(self) -> str:
        with self.web.services.catalog.read() as connection:
            before = jobs.list_jobs(connection)
        for failed in before:  # what one test could not end is no trouble of the next
            self._delete(failed.id)
        with self.web.services.catalog.read() as connection:
            assert not connection.scalar(select(func.count()).select_from(images))
        asked = {"name": "Chaos", "source": quote("Chaos"), "stages": list(STAGES)}
        client = self.web.client(self.web.administrator)
        job = str(client.post("/api/v1/jobs", json=asked).raise_for_status().json()["id"])
        self.start(job)
        return job

    def _delete(self, job: str) -> None:
        client = self.web.client(self.web.administrator)
        client.delete(f"/api/v1/jobs/{job}").raise_for_status()
