"""`Jobs` over gRPC: the gateway's orders to a job manager that is another process.

Orders end with an answer or JobsAway. Questions about jobs at work are asked all at once, at most
every half second, and have no answer while the job manager is away: pages then show what the
catalog knows, and nobody waits for them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import structlog
from structlog.contextvars import get_contextvars

from caseframe.accounts.tokens import TokenMint, make_service_token
from caseframe.domain.correlation import LOGGED, new_id
from caseframe.domain.errors import JobsAway, NotFound
from caseframe.domain.evidence import FileState
from caseframe.domain.work import TaskState
from caseframe.jobmanager import jobmanager_pb2 as pb
from caseframe.jobmanager import protocol
from caseframe.jobmanager.client import channel_options
from caseframe.pipeline.progress import Progress, Sample
from caseframe.tls import TlsFiles, open_channel

_log = structlog.get_logger(__name__)
_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_FRESH = 0.5
_AWAY = 2.0
"""For so long nobody asks again after there was no answer, as that may take its time."""
_TOKEN_LIFE = timedelta(minutes=5)
_SAMPLES = 15


class RemoteJobs:
    """`Jobs` of the job manager at `address` (host:port). Safe to use from many threads.

    `mint` signs the tokens by which it knows us. Raises UsageError for certificates that cannot be
    used.
    """

    def __init__(
        self, address: str, mint: TokenMint, *, tls: TlsFiles | None = None, name: str = "gateway"
    ) -> None:
        self._address = address
        self._mint = mint
        self._name = name
        self._channel = open_channel(address, tls, channel_options())
        self._lock = threading.Lock()
        self._seen: pb.ProgressResponse | None = None
        self._seen_at = 0.0
        self._good_until = float("-inf")

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def check(self) -> None:
        """Raise JobsAway when the job manager does not answer now."""
        self._ask("progress", pb.ProgressRequest(), pb.ProgressResponse, _LOOK_SECONDS)

    def submit(self, job_id: str, *, walk: bool = True, rehash: bool = False) -> None:
        """See `Jobs.submit`."""
        request = pb.SubmitRequest(id=job_id, walk=walk, rehash=rehash)
        self._order("submit", request, pb.SubmitResponse, _SECONDS)

    def stop(self, job_id: str) -> bool:
        """See `Jobs.stop`."""
        answer = self._order("stop", pb.StopRequest(id=job_id), pb.StopResponse, _SECONDS)
        return bool(answer.stopped)

    def stop_and_wait(self, job_id: str, seconds: float = 30.0) -> None:
        """See `Jobs.stop_and_wait`."""
        request = pb.StopRequest(id=job_id, seconds=seconds)
        self._order("stop", request, pb.StopResponse, seconds + _SECONDS)

    def progress(self, job_id: str) -> Progress | None:
        """See `Jobs.progress`; None also while the job manager is away."""
        seen = self._look()
        if seen is None or seen.running != job_id:
            return None
        return progress_of(seen.progress, self._seen_at)

    def position(self, job_id: str) -> int | None:
        """See `Jobs.position`; None also while the job manager is away."""
        seen = self._look()
        waiting = [] if seen is None else list(seen.queue)
        return waiting.index(job_id) + 1 if job_id in waiting else None

    def _order(self, method: str, request: Any, answer: Any, seconds: float) -> Any:
        try:
            return self._ask(method, request, answer, seconds)
        finally:
            self._good_until = float("-inf")  # what was seen before is old now

    def _look(self) -> pb.ProgressResponse | None:
        with self._lock:  # those who come meanwhile get the same answer
            if time.monotonic() > self._good_until:
                try:
                    self._seen = self._ask(
                        "progress", pb.ProgressRequest(), pb.ProgressResponse, _LOOK_SECONDS
                    )
                except JobsAway as error:
                    _log.warning("jobs.away", reason=str(error))
                    self._seen = None
                self._seen_at = time.monotonic()
                self._good_until = self._seen_at + (_AWAY if self._seen is None else _FRESH)
            return self._seen

    def _ask(self, method: str, request: Any, answer: Any, seconds: float) -> Any:
        call: Callable[..., Any] = self._channel.unary_unary(
            f"/{protocol.CONTROL}/{method}", type(request).SerializeToString, answer.FromString
        )
        token = make_service_token(self._mint, self._name, _TOKEN_LIFE)
        correlation_id = str(get_contextvars().get(LOGGED) or new_id())
        try:
            return call(request, timeout=seconds, metadata=protocol.metadata(token, correlation_id))
        except grpc.RpcError as error:
            raise protocol.raised(error, self._address, NotFound) from error
        except ValueError as error:  # what gRPC says of a channel that was closed
            raise JobsAway("the connection to the job manager was closed") from error


def progress_of(message: pb.JobProgress, at: float) -> Progress:
    """The progress that a message tells, which came at `at` by our monotonic clock."""
    return Progress(
        phase=message.phase,
        total=message.total if message.HasField("total") else None,
        seen=message.seen,
        unchanged=message.unchanged,
        examined=message.examined,
        bytes_read=message.bytes_read,
        states=Counter({FileState(name): count for name, count in message.states.items()}),
        stages={
            stage: Counter({TaskState(name): count for name, count in counts.states.items()})
            for stage, counts in message.stages.items()
        },
        stage_total=message.stage_total if message.HasField("stage_total") else None,
        stage_done=message.stage_done,
        current=message.current,
        waiting=message.waiting,
        started=at - message.seconds,
        samples=deque(
            (Sample(at - one.age, one.files, dict(one.stages)) for one in message.samples),
            maxlen=_SAMPLES,
        ),
    )
