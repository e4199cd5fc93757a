"""Where captions come from: a vision service that was named, or a process of our own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from caseframe import logs
from caseframe.cli.assemble import local_runner
from caseframe.domain.errors import UsageError
from caseframe.domain.work import Order, Outcome
from caseframe.pipeline.runner import Runner
from caseframe.settings import Settings
from caseframe.stages.registry import Available, Registry, load_registry, with_external
from caseframe.stages.stage import BatchStage, StageContext, VisionAccess
from caseframe.vision.missing import missing

if TYPE_CHECKING:
    from caseframe.vision.embedded import EmbeddedVision

CAPTION = "caption"
UNWANTED = "no captions are wanted (describe_with is FACTS)"


def captions_wanted(settings: Settings) -> bool:
    """Whether a model is to write captions at all, wherever it is."""
    return settings.describe_with != "FACTS"


def vision_access(settings: Settings) -> VisionAccess:
    """Where the captioning model is; for one of our own the address comes when it is started."""
    model = "BLIP" if settings.describe_with == "auto" else settings.describe_with
    access = VisionAccess(settings.vision_address or "", model, settings.vision_seconds)
    if not captions_wanted(settings):
        return replace(access, missing=UNWANTED)
    if settings.vision_address is None:
        return replace(access, missing=missing(settings.models_dir, settings.blip_model))
    return replace(
        access,
        ca=settings.vision_tls_ca,
        cert=settings.vision_tls_cert,
        key=settings.vision_tls_key,
    )


def stage_context(settings: Settings) -> StageContext:
    """What stages may use, by the settings."""
    return StageContext(settings.cache_dir, vision_access(settings))


def registry_for(settings: Settings, *, announce: bool = True) -> Registry:
    """All stages, and which of them work by these settings.

    Those that cannot be loaded are logged unless `announce` is false.
    """
    registry = load_registry(stage_context(settings))
    for broken in registry.unloadable if announce else ():
        logs.warn(
            __name__, "stage.unloadable",
            stage=broken.name, source=broken.source, reason=broken.reason,
        )  # fmt: skip
    found = with_external(registry, settings.external_stages)
    if settings.external_stages:
        _check_fields(found)
    return found


def _check_fields(registry: Registry) -> None:
    """Raise UsageError where another maker's words go by a name that means something else."""
    from caseframe.catalog.search.values import FILTERS  # noqa: PLC0415 - rarely needed
    from caseframe.stages.external import QueuedStage  # noqa: PLC0415

    for stage in (available.stage for available in registry.stages):
        if isinstance(stage, QueuedStage) and (taken := stage.fields & FILTERS.keys()):
            raise UsageError(
                f"setting external_stages: {stage.name} marks words with "
                f"{', '.join(sorted(taken))}, which a search compares by value; name another field"
            )


@contextmanager
def stage_runner(
    settings: Settings,
    chosen: Sequence[Available],
    stop: Callable[[], bool],
    *,
    at_once: bool = False,
) -> Iterator[Runner]:
    """The process pool for the chosen stages, and a captioning process if they need one.

    Workers start with the first order, or `at_once`, beside whatever comes before it.
    """
    context = stage_context(settings)
    with ExitStack() as stack:
        vision = None
        if settings.vision_address is None and _captions_among(chosen):
            from caseframe.vision.embedded import (  # noqa: PLC0415 - slow to load, rarely needed
                EmbeddedVision,
            )

            vision = stack.enter_context(EmbeddedVision(settings.environment()))
            context = replace(context, vision=replace(context.vision, address=vision.address))
        runner = local_runner(settings, context, stop, _together(settings, chosen))
        stack.callback(runner.close)
        if at_once:
            runner.start_soon()
        yield CaptioningRunner(runner, vision) if vision else runner


def _captions_among(chosen: Sequence[Available]) -> bool:
    return any(a.stage.name == CAPTION and a.reason is None for a in chosen)


def _together(settings: Settings, chosen: Sequence[Available]) -> int:
    """How many pictures a worker should get at once for the chosen stages."""
    batched = any(isinstance(a.stage, BatchStage) and a.reason is None for a in chosen)
    return settings.caption_batch if batched else 1


class CaptioningRunner:
    """A `Runner` that starts the captioning process when the first picture needs it.

    Loading a model takes seconds and a gigabyte: a scan that finds nothing new does without.
    """

    def __init__(self, runner: Runner, vision: EmbeddedVision) -> None:
        self._runner = runner
        self._vision = vision

    def run(self, orders: Iterable[Order | None]) -> Generator[Outcome, None, None]:
        """See `Runner.run`."""
        yield from self._runner.run(self._watched(orders))

    def _watched(self, orders: Iterable[Order | None]) -> Iterator[Order | None]:
        for order in orders:
            if order is not None and CAPTION in order.stages:
                self._vision.start()
            yield order

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """See `Runner.settled`."""
        self._runner.settled(outcomes)

    def close(self) -> None:
        """See `Runner.close`."""
        self._runner.close()
