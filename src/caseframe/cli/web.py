"""Putting the web server together; embedded, with everything in this process and its children."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.oauth import Providers
from caseframe.accounts.secret import scrape_token
from caseframe.accounts.sharing import Sharing
from caseframe.accounts.tokens import TokenMint
from caseframe.catalog.database import Catalog
from caseframe.cli.accounts import local_accounts
from caseframe.cli.assemble import Case, scanner_limits
from caseframe.cli.captions import registry_for, stage_runner
from caseframe.cli.vision import fetch_missing, tls_files
from caseframe.domain.errors import JobsAway, UsageError
from caseframe.pipeline.control import Jobs
from caseframe.pipeline.manager import JobManager
from caseframe.pipeline.render import LocalRenderer, RenderOptions
from caseframe.settings import Settings
from caseframe.stages.external import QueuedStage
from caseframe.stages.registry import Available, Registry, summary_of
from caseframe.vision.client import VisionClient
from caseframe.vision.embedded import EmbeddedVision
from caseframe.web.events import Broadcaster
from caseframe.web.jobs import progress_of
from caseframe.web.options import WebOptions
from caseframe.web.services import DeadLetters, Services, StageInfo

_MEGA = 1_000_000


@dataclass(frozen=True)
class Behind:
    """What stands behind the web, and differs between one process and services.

    `check` raises an error of what does not answer now.
    """

    catalog: Catalog
    accounts: Accounts
    mint: TokenMint = field(repr=False)
    jobs: Jobs
    vision: VisionClient
    check: Callable[[], None]
    dead_letters: DeadLetters | None = None


@contextmanager
def web_services(case: Case, sources: Path, public_url: str) -> Iterator[Services]:
    """All that the web needs, started; ended in the other order when the block ends."""
    settings = case.settings
    if settings.vision_address is None:
        fetch_missing(settings)  # before anybody asks which models there are
    registry = registry_for(settings)
    # People who wait do not wait as long as jobs; and a thread that waits serves nobody else.
    catalog = case.catalog.waiting(_web_seconds(case))
    with ExitStack() as stack:
        address = settings.vision_address or stack.enter_context(_own_vision(settings))
        client = stack.enter_context(vision_at(address, settings))
        accounts = stack.enter_context(
            closing(local_accounts(catalog, case.folder, settings, public_url))
        )
        # Jobs share the vision process with visitors: one model in memory is enough.
        shared = settings.model_copy(update={"vision_address": address})
        manager = JobManager(catalog, registry, partial(stage_runner, shared), at_work=case.catalog)
        check = partial(_check, manager)
        behind = Behind(catalog, accounts, accounts.mint, manager, client, check)
        options = web_options(settings, case.folder, sources, public_url, registry)
        services = stack.enter_context(plugged(behind, settings, options, registry))
        manager.start()
        stack.callback(manager.close)
        yield services


def _check(manager: JobManager) -> None:
    """Raise JobsAway when no job can be done any more."""
    if (trouble := manager.trouble) is not None:
        raise JobsAway(trouble)


def _web_seconds(case: Case) -> float:
    sqlite = case.catalog.dialect == "sqlite"
    return case.settings.web_busy_seconds if sqlite else case.settings.busy_seconds


@contextmanager
def plugged(
    behind: Behind, settings: Settings, options: WebOptions, registry: Registry
) -> Iterator[Services]:
    """The services of a web server over what stands behind it."""
    made: list[Services] = []
    renderer = LocalRenderer(_render_options(settings))
    try:
        services = Services(
            catalog=behind.catalog,
            accounts=behind.accounts,
            sharing=Sharing(behind.catalog),
            providers=Providers(settings.oauth_providers, behind.mint),
            manager=behind.jobs,
            vision=behind.vision,
            renderer=renderer,
            broadcaster=Broadcaster(lambda job_id: progress_of(made[0], job_id)),
            stages=tuple(_info(available) for available in registry.stages),
            options=options,
            check=behind.check,
            dead_letters=behind.dead_letters,
        )
        made.append(services)
        yield services
    finally:
        renderer.close()


def vision_at(address: str, settings: Settings) -> VisionClient:
    """A client of the vision service there."""
    return VisionClient(address, tls=tls_files(settings), seconds=settings.vision_seconds)


@contextmanager
def _own_vision(settings: Settings) -> Iterator[str]:
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
    external = isinstance(stage, QueuedStage)
    fields = stage.fields if isinstance(stage, QueuedStage) else frozenset[str]()
    return StageInfo(
        name=stage.name, title=stage.title, version=stage.version, summary=summary_of(stage),
        reason=available.reason, external=external, fields=fields,
    )  # fmt: skip


def web_options(
    settings: Settings,
    folder: Path,
    sources: Path,
    public_url: str,
    registry: Registry,
    counts: str = "memory://",
) -> WebOptions:
    """How the web behaves, by the settings; `folder` is the case, `counts` where calls are counted.

    Raises UsageError for a proxy that is no network, and for a token that anybody could guess.
    """
    captions = next((a for a in registry.stages if a.stage.name == "caption"), None)
    model = settings.describe_with
    if model == "auto":
        model = "BLIP" if captions is not None and captions.reason is None else "FACTS"
    try:
        proxies = tuple(ip_network(text, strict=False) for text in settings.trusted_proxies)
    except ValueError as error:
        raise UsageError(f"setting trusted_proxies: {error}") from error
    return WebOptions(
        case=folder.absolute(),
        sources=sources,
        public_url=public_url,
        secure=public_url.startswith("https:"),
        trusted_proxies=proxies,
        max_body=settings.max_body_bytes,
        max_picture=settings.vision_image_bytes,
        max_parts=settings.max_parts,
        anonymous_calls=settings.anonymous_calls,
        counts=counts,
        default_model=model,
        outbox=(folder / "outbox").absolute() if settings.smtp_host is None else None,
        tile_url=settings.tile_url,
        metrics_token=scrape_token(settings.metrics_token, settings.metrics_token_file),
    )
