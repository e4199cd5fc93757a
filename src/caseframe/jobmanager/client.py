"""Fetching pictures from the job manager.

What is fetched is whole or an error: the stream ends well only when the file was read to its end,
and the number of bytes was said beforehand. A process that forks must make its client after.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import grpc

from caseframe.domain.errors import JobsAway, OverLimit, ReadError, UsageError
from caseframe.jobmanager import jobmanager_pb2 as pb
from caseframe.jobmanager import protocol
from caseframe.tls import TlsFiles, client_credentials

__all__ = ["AsyncJobsClient", "channel_options"]

_METHOD = f"/{protocol.CONTROLLER}/{protocol.GET_DATA}"
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0


def channel_options() -> list[tuple[str, Any]]:
    """How every channel to a job manager is set up."""
    return [
        ("grpc.enable_http_proxy", 0),  # evidence goes where it was told to and nowhere else
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 5000),  # in truth: how long one attempt may take
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.keepalive_time_ms", 20_000),  # finds a service that vanished without a word
        ("grpc.keepalive_timeout_ms", 20_000),
    ]


class AsyncJobsClient:
    """Fetches pictures, any number at once over one connection. For one event loop.

    `stall` is how long nothing may come before an attempt is given up, `patience` how long the job
    manager may be away, in seconds. Raises UsageError for an empty address or certificates that
    cannot be used.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: TlsFiles | None = None,
        stall: float = 30.0,
        patience: float = 60.0,
    ) -> None:
        self._address = _checked(address)
        self._stall = stall
        self._patience = patience
        self._credentials = None if tls is None else client_credentials(tls)
        self._channel: grpc.aio.Channel | None = None
        self._get_data: Any = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        if self._channel is not None:
            await self._channel.close()

    async def fetch(self, path: bytes, *, token: str, correlation_id: str, limit: int) -> bytes:
        """The bytes of the file at `path`, relative to the sources root.

        Raises OverLimit when it has more than `limit` bytes, ReadError when there is no such file
        or it cannot be read or changed meanwhile, TokenRefused, and JobsAway when the job manager
        was away for longer than our patience.
        """
        self._connect()
        retry = _Retry(self._patience)
        while True:
            try:
                return await self._fetch(path, protocol.metadata(token, correlation_id), limit)
            except JobsAway as error:
                await asyncio.sleep(retry.pause(error))

    def _connect(self) -> None:
        """Not before a loop runs: a channel belongs to the loop in which it was made."""
        if self._channel is not None:
            return
        if self._credentials is None:
            made = grpc.aio.insecure_channel(self._address, options=channel_options())
        else:
            made = grpc.aio.secure_channel(
                self._address, self._credentials, options=channel_options()
            )
        self._channel = made
        self._get_data = made.unary_stream(
            _METHOD, pb.GetDataRequest.SerializeToString, pb.GetDataResponse.FromString
        )

    async def _fetch(self, path: bytes, metadata: protocol.Metadata, limit: int) -> bytes:
        received = _Received(limit)
        try:
            call = self._get_data(pb.GetDataRequest(path=path), metadata=metadata)
        except grpc.aio.UsageError as error:
            raise JobsAway("the connection to the job manager was closed") from error
        try:
            async with asyncio.timeout(self._stall):
                received.expect(await call.initial_metadata() or ())
            while True:
                async with asyncio.timeout(self._stall):
                    message = await call.read()
                if message is grpc.aio.EOF:
                    break
                received.add(message.data)
        except TimeoutError as error:
            raise JobsAway(
                f"the job manager at {self._address} sent nothing for {self._stall:g} s"
            ) from error
        except grpc.RpcError as error:
            raise protocol.raised(error, self._address, ReadError) from error
        finally:
            call.cancel()
        return received.whole()


def _checked(address: str) -> str:
    if not address.strip():
        raise UsageError("the address of the job manager is empty; give host:port (jobs_address)")
    return address


class _Retry:
    """Pauses that grow, until patience is over; it begins with the first failure."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._until: float | None = None
        self._next = _FIRST_PAUSE

    def pause(self, error: JobsAway) -> float:
        """Seconds until the next attempt. Raises the error when there shall be none."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._patience
        if now + self._next > self._until:
            raise error
        pause, self._next = self._next, min(self._next * 2, _LONGEST_PAUSE)
        return pause


class _Received:
    """The pieces of one file."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size: int | None = None
        self._pieces: list[bytes] = []
        self._got = 0

    def expect(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Note how much will come. Raises OverLimit."""
        said = dict(metadata).get(protocol.SIZE)
        if said is not None:
            self._size = int(said)
            self._check(self._size)

    def add(self, piece: bytes) -> None:
        """Keep a piece. Raises OverLimit."""
        self._got += len(piece)
        self._check(self._got)
        self._pieces.append(piece)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise OverLimit(f"{size} bytes, over the limit of {self._limit}")

    def whole(self) -> bytes:
        """All of it. Raises ReadError when something is missing."""
        if self._size is not None and self._got != self._size:
            raise ReadError(f"only {self._got} of {self._size} bytes arrived")
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
