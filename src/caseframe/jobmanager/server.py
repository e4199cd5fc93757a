"""The job manager on the wire: two services of one gRPC server.

Calls are answered by threads. Streams of files have threads of their own: however many workers
fetch pictures, orders and questions get their turn.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from weakref import finalize

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from caseframe.domain.access import Principal
from caseframe.domain.errors import ReadError
from caseframe.domain.text import one_line
from caseframe.jobmanager import jobmanager_pb2 as pb
from caseframe.jobmanager import protocol
from caseframe.jobmanager.answering import call, unary
from caseframe.jobmanager.callers import Asked, Doorkeeper
from caseframe.jobmanager.control import Control
from caseframe.jobmanager.controller import Controller, JobServices
from caseframe.jobmanager.data import OpenFile, asked_path, open_file
from caseframe.tls import TlsFiles, listen

__all__ = ["JobServices", "serving"]

_log = structlog.get_logger(__name__)
_CALLS = 4096  # at once, the waiting ones included; gRPC refuses more with RESOURCE_EXHAUSTED
_THREADS = 16
_STREAMS = 32
_FLUSH_SECONDS = 0.5
_OPTIONS = [
    ("grpc.so_reuseport", 0),  # two services at one port would share it in silence
    ("grpc.keepalive_time_ms", 60_000),  # finds clients that vanished without a word
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
]
_Handler = Any  # RpcMethodHandler: generic in the stubs only
_Context = grpc.ServicerContext


@contextmanager
def serving(
    services: JobServices, address: str, *, tls: TlsFiles | None = None, grace: float = 20.0
) -> Iterator[str]:
    """Serve at `address` (host:port, or unix:path) until the block ends; yields where.

    Then take no more, give calls at work `grace` seconds, and stop. Raises CaseframeError when it
    cannot listen there, UsageError for TLS files that cannot be used. The manager is the caller's:
    started before, closed after.
    """
    server = grpc.server(
        ThreadPoolExecutor(_THREADS, "jobs-call"), options=_OPTIONS, maximum_concurrent_rpcs=_CALLS
    )
    with ThreadPoolExecutor(_STREAMS, "jobs-data") as streams:
        bound = listen(server, address, tls)
        counted = _Counted()
        methods = _Methods(services, streams, counted)
        server.add_generic_rpc_handlers((methods.controller(), methods.control()))
        names = (
            protocol.CONTROLLER, protocol.CONTROL, health.SERVICE_NAME, reflection.SERVICE_NAME,
        )  # fmt: skip
        reflection.enable_server_reflection(names, server)
        healthy = _health(server)
        server.start()
        try:
            yield bound
        finally:
            healthy.enter_graceful_shutdown()
            server.stop(grace)
            counted.wait(grace)
            # The last answers are on their way; who only watches our health would never leave.
            server.stop(_FLUSH_SECONDS).wait()


def _health(server: grpc.Server) -> health.HealthServicer:
    healthy = health.HealthServicer(
        experimental_non_blocking=True,  # those who watch take no thread from those who work
        experimental_thread_pool=ThreadPoolExecutor(1, "jobs-health"),
    )
    for name in ("", protocol.CONTROLLER, protocol.CONTROL):
        healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    return healthy


class _Counted:
    """How many calls are at work."""

    def __init__(self) -> None:
        self._calls = 0
        self._changed = threading.Condition()

    def begin(self, context: _Context) -> None:
        with self._changed:
            self._calls += 1
        if not context.add_callback(self._end):  # it has ended already
            self._end()

    def _end(self) -> None:
        with self._changed:
            self._calls -= 1
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._calls, seconds)


class _Methods:
    """The methods of both services as gRPC takes them."""

    def __init__(
        self, services: JobServices, streams: ThreadPoolExecutor, counted: _Counted
    ) -> None:
        self._root = os.fsencode(services.sources.absolute())
        self._door = Doorkeeper(services.catalog, services.accounts, services.mint, self._root)
        self._services = services
        self._streams = streams
        self._counted = counted

    def controller(self) -> grpc.GenericRpcHandler:
        """JobManagerController: for people, and getData for workers too."""
        made = Controller(self._services, self._door, self._root)
        handlers = {
            "getAllJobs": self._for_people(made.get_all_jobs, pb.GetJobsRequest),
            "getAllJobsInProgress": self._for_people(made.get_jobs_in_progress, pb.GetJobsRequest),
            "createNewJob": self._for_people(made.create_new_job, pb.CreateNewJobReqest),
            "deleteJobAndAllData": self._for_people(made.delete_job, pb.DeleteJobRequest),
            "getAvailableSources": self._for_people(
                made.get_sources, pb.GetAvailableSourcesRequest
            ),
            "startScanningJob": self._for_people(made.start_scanning, pb.StartScanningJobRequest),
            "getImages": self._for_people(made.get_images, pb.GetImagesRequest),
            protocol.GET_DATA: self._for_data(),
        }
        return grpc.method_handlers_generic_handler(protocol.CONTROLLER, handlers)

    def control(self) -> grpc.GenericRpcHandler:
        """JobControl: for services of ours only."""
        made = Control(self._services.manager)
        handlers = {
            "submit": self._for_services(made.submit, pb.SubmitRequest),
            "stop": self._for_services(made.stop, pb.StopRequest),
            "progress": self._for_services(made.progress, pb.ProgressRequest),
        }
        return grpc.method_handlers_generic_handler(protocol.CONTROL, handlers)

    def _for_people(self, work: Callable[[Principal, Any], Any], request: Any) -> _Handler:
        def as_person(asks: Asked, message: Any) -> Any:
            return work(self._door.person(asks), message)

        refused = _ANSWERS[request]
        return self._unary(unary(work.__name__, as_person, refused), request)

    def _for_services(self, work: Callable[[Any], Any], request: Any) -> _Handler:
        def as_service(asks: Asked, message: Any) -> Any:
            self._door.service(asks)
            return work(message)

        return self._unary(unary(work.__name__, as_service), request)

    def _unary(self, answer: Callable[[Any, _Context], Any], request: Any) -> _Handler:
        def counted(message: Any, context: _Context) -> Any:
            self._counted.begin(context)
            return answer(message, context)

        return grpc.unary_unary_rpc_method_handler(
            counted, request.FromString, _ANSWERS[request].SerializeToString
        )

    def _for_data(self) -> _Handler:
        def get_data(request: pb.GetDataRequest, context: _Context) -> Iterator[bytes]:
            self._counted.begin(context)
            with call(protocol.GET_DATA, context) as asks:
                path = asked_path(request.filepath, request.path)
                self._door.check_read(asks, path)
                opened = open_file(self._root, path)
                messages = _messages(opened, context)
                # Also when nobody takes any. Not when the call ends: that is another thread's news,
                # and a number that is closed while it is read from may be another file's by then.
                finalize(messages, opened.close)
                try:
                    context.send_initial_metadata(((protocol.SIZE, str(opened.size)),))
                except grpc.RpcError:  # who asked has left; gRPC keeps the error, and it our frame
                    opened.close()
                    raise
            return messages

        get_data.experimental_thread_pool = self._streams  # type: ignore[attr-defined]
        return grpc.unary_stream_rpc_method_handler(
            get_data, pb.GetDataRequest.FromString, _as_it_is
        )


_ANSWERS: dict[Any, Any] = {
    pb.GetJobsRequest: pb.GetJobsResponse,
    pb.CreateNewJobReqest: pb.CreateNewJobResponse,
    pb.DeleteJobRequest: pb.DeleteJobResponse,
    pb.GetAvailableSourcesRequest: pb.GetAvailableSourcesResponse,
    pb.StartScanningJobRequest: pb.StartScanningJobResponse,
    pb.GetImagesRequest: pb.GetImagesResponse,
    pb.SubmitRequest: pb.SubmitResponse,
    pb.StopRequest: pb.StopResponse,
    pb.ProgressRequest: pb.ProgressResponse,
}


def _messages(opened: OpenFile, context: _Context) -> Iterator[bytes]:
    """The file's messages; a file that cannot be read to its end ends the call with an error."""
    try:
        yield from opened.messages()
    except ReadError as error:
        _log.warning("jobs.data_ended", reason=str(error))
        context.abort(grpc.StatusCode.ABORTED, one_line(str(error)))
    finally:
        opened.close()


def _as_it_is(message: bytes) -> bytes:
    return message
