"""What the web server works with; the command line puts it together and picks what is behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fastapi import Request

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.oauth import Providers
from caseframe.accounts.sharing import Sharing
from caseframe.catalog.database import Catalog
from caseframe.pipeline.control import Jobs
from caseframe.vision.client import VisionClient
from caseframe.web.events import Broadcaster
from caseframe.web.options import WebOptions


class Renderer(Protocol):
    """Makes what a browser can show of a picture, away from this process."""

    def view(self, root: bytes, path: bytes, sha256: bytes, side: int) -> bytes:
        """The picture upright as JPEG, its longer side at most `side` pixels.

        Raises ReadError when the file is gone or not that content, PictureError when it cannot
        be decoded.
        """


class DeadLetter(Protocol):
    """A message that no worker could deal with; `job_id`, `path` and `at` None where unknown."""

    @property
    def id(self) -> str:
        """16 hexadecimal digits, the same at every look."""

    @property
    def queue(self) -> str:
        """The queue that it was meant for."""

    @property
    def reason(self) -> str:
        """Why it is one, in the words of whoever gave up; they may hold anything."""

    @property
    def job_id(self) -> str | None:
        """The job that it names, which need not be there any more."""

    @property
    def path(self) -> bytes | None:
        """The picture, below the sources root."""

    @property
    def attempt(self) -> int:
        """How often it was tried, from 1."""

    @property
    def at(self) -> datetime | None:
        """When it was given up; where nobody noted that, when it was sent."""


class DeadLetters(Protocol):
    """What lies among the dead letters. All calls raise ServiceAway, and NotFound for a queue."""

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues whose dead letters these are."""

    def list(self, queue: str | None = None, limit: int = 1000) -> Sequence[DeadLetter]:
        """All of them, or those of one queue, the oldest first; at most `limit` a queue."""

    def replay(self, numbers: Sequence[str] | None, queue: str | None = None) -> int:
        """Send these (None: all) back to their queues; how many went.

        Raises Unroutable where such a queue is gone.
        """

    def drop(self, numbers: Sequence[str] | None, queue: str | None = None) -> int:
        """Throw these (None: all) away; how many went."""


@dataclass(frozen=True)
class StageInfo:
    """A stage as people choose it; `reason` says why it cannot work here.

    One that is `external` is another maker's, and its result any value in JSON. `fields` are those
    of its own under which its words are searched, beside the ones that every case has.
    """

    name: str
    title: str
    version: str
    summary: str
    reason: str | None
    external: bool = False
    fields: frozenset[str] = frozenset()


def _nothing() -> None:
    """In one process there is nothing more to ask."""


@dataclass(frozen=True)
class Services:
    """Everything a request may need."""

    catalog: Catalog
    accounts: Accounts
    sharing: Sharing
    providers: Providers
    manager: Jobs
    vision: VisionClient
    renderer: Renderer
    broadcaster: Broadcaster
    stages: tuple[StageInfo, ...]
    options: WebOptions
    check: Callable[[], None] = _nothing
    """Raises an error of what does not answer: accounts, or the job manager."""
    dead_letters: DeadLetters | None = None
    """None where stages run in this process, and nothing goes through a broker."""


async def services(request: Request) -> Services:
    """The services of the application that the request came to.

    A coroutine, as it waits for nothing: FastAPI would send a plain function to a thread.
    """
    found: Services = request.app.state.services
    return found
