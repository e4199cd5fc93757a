"""The methods of JobManagerController but for getData: what each does for the person who asks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.sharing import Sharing
from caseframe.accounts.tokens import TokenMint
from caseframe.catalog import gallery, jobs, shares, tally
from caseframe.catalog.database import Catalog
from caseframe.catalog.described import describe_tiles
from caseframe.catalog.order import Place, Sort, SortKey, cursor
from caseframe.catalog.removal import remove_job
from caseframe.domain.access import Action, Principal, require
from caseframe.domain.errors import NotFound, UsageError
from caseframe.domain.text import storable
from caseframe.domain.work import JobState
from caseframe.jobmanager import jobmanager_pb2 as pb
from caseframe.jobmanager.callers import Doorkeeper
from caseframe.jobmanager.messages import (
    image_message,
    job_cursor,
    job_message,
    job_place,
    source_message,
)
from caseframe.pipeline.manager import JobManager
from caseframe.scanner.sources import folder_at, sources

_ITEMS = 100
_MOST_ITEMS = 500
_PAGE_BYTES = 3 << 20  # clients that set no limit take messages of 4 MiB
_LONGEST_NAME = 200
_LONGEST_WORDS = 10_000
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class JobServices:
    """What the job manager's interface works with.

    `sources` is the absolute root of all folders that jobs may be made of, `stages` the names of
    those that a new job gets.
    """

    catalog: Catalog
    accounts: Accounts
    mint: TokenMint
    manager: JobManager
    sources: Path
    stages: tuple[str, ...]


class Controller:
    """Each method answers one person's request, whatever they may not do refused as the web does.

    Raises UsageError for what makes no sense, NotFound for a source that is not there, and what
    `Sharing.require` and `require` raise.
    """

    def __init__(self, services: JobServices, door: Doorkeeper, root: bytes) -> None:
        self._catalog = services.catalog
        self._sharing = Sharing(services.catalog)
        self._manager = services.manager
        self._stages = services.stages
        self._door = door
        self._root = root

    def get_all_jobs(self, who: Principal, request: pb.GetJobsRequest) -> pb.GetJobsResponse:
        """All jobs that the person may see."""
        return self._jobs(who, request, None)

    def get_jobs_in_progress(
        self, who: Principal, request: pb.GetJobsRequest
    ) -> pb.GetJobsResponse:
        """Those of them that are at work."""
        return self._jobs(who, request, JobState.RUNNING)

    def _jobs(
        self, who: Principal, request: pb.GetJobsRequest, state: JobState | None
    ) -> pb.GetJobsResponse:
        limit, falling = _items(request.items), _falling(request.order)
        after = self._job_place(who, request.cursor, falling=falling) if request.cursor else None
        with self._catalog.read() as connection:
            found = tally.counted_jobs(
                connection, shares.visible_jobs(who), after=after, descending=falling, state=state,
                limit=limit + 1,
            )  # fmt: skip
        page, following = found[:limit], ""
        if len(found) > limit:
            last = page[-1].job
            following = job_cursor(last.created_at, last.id, descending=falling)
        values = [job_message(one, self._door.name_of(one.job.source)) for one in page]
        return pb.GetJobsResponse(jobs=pb.JobList(values=values, next=following))

    def _job_place(self, who: Principal, text: str, *, falling: bool) -> tuple[datetime, str]:
        """Behind which job a page begins: a cursor of ours, or the id of a job that they see."""
        if not _UUID.fullmatch(text):
            return job_place(text, descending=falling)
        self._sharing.require(who, Action.SEE_JOB, text)
        with self._catalog.read() as connection:
            return jobs.get_job(connection, text).created_at, text

    def create_new_job(
        self, who: Principal, request: pb.CreateNewJobReqest
    ) -> pb.CreateNewJobResponse:
        """A new job over a source; it does nothing until it is started."""
        require(who, Action.CREATE_JOB)
        name = storable(request.name).strip()
        description = storable(request.description)
        if not 0 < len(name) <= _LONGEST_NAME or len(description) > _LONGEST_WORDS:
            raise UsageError(
                f"a job has a name of 1 to {_LONGEST_NAME} characters and a description of at "
                f"most {_LONGEST_WORDS}"
            )
        path = request.path or request.source.encode("utf-8")
        if not path:
            raise UsageError("name one of the available sources, or a folder in it: source/folder")
        source = folder_at(self._root, path)
        with self._catalog.begin() as connection:
            made = jobs.create_job(
                connection, name, source, self._stages, description, owner_id=who.user_id
            )
        return pb.CreateNewJobResponse(id=made.id)

    def delete_job(self, who: Principal, request: pb.DeleteJobRequest) -> pb.DeleteJobResponse:
        """Delete a job and all that was found in it; evidence is not touched."""
        self._sharing.require(who, Action.DELETE_JOB, request.id)
        self._manager.stop_and_wait(request.id)
        remove_job(self._catalog, request.id)
        return pb.DeleteJobResponse(success=True)

    def get_sources(
        self, who: Principal, _request: pb.GetAvailableSourcesRequest
    ) -> pb.GetAvailableSourcesResponse:
        """The folders directly below the root."""
        require(who, Action.BROWSE_SOURCES)
        values = [source_message(source) for source in sources(self._root)]
        return pb.GetAvailableSourcesResponse(sources=pb.SourceList(values=values))

    def start_scanning(
        self, who: Principal, request: pb.StartScanningJobRequest
    ) -> pb.StartScanningJobResponse:
        """Start a job that is not finished, and say what it is doing."""
        self._sharing.require(who, Action.RUN_JOB, request.id)
        with self._catalog.read() as connection:
            job = jobs.get_job(connection, request.id)
        state = _STATES.get(job.state)
        if state is None and not self._is_there(job.source):
            state = "source-missing"
        if state is None:
            self._manager.submit(job.id)
            state = "started"
        return pb.StartScanningJobResponse(state=state)

    def _is_there(self, source: bytes) -> bool:
        try:
            folder_at(source, b"")
        except NotFound:
            return False
        return True

    def get_images(self, who: Principal, request: pb.GetImagesRequest) -> pb.GetImagesResponse:
        """A page of a job's pictures with what was found in them."""
        self._sharing.require(who, Action.SEE_JOB, request.jobId)
        limit, sort = _items(request.items), Sort(SortKey.ADDED, _falling(request.order))
        with self._catalog.read() as connection:
            job = jobs.get_job(connection, request.jobId)
            number = gallery.gallery_of(connection, job.id)
            after = request.cursor or None
            if after is not None and _NUMBER.fullmatch(after):
                after = _behind(number, int(after), sort)
            page = gallery.page(connection, job.id, sort=sort, after=after, limit=limit)
            found = describe_tiles(connection, page.tiles)
        source = self._door.name_of(job.source)
        values = _fitting([image_message(one, source) for one in found])
        following = page.next or ""
        if len(values) < len(found):
            following = _behind(number, int(values[-1].id), sort)
        return pb.GetImagesResponse(images=pb.ImageList(values=values, next=following))


_STATES = {
    JobState.RUNNING: "in-progress",
    JobState.QUEUED: "pending",
    JobState.FINISHED: "completed",
}


def _items(asked: int) -> int:
    """How many a page holds; nobody gets more than the most."""
    return min(asked, _MOST_ITEMS) or _ITEMS


def _falling(order: int) -> bool:
    """Whether the newest come first. Raises UsageError for an order that there is not."""
    if order not in pb.Order.values():
        raise UsageError("there are two orders: ASC and DESC")
    return order == pb.DESC


def _fitting(values: list[pb.Image]) -> list[pb.Image]:
    """The first of them that fit into one message, and never none: metadata may be long."""
    size = 0
    for count, value in enumerate(values):
        size += value.ByteSize()
        if size > _PAGE_BYTES and count:
            return values[:count]
    return values


def _behind(number: int, image_id: int, sort: Sort) -> str:
    """The cursor behind an image, whether or not the job still shows it. Raises UsageError."""
    try:
        return cursor(sort, Place(None, gallery.tile_id(number, image_id)))
    except NotFound as error:
        raise UsageError("this is no cursor of this list; begin again without one") from error
