"""The vision service on the wire: `computer_vision.ComputerVision` by gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from caseframe.domain.errors import CaseframeError, ModelUnavailable, VisionAway
from caseframe.domain.text import one_line
from caseframe.tls import TlsFiles, listen
from caseframe.vision import computer_vision_pb2 as pb
from caseframe.vision import protocol
from caseframe.vision.batch import Batch
from caseframe.vision.service import Models, ModelState, ServiceOptions, VisionService

_log = structlog.get_logger(__name__)
_CALLS = 4096  # at once, the waiting ones included; gRPC refuses more with RESOURCE_EXHAUSTED
_FLUSH_SECONDS = 0.5
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UnaryContext = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class Serving:
    """A service that listens."""

    address: str
    """Where, with the port that was taken where 0 was asked for."""
    service: VisionService
    ready: asyncio.Task[None]
    """Ends when decoders and the preferred model are ready; with ModelUnavailable if never."""


class Handlers:
    """One method for each of the service's, over a VisionService."""

    def __init__(self, service: VisionService) -> None:
        self._service = service
        self._batches: set[Batch] = set()
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def generic(self) -> grpc.GenericRpcHandler:
        """The handlers as gRPC takes them."""
        unary = grpc.unary_unary_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            protocol.SERVICE,
            {
                protocol.PROCESS_IMAGE: unary(
                    self.process_image,
                    pb.ImgProcRequest.FromString,
                    pb.ImgProcResponse.SerializeToString,
                ),
                protocol.PROCESS_BATCH: grpc.stream_stream_rpc_method_handler(
                    self.process_image_batch,
                    pb.ImgProcRequest.FromString,
                    pb.ImgProcResponse.SerializeToString,
                ),
                protocol.GET_MODELS: unary(
                    self.get_models,
                    pb.ModelsRequest.FromString,
                    pb.ModelsResponse.SerializeToString,
                ),
            },
        )

    async def process_image(
        self, request: pb.ImgProcRequest, context: _UnaryContext
    ) -> pb.ImgProcResponse:
        """One picture; see WIRE of the docs for the statuses."""
        seconds = min(_left(context) or self._service.options.seconds, _LONGEST)
        # A refusal must reach the caller before his own clock calls the whole thing late.
        wait = seconds - min(0.5, seconds / 10)
        try:
            with self._counted():
                name = protocol.model_name(request.model)
                said = await self._service.describe(request.image, name, wait=wait, seconds=seconds)
        except Exception as error:  # noqa: BLE001 - the boundary of one call: it ends with a status
            await context.abort(protocol.status_of(error), reason(error))
        return pb.ImgProcResponse(description=said)

    async def process_image_batch(self, _requests: object, context: _UnaryContext) -> None:
        """A stream of pictures; answers in their order, errors in their places."""
        batch = Batch(self._answer, self._service.options.image_bytes)
        self._batches.add(batch)
        try:
            with self._counted():
                await batch.run(context)
        except VisionAway as error:
            await context.abort(protocol.status_of(error), reason(error))
        finally:
            self._batches.discard(batch)

    async def _answer(self, index: int, request: pb.ImgProcRequest) -> pb.ImgProcResponse:
        """The answer to one picture of a batch. Raises VisionAway only."""
        try:
            said = await self._service.describe(
                request.image,
                protocol.model_name(request.model),
                wait=None,
                seconds=self._service.options.seconds,
            )
        except VisionAway:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of one picture: its own error
            code = protocol.number_of(protocol.status_of(error))
            return pb.ImgProcResponse(index=index, error=reason(error), code=code)
        return pb.ImgProcResponse(index=index, description=said)

    async def get_models(self, request: pb.ModelsRequest, _: _UnaryContext) -> pb.ModelsResponse:
        """All models; those that are wanted are loaded first, and a failure stands in `reason`."""
        known = {state.name for state in self._service.models()}
        for number in request.wanted:
            if number in pb.ModelType.values() and pb.ModelType.Name(number) in known:
                try:
                    await self._service.load(pb.ModelType.Name(number))
                except ModelUnavailable as error:
                    _log.info("model unavailable", reason=str(error))
        preferred = self._service.options.preferred
        states = self._service.models()
        return pb.ModelsResponse(
            models=[_model(state, preferred) for state in states],
            image_bytes=self._service.options.image_bytes,
        )

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._calls += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def drain(self, grace: float) -> None:
        """Send those away that wait, and wait for those at work, at most `grace` seconds."""
        self._service.stop_taking()
        for batch in self._batches:
            batch.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()


_LONGEST = 86_400.0  # gRPC clients without a deadline may send one of centuries


def _left(context: _UnaryContext) -> float | None:
    left: float | None = context.time_remaining()
    return left


def reason(error: Exception) -> str:
    """What the caller is told: our own words, or the kind of a mistake of ours."""
    if isinstance(error, CaseframeError):
        return one_line(str(error))
    _log.error("mistake in the service", exc_info=error)
    return one_line(f"mistake in the service: {type(error).__name__}: {error}")


def _model(state: ModelState, preferred: str) -> pb.Model:
    identity = state.identity
    return pb.Model(
        name=state.name,
        model=identity.model if identity else "",
        revision=identity.revision if identity else "",
        digest=identity.digest if identity else "",
        batch=state.batch,
        available=state.reason is None,
        reason=state.reason or "",
        preferred=state.name == preferred,
        loaded=state.loaded,
    )


def _options(options: ServiceOptions) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", options.image_bytes + protocol.FRAMING),
        ("grpc.so_reuseport", 0),  # two services at one port would share it in silence
        ("grpc.keepalive_time_ms", 60_000),  # finds clients that vanished without a word
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


@asynccontextmanager
async def serving(
    models: Models,
    options: ServiceOptions,
    address: str,
    *,
    tls: TlsFiles | None = None,
    grace: float = 20.0,
) -> AsyncIterator[Serving]:
    """Serve at `address` (host:port, or unix:path) until the block ends.

    Then take no more, give those at work `grace` seconds, and stop. Raises CaseframeError when it
    cannot listen there, UsageError for TLS files that cannot be used.
    """
    server = grpc.aio.server(
        options=_options(options),
        maximum_concurrent_rpcs=_CALLS,
        compression=grpc.Compression.Gzip,  # only towards those who say that they take it
    )
    bound = listen(server, address, tls)
    service = VisionService(models, options)
    handlers = Handlers(service)
    server.add_generic_rpc_handlers((handlers.generic(),))
    names = (protocol.SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    healthy = health.aio.HealthServicer()
    await _tell(healthy, _NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    await server.start()
    ready = asyncio.create_task(_get_ready(service, healthy))
    try:
        yield Serving(bound, service, ready)
    finally:
        ready.cancel()
        await healthy.enter_graceful_shutdown()
        await handlers.drain(grace)
        # The last answers are on their way; those who only watch our health would never leave.
        await server.stop(_FLUSH_SECONDS)
        await asyncio.gather(ready, return_exceptions=True)
        await service.close()


async def _get_ready(service: VisionService, healthy: health.aio.HealthServicer) -> None:
    await service.start()
    await _tell(healthy, _SERVING)


async def _tell(healthy: health.aio.HealthServicer, status: Any) -> None:
    for name in ("", protocol.SERVICE):
        await healthy.set(name, status)
