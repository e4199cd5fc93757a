"""Where pictures are handed in to be described: never more at once than there is room for.

The way of one upload: received onto the disk → waits for its turn → read and sent to the vision
service. Only the last step holds pictures in memory, and `max_picture` bytes bound it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from caseframe.domain.errors import PictureRefused, UsageError
from caseframe.vision.client import Answer, VisionClient
from caseframe.web.allowance import Allowance
from caseframe.web.options import WebOptions
from caseframe.web.room import Room
from caseframe.web.uploads import Receiver, Sent, Upload, UploadLimits

_T = TypeVar("_T")


@dataclass(frozen=True)
class Words:
    """What became of one picture: `text`, or the reason why there is none."""

    text: str
    error: str | None = None


class Desk:
    """Takes uploads and gives descriptions. For one event loop."""

    def __init__(self, vision: VisionClient, options: WebOptions) -> None:
        self._vision = vision
        self._options = options
        limits = UploadLimits(options.max_picture, options.max_parts, options.upload_seconds)
        self._receiver = Receiver(limits)
        self._house = Room(options.uploads, options.patience)
        self._table = Room(options.max_picture, options.patience)
        self._threads = CapacityLimiter(options.at_work)
        self.allowance = Allowance(options.anonymous_calls, options.counts)

    @asynccontextmanager
    async def upload(self, request: Request, stranger: str | None) -> AsyncIterator[Upload]:
        """What a request brings. `stranger` is the address of somebody without an account.

        A stranger's call counts once it is clear what is asked for. Raises what `Allowance` and
        `Receiver` raise; VisionBusy when there is no room in time.
        """
        if stranger is not None:
            await self._counting(self.allowance.check, stranger)
        async with self._house.take(), self._receiver.receive(request) as upload:
            if stranger is not None:
                await self._count(stranger, upload)
            yield upload

    async def left(self, stranger: str) -> int:
        """How many calls somebody without an account still has."""
        return (await self._counting(self.allowance.left, stranger)).left

    async def _counting(self, ask: Callable[[str], _T], stranger: str) -> _T:
        return await to_thread.run_sync(ask, stranger) if self.allowance.remote else ask(stranger)

    async def _count(self, stranger: str, upload: Upload) -> None:
        most = self._options.anonymous_pictures
        if len(upload.pictures) > most:
            raise UsageError(f"without an account a request may hold {most} pictures; sign in")
        if all(picture.error for picture in upload.pictures):
            return  # nothing will be described
        await self._counting(self.allowance.use, stranger)

    async def describe(self, upload: Upload, model: str) -> list[Words]:
        """Words for each picture, in order. One that stands alone raises its error instead."""
        if not upload.several and upload.pictures[0].error:
            raise UsageError(upload.pictures[0].error)
        async with self._table.take(upload.size):
            work = self._many if upload.several else self._one
            return await to_thread.run_sync(work, upload.pictures, model, limiter=self._threads)

    def _one(self, pictures: list[Sent], model: str) -> list[Words]:
        return [Words(self._vision.describe(pictures[0].read(), model))]

    def _many(self, pictures: list[Sent], model: str) -> list[Words]:
        good = (picture.read() for picture in pictures if picture.error is None)
        answers = self._vision.describe_many(good, model)
        try:
            return [self._words(picture, answers) for picture in pictures]
        finally:
            answers.close()

    @staticmethod
    def _words(picture: Sent, answers: Iterator[Answer]) -> Words:
        if picture.error is not None:
            return Words("", picture.error)
        answer = next(answers, None)
        if answer is None:
            raise PictureRefused("the vision service gave no answer for this picture")
        return Words(answer.description or "", answer.error)


async def desk(request: Request) -> Desk:
    """The desk of the application that the request came to."""
    found: Desk = request.app.state.desk
    return found
