"""Putting the web server together, embedded: everything in this process and its children."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from caseframe.accounts.sharing import Sharing
from caseframe.cli.accounts import local_accounts
from caseframe.cli.accounts import providers as sign_in_providers
from caseframe.cli.assemble import Case, scanner_limits
from caseframe.cli.captions import registry_for, stage_runner
from caseframe.cli.vision import fetch_missing, tls_files
from caseframe.domain.errors import UsageError
from caseframe.pipeline.manager import JobManager
from caseframe.pipeline.render import LocalRenderer, RenderOptions
from caseframe.settings import Settings
from caseframe.stages.registry import Available, Registry
from caseframe.vision.client import VisionClient
from caseframe.vision.embedded import EmbeddedVision
from caseframe.web.events import Broadcaster
from caseframe.web.jobs import progress_of
from caseframe.web.options import WebOptions
from caseframe.web.services import Services, StageInfo

_MEGA = 1_000_000


@contextmanager
def web_services(case: Case, sources: Path, public_url: str) -> Iterator[Services]:
    """All that the web needs, started; ended in the other order when the block ends."""
    settings = case.settings
    registry = registry_for(settings)
    with ExitStack() as stack:
        address = settings.vision_address or stack.enter_context(_own_vision(settings))
        client = VisionClient(address, tls=tls_files(settings), seconds=settings.vision_seconds)
        stack.callback(client.close)
        accounts = stack.enter_context(
            closing(local_accounts(case.catalog, case.folder, settings, public_url))
        )
        # Jobs share the vision process with visitors: one model in memory is enough.
        shared = settings.model_copy(update={"vision_address": address})
        manager = JobManager(case.catalog, registry, partial(stage_runner, shared))
        renderer = LocalRenderer(_render_options(settings))
        stack.callback(renderer.close)
        made: list[Services] = []
        services = Services(
            catalog=case.catalog,
            accounts=accounts,
            sharing=Sharing(case.catalog),
            providers=sign_in_providers(settings, accounts),
            manager=manager,
            vision=client,
            renderer=renderer,
            broadcaster=Broadcaster(lambda job_id: progress_of(made[0], job_id)),
            stages=tuple(_info(available) for available in registry.stages),
            options=web_options(case, sources, public_url, registry),
        )
        made.append(services)
        manager.start()
        stack.callback(manager.close)
        yield services


@contextmanager
def _own_vision(settings: Settings) -> Iterator[str]:
    fetch_missing(settings)
    with EmbeddedVision(settings.environment()) as embedded:
        embedded.start()
        yield embedded.address


def _render_options(settings: Settings) -> RenderOptions:
    return RenderOptions(
        workers=min(settings.workers, 4),
        seconds=min(settings.picture_seconds, 60.0),
        memory=settings.worker_memory_mb * _MEGA,
        limits=scanner_limits(settings),
    )


def _info(available: Available) -> StageInfo:
    stage = available.stage
    summary = " ".join((type(stage).__doc__ or "").split())
    return StageInfo(stage.name, stage.title, stage.version, summary, available.reason)


def web_options(case: Case, sources: Path, public_url: str, registry: Registry) -> WebOptions:
    """How the web behaves, by the settings. Raises UsageError for a proxy that is no network."""
    settings = case.settings
    captions = next((a for a in registry.stages if a.stage.name == "caption"), None)
    model = settings.describe_with
    if model == "auto":
        model = "BLIP" if captions is not None and captions.reason is None else "FACTS"
    try:
        proxies = tuple(ip_network(text, strict=False) for text in settings.trusted_proxies)
    except ValueError as error:
        raise UsageError(f"setting trusted_proxies: {error}") from error
    return WebOptions(
        case=case.folder.absolute(),
        sources=sources,
        public_url=public_url,
        secure=public_url.startswith("https:"),
        trusted_proxies=proxies,
        max_body=settings.max_body_bytes,
        max_picture=settings.vision_image_bytes,
        max_parts=settings.max_parts,
        anonymous_calls=settings.anonymous_calls,
        default_model=model,
        outbox=(case.folder / "outbox").absolute() if settings.smtp_host is None else None,
        tile_url=settings.tile_url,
    )
