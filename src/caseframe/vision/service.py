"""The vision service without the wire: pictures in, descriptions out, whatever the bytes are.

The way of one request: wait for a turn → a process prepares the bytes → the model's thread
describes what is ready, several pictures at once. A request that is cancelled or expires leaves
each of these places at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from caseframe.domain.errors import (
    ModelUnavailable,
    PictureRefused,
    UsageError,
    VisionLate,
)
from caseframe.vision.batching import Batcher
from caseframe.vision.decoding import DecoderOptions, Decoders
from caseframe.vision.describer import Describer, Identity
from caseframe.vision.turns import Turns

Models = Mapping[str, Describer | ModelUnavailable]
"""Each model's name with the model, or with the reason why there is none."""


@dataclass(frozen=True)
class ServiceOptions:
    """How the service works. Times are seconds, sizes are bytes."""

    preferred: str = "FACTS"
    """The model for those who name none; health says SERVING once it is loaded."""
    at_work: int = 16
    seconds: float = 60.0
    """Time for a request that brings no deadline of its own, and for each picture of a batch."""
    image_bytes: int = 64_000_000
    waiting_bytes: int = 512_000_000
    """What all that wait for a turn may hold in memory together."""
    decoders: DecoderOptions = field(default_factory=DecoderOptions)


@dataclass(frozen=True)
class ModelState:
    """What is known of one model; `reason` is set where it cannot work, and says what to do."""

    name: str
    identity: Identity | None
    batch: int = 0
    loaded: bool = False
    reason: str | None = None


class VisionService:
    """Describes pictures with several models. For one event loop."""

    def __init__(self, models: Models, options: ServiceOptions) -> None:
        self.options = options
        self.turns = Turns(options.at_work, options.waiting_bytes)
        self._models = dict(models)
        there = {name: m for name, m in models.items() if not isinstance(m, ModelUnavailable)}
        prepares = {name: model.prepare for name, model in there.items()}
        self._decoders = Decoders(prepares, options.decoders)
        self._warm: asyncio.Future[None] | None = None
        self._batchers = {name: Batcher(model) for name, model in there.items()}

    async def start(self) -> None:
        """Get the decoders and the preferred model ready. Raises ModelUnavailable."""
        self._warm = asyncio.ensure_future(self._decoders.warm())
        try:
            await self.load(self.options.preferred)
        finally:
            await asyncio.shield(self._warm)

    async def load(self, name: str) -> None:
        """Bring a model into memory. Raises ModelUnavailable, UsageError for an unknown name."""
        await asyncio.wrap_future(self._batcher(name).load())

    def _batcher(self, name: str) -> Batcher:
        found = self._models.get(name)
        if found is None:
            raise UsageError(f"the model {name} is not among those of this service")
        if isinstance(found, ModelUnavailable):
            raise ModelUnavailable(str(found))  # a raised error keeps its frames: make a new one
        return self._batchers[name]

    def models(self) -> list[ModelState]:
        """What is known of every model now."""
        return [self._state(name) for name in self._models]

    def _state(self, name: str) -> ModelState:
        found = self._models[name]
        if isinstance(found, ModelUnavailable):
            return ModelState(name, None, reason=str(found))
        batcher = self._batchers[name]
        return ModelState(name, found.identity, found.batch, batcher.loaded, batcher.reason)

    async def describe(self, data: bytes, model: str, *, wait: float | None, seconds: float) -> str:
        """The description of one picture.

        It waits at most `wait` seconds for its turn (None: as long as it takes), and is at work
        for `seconds` at most. Raises UsageError and ModelUnavailable for the model, PictureError
        for the bytes, VisionBusy, VisionLate, VisionFailed and VisionAway as they say.
        """
        batcher = self._batcher(model)
        self._check(data)
        began = monotonic()
        async with self.turns.take(len(data), wait):
            left = seconds if wait is None else max(seconds - (monotonic() - began), 0.001)
            try:
                async with asyncio.timeout(left):
                    return await self._work(batcher, data, model)
            except TimeoutError as error:
                raise VisionLate(f"it was not described within {seconds:g} s") from error

    def _check(self, data: bytes) -> None:
        if not data:
            raise PictureRefused("the picture is empty: 0 bytes")
        most = self.options.image_bytes
        if len(data) > most:
            raise PictureRefused(
                f"{len(data)} bytes, over the limit of {most} (vision_image_bytes)"
            )

    async def _work(self, batcher: Batcher, data: bytes, model: str) -> str:
        batcher.coming += 1
        try:
            prepared = await self._decoders.prepare(model, data)
        finally:
            batcher.coming -= 1
        return await asyncio.wrap_future(batcher.submit(prepared))

    def stop_taking(self) -> None:
        """Send away those that wait; those at work go on."""
        self.turns.close()

    async def close(self) -> bool:
        """End decoders and models; False when a model is still at work and had to be left."""
        if self._warm is not None:  # those that are starting must not be ended half way
            await asyncio.gather(self._warm, return_exceptions=True)
        return await asyncio.to_thread(self._end)

    def _end(self) -> bool:
        self._decoders.close()
        ended = [batcher.close() for batcher in self._batchers.values()]
        return all(ended)
