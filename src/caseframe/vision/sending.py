"""One batch as the client sends it: a window of unanswered pictures, sent again when needed."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from caseframe.domain.errors import VisionAway
from caseframe.vision import computer_vision_pb2 as pb
from caseframe.vision import protocol

_PAUSE = 0.1
_Known = pb.ImgProcRequest | pb.ImgProcResponse
Open = Callable[[Iterator[pb.ImgProcRequest]], Any]
"""Opens a stream that sends what it is given; its iterator yields the responses."""


class Conversation:
    """Sends requests over a stream, and goes on over another one when it breaks.

    The source is read in the caller's thread, so that it may use what belongs to that thread.
    """

    def __init__(self, connect: Callable[[], tuple[str, Open]], patience: float) -> None:
        self._connect = connect
        self._patience = patience
        self._pending: deque[_Known] = deque()
        self._outbox: queue.SimpleQueue[pb.ImgProcRequest | None] = queue.SimpleQueue()
        self._call: Any = None
        self._address = ""
        self._ended = False

    def run(self, source: Iterator[_Known]) -> Iterator[pb.ImgProcResponse]:
        """A response for each item of `source`, in order; items that are responses stand as such.

        Raises VisionAway when no stream works for as long as patience lasts.
        """
        for item in source:
            self._pending.append(item)
            self._send(item)
            if len(self._pending) >= protocol.WINDOW:
                yield self._receive()
        self._ended = True
        self._outbox.put(None)
        while self._pending:
            yield self._receive()

    def close(self) -> None:
        """End the stream; what was not answered is dropped on both sides."""
        self._outbox.put(None)
        if self._call is not None:
            self._call.cancel()

    def _send(self, item: _Known) -> None:
        if isinstance(item, pb.ImgProcRequest):
            if self._call is None:
                self._open()
            self._outbox.put(item)

    def _open(self) -> None:
        self._outbox.put(None)  # lets the thread go that gRPC reads the old one with
        self._outbox = queue.SimpleQueue()
        self._address, start = self._connect()
        self._call = start(iter(self._outbox.get, None))

    def _receive(self) -> pb.ImgProcResponse:
        first = self._pending[0]
        if isinstance(first, pb.ImgProcResponse):
            self._pending.popleft()
            return first
        response = self._answered()
        self._pending.popleft()
        return response

    def _answered(self) -> pb.ImgProcResponse:
        until: float | None = None  # patience begins with the first failure
        while True:
            try:
                response: pb.ImgProcResponse = next(self._call)
            except StopIteration:
                failure: Exception = VisionAway("the vision service ended the batch too early")
            except grpc.RpcError as error:
                failure = protocol.raised(error, self._address)
            else:
                return response
            until = until or time.monotonic() + self._patience
            if not isinstance(failure, VisionAway) or time.monotonic() > until:
                raise failure
            time.sleep(_PAUSE)
            self._again()

    def _again(self) -> None:
        """Send all that is unanswered over a new stream."""
        self._open()
        for item in self._pending:
            if isinstance(item, pb.ImgProcRequest):
                self._outbox.put(item)
        if self._ended:
            self._outbox.put(None)
