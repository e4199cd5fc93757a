"""Putting the vision room together: which models there are, and where descriptions come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from caseframe.domain.errors import CaseframeError, ModelUnavailable
from caseframe.pipeline.describe import FactsDescriber
from caseframe.scanner.limits import Limits
from caseframe.settings import Settings
from caseframe.tls import TlsFiles
from caseframe.vision.client import VisionClient
from caseframe.vision.decoding import DecoderOptions
from caseframe.vision.describer import Describer
from caseframe.vision.download import DownloadOptions
from caseframe.vision.embedded import EmbeddedVision
from caseframe.vision.manifest import BLIP_BASE
from caseframe.vision.missing import missing, missing_extra
from caseframe.vision.service import ServiceOptions
from caseframe.vision.store import BLIP, ModelStore

FACTS = "FACTS"
AUTO = "auto"
_MEGA = 1_000_000
# What every decoder process needs: loaded once, in the process from which they are forked.
_PRELOAD = ("caseframe.pipeline.preload",)


def describers(settings: Settings) -> dict[str, Describer | ModelUnavailable]:
    """Every way of describing pictures by its name, or the reason why it does not work here."""
    return {
        **{name: _blip(settings, name) for name in BLIP},
        FACTS: FactsDescriber(settings.cache_dir, limits(settings)),
    }


def preferred(settings: Settings, models: dict[str, Describer | ModelUnavailable]) -> str:
    """The model for those who name none."""
    if settings.describe_with != AUTO:
        return settings.describe_with
    return FACTS if isinstance(models["BLIP"], ModelUnavailable) else "BLIP"


def _blip(settings: Settings, name: str) -> Describer | ModelUnavailable:
    if (reason := missing_extra()) is not None:
        return ModelUnavailable(reason)
    from caseframe.vision.blip import BlipDescriber, BlipOptions  # noqa: PLC0415 - only where used

    try:
        installed = ModelStore(settings.models_dir).installed_for(name, settings.blip_model)
        model = BlipDescriber(
            BlipOptions(
                folder=installed.folder,
                name=name,
                device=settings.vision_device,
                precision=settings.vision_precision,
                threads=settings.vision_threads,
                max_tokens=settings.caption_tokens,
                beams=settings.caption_beams,
                batch=settings.caption_batch,
                limits=limits(settings),
            )
        )
        _ = model.identity  # says whether the device that was asked for is there
    except CaseframeError as error:
        return ModelUnavailable(str(error))
    return model


def fetch_missing(settings: Settings) -> None:
    """Download the model that is wanted and missing, where the settings allow it.

    When that fails there is a warning, as FACTS needs no model. Raises CaseframeError where one was
    asked for by name.
    """
    wanted = settings.describe_with in {AUTO, *BLIP} and settings.models_download
    if not wanted or missing(settings.models_dir, settings.blip_model) is None:
        return
    try:
        _fetch(settings)
    except CaseframeError as error:
        if settings.describe_with != AUTO:
            raise
        typer.echo(f"caseframe: {error}; going on without it, with FACTS", err=True)


def _fetch(settings: Settings) -> None:
    name = settings.blip_model or BLIP_BASE.name
    typer.echo(f"caseframe: downloading {name} from {settings.models_url}", err=True)
    ModelStore(settings.models_dir).pull(name, DownloadOptions(url=settings.models_url))


def limits(settings: Settings) -> Limits:
    """What one picture that comes over the wire may cost."""
    return Limits(max_file_bytes=settings.vision_image_bytes, max_pixels=settings.max_pixels)


def service_options(settings: Settings, preferred_model: str) -> ServiceOptions:
    """How the vision service works, by the settings."""
    return ServiceOptions(
        preferred=preferred_model,
        at_work=settings.vision_at_work,
        seconds=settings.vision_seconds,
        image_bytes=settings.vision_image_bytes,
        waiting_bytes=8 * settings.vision_image_bytes,
        decoders=DecoderOptions(
            processes=settings.workers,
            seconds=settings.picture_seconds,
            memory=settings.worker_memory_mb * _MEGA,
            preload=_PRELOAD,
        ),
    )


def tls_files(settings: Settings) -> TlsFiles | None:
    """The certificates that the settings name, or None where they name none: then no TLS."""
    files = TlsFiles(settings.vision_tls_ca, settings.vision_tls_cert, settings.vision_tls_key)
    return files.wanted


@contextmanager
def vision_client(settings: Settings) -> Iterator[VisionClient]:
    """A client of the service that the settings name, or of one that lives as long as the block."""
    seconds = settings.vision_seconds
    if settings.vision_address is not None:
        tls = tls_files(settings)
        with VisionClient(settings.vision_address, tls=tls, seconds=seconds) as client:
            yield client
        return
    fetch_missing(settings)
    with EmbeddedVision(settings.environment()) as embedded:
        embedded.start()
        with VisionClient(embedded.address, seconds=seconds) as client:
            yield client
