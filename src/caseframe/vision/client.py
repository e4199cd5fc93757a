"""The client of the vision service, for the command line, stage workers and web threads.

It is synchronous and may be used by several threads at once. A process that forks must make its
client after the fork.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import grpc

from caseframe.domain.errors import (
    ModelUnavailable,
    UsageError,
    VisionAway,
    VisionBusy,
    VisionLate,
)
from caseframe.tls import TlsFiles, open_channel
from caseframe.vision import computer_vision_pb2 as pb
from caseframe.vision import protocol
from caseframe.vision.describer import Identity
from caseframe.vision.sending import Conversation, Open

__all__ = ["Answer", "ModelInfo", "TlsFiles", "VisionClient"]

_T = TypeVar("_T")
_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # evidence goes where it was told to and nowhere else
    ("grpc.lb_policy_name", "round_robin"),  # over all addresses that a host name has
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # in truth: how long one attempt may take
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 20_000),  # finds a service that vanished without a word
    ("grpc.keepalive_timeout_ms", 20_000),
]
_PAUSE = 0.1
_TRANSIENT = (VisionAway, VisionBusy, VisionLate)


@dataclass(frozen=True)
class Answer:
    """What became of one picture of a batch: `description` or `error`, never both."""

    index: int
    """Its place in the batch, from 0."""
    description: str | None
    error: str | None
    transient: bool = False
    """The picture is not to blame; it may be tried again."""


@dataclass(frozen=True)
class ModelInfo:
    """What a service says of one of its models; `reason` is set where it cannot be used."""

    identity: Identity
    batch: int
    preferred: bool
    reason: str | None


class _Service:
    """One service at one address."""

    def __init__(self, address: str, tls: TlsFiles | None) -> None:
        self.address = address
        self.channel = open_channel(address, tls, _OPTIONS)
        path = f"/{protocol.SERVICE}/"
        self.describe = self.channel.unary_unary(
            path + protocol.PROCESS_IMAGE,
            pb.ImgProcRequest.SerializeToString,
            pb.ImgProcResponse.FromString,
        )
        self.describe_many = self.channel.stream_stream(
            path + protocol.PROCESS_BATCH,
            pb.ImgProcRequest.SerializeToString,
            pb.ImgProcResponse.FromString,
        )
        self.get_models = self.channel.unary_unary(
            path + protocol.GET_MODELS,
            pb.ModelsRequest.SerializeToString,
            pb.ModelsResponse.FromString,
        )


class VisionClient:
    """Describes pictures through the service at `address`.

    Several addresses, separated by commas, share the work by turns; one that does not answer is
    passed over. `seconds` is the time for one description; `patience` how long a service may be
    away (not started yet, or just restarted) before that is an error, 10 seconds unless given;
    behind a socket of this machine, where a process of ours may be starting, 60.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: TlsFiles | None = None,
        seconds: float = 60.0,
        patience: float | None = None,
    ) -> None:
        addresses = [part.strip() for part in address.split(",") if part.strip()]
        if not addresses:
            raise UsageError("the address of the vision service is empty; give host:port")
        self._services = [_Service(one, tls) for one in addresses]
        self._turn = itertools.count()
        self._seconds = seconds
        ours = all(one.startswith("unix:") for one in addresses)
        self._patience = patience if patience is not None else 60.0 if ours else 10.0
        self._address = ", ".join(addresses)
        self._image_bytes: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; calls under way end with VisionAway."""
        for service in self._services:
            service.channel.close()

    def describe(self, data: bytes, model: str, *, seconds: float | None = None) -> str:
        """The description of one picture.

        Raises PictureRefused, ModelUnavailable, VisionBusy, VisionLate, VisionFailed, VisionAway,
        and UsageError for a model that no service knows.
        """
        request = pb.ImgProcRequest(image=data, model=protocol.model_number(model))
        limit = self._seconds if seconds is None else seconds
        response = self._call(lambda service: service.describe(request, timeout=limit))
        return response.description

    def describe_many(self, images: Iterable[bytes], model: str) -> Generator[Answer, None, None]:
        """An answer for each picture, in order; `images` is read as the service keeps pace.

        At most WINDOW pictures are held here. When a service goes away, another one (or the same,
        restarted) gets those that were not answered. Raises VisionAway when none comes back,
        ModelUnavailable where the model cannot be used.
        """
        number = protocol.model_number(model)
        most = self.most_bytes()
        conversation = Conversation(self._connect, self._patience)
        try:
            for index, response in enumerate(conversation.run(_requests(images, number, most))):
                yield _answer(index, response)
        finally:
            conversation.close()

    def most_bytes(self) -> int:
        """Bytes of the largest picture that the service takes. Raises VisionAway."""
        if self._image_bytes is None:
            self._image_bytes = self._models(pb.ModelsRequest()).image_bytes
        return self._image_bytes

    def _connect(self) -> tuple[str, Open]:
        service = self._next_service()
        return service.address, service.describe_many

    def identity(self, model: str) -> Identity:
        """Which model writes the descriptions under that name, once it is loaded there.

        Raises ModelUnavailable with the reason, UsageError for an unknown name, VisionAway.
        """
        wanted = pb.ModelsRequest(wanted=[protocol.model_number(model)])
        found = {info.identity.name: info for info in self._infos(wanted)}
        info = found.get(model)
        if info is None:
            raise ModelUnavailable(f"the vision service at {self._address} has no {model}")
        if info.reason is not None:
            raise ModelUnavailable(info.reason)
        return info.identity

    def models(self) -> list[ModelInfo]:
        """All models of the service, those included that it cannot use. Raises VisionAway."""
        return self._infos(pb.ModelsRequest())

    def _infos(self, request: pb.ModelsRequest) -> list[ModelInfo]:
        return [
            ModelInfo(
                Identity(m.name, m.model, m.revision, m.digest),
                m.batch,
                m.preferred,
                None if m.available else m.reason or "the service gives no reason",
            )
            for m in self._models(request).models
        ]

    def _models(self, request: pb.ModelsRequest) -> pb.ModelsResponse:
        return self._call(lambda service: service.get_models(request, timeout=self._seconds))

    def _next_service(self) -> _Service:
        return self._services[next(self._turn) % len(self._services)]

    def _call(self, ask: Callable[[_Service], _T]) -> _T:
        """Ask one service after the other until one is there, as long as patience lasts."""
        until: float | None = None  # patience begins with the first failure
        for tried in itertools.count(1):
            service = self._next_service()
            try:
                return ask(service)
            except grpc.RpcError as error:
                failure = protocol.raised(error, service.address)
                until = until or time.monotonic() + self._patience
                if not isinstance(failure, VisionAway) or time.monotonic() > until:
                    raise failure from error
            except ValueError as error:  # what gRPC says of a channel that was closed
                raise VisionAway("the connection to the vision service was closed") from error
            if tried % len(self._services) == 0:
                time.sleep(_PAUSE)
        raise AssertionError("the loop above never ends by itself")


def _requests(
    images: Iterable[bytes], number: pb.ModelType, most: int
) -> Iterator[pb.ImgProcRequest | pb.ImgProcResponse]:
    """What to send; or at once the answer, for a picture that would end the whole stream."""
    for image in images:
        if len(image) > most:
            said = f"{len(image)} bytes, over the limit of {most} (vision_image_bytes)"
            code = protocol.number_of(grpc.StatusCode.INVALID_ARGUMENT)
            yield pb.ImgProcResponse(error=said, code=code)
        else:
            yield pb.ImgProcRequest(image=image, model=number)


def _answer(index: int, response: pb.ImgProcResponse) -> Answer:
    if not response.error:
        return Answer(index, response.description, None)
    error = protocol.error_of(response.code, response.error)
    if isinstance(error, ModelUnavailable):
        raise error
    return Answer(index, None, str(error), transient=isinstance(error, _TRANSIENT))
