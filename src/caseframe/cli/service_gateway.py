"""caseframe service gateway: browser and REST interface over services that run elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import typer

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.counting import storage_uri
from caseframe.accounts.remote import remote_accounts
from caseframe.accounts.tokens import TokenMint
from caseframe.bus.deadletters import DeadLetters
from caseframe.bus.options import AmqpOptions
from caseframe.cli.assemble import settings_for
from caseframe.cli.options import DEFAULT_CASE, CaseOption
from caseframe.cli.serve import (
    HostOption,
    PortOption,
    SourcesOption,
    listen,
    public_url,
    run_web,
    sources_root,
)
from caseframe.cli.service_common import (
    amqp_options,
    jobs_address,
    jobs_tls,
    redis_url,
    services_catalog,
    services_secret,
)
from caseframe.cli.stage_queues import queue_of, services_registry, task_tokens
from caseframe.cli.web import Behind, plugged, vision_at, web_options
from caseframe.domain.errors import UsageError
from caseframe.jobmanager.remote import RemoteJobs
from caseframe.settings import Settings
from caseframe.stages.registry import Registry
from caseframe.web.services import Services


def gateway(
    sources: SourcesOption = None,
    case: CaseOption = DEFAULT_CASE,
    host: HostOption = "127.0.0.1",
    port: PortOption = 3000,
) -> None:
    """Show the case in the browser, while other services do the work.

    It needs the catalog (catalog_url), accounts over RabbitMQ (amqp_url), the job manager
    (jobs_address), a vision service (vision_address), the services' common secret
    (token_secret_file), and the same sources at the same path as the job manager, which it only
    reads. `/ready` says what does not answer.
    """
    settings = settings_for()
    root = sources_root(sources)
    with ExitStack() as stack:
        listening = stack.enter_context(listen(host, port))
        public = public_url(settings, host, listening)
        services = stack.enter_context(gateway_services(settings, case, root, public))
        typer.echo(f"caseframe gateway: running at {public}")
        run_web(services, listening)


@contextmanager
def gateway_services(
    settings: Settings, case: Path, sources: Path, public: str
) -> Iterator[Services]:
    """All that the web needs, over services that run elsewhere; ended when the block ends.

    They need not be there yet. Raises UsageError for settings that are missing or cannot be used,
    CaseError for a catalog that does not answer.
    """
    secret = services_secret(settings)
    mint = TokenMint(secret)
    broker, jobs_at = amqp_options(settings, "gateway"), jobs_address(settings)
    if settings.vision_address is None:
        raise UsageError(
            "set CASEFRAME_VISION_ADDRESS to the host:port of a vision service; several, separated "
            "by commas, share the work"
        )
    registry, counts = services_registry(settings), storage_uri(redis_url(settings))
    with ExitStack() as stack:
        catalog = stack.enter_context(services_catalog(settings))
        vision = stack.enter_context(vision_at(settings.vision_address, settings))
        accounts = stack.enter_context(closing(remote_accounts(broker, secret)))
        jobs = stack.enter_context(closing(RemoteJobs(jobs_at, mint, tls=jobs_tls(settings))))
        behind = Behind(
            catalog, accounts, mint, jobs, vision, lambda: _check(accounts, jobs),
            _letters(settings, broker, mint, registry),
        )  # fmt: skip
        options = web_options(settings, case, sources, public, registry, counts)
        yield stack.enter_context(plugged(behind, settings, options, registry))


def _letters(
    settings: Settings, broker: AmqpOptions, mint: TokenMint, registry: Registry
) -> DeadLetters:
    """The dead letters of all stages; those that are sent again get fresh tokens."""
    tokens = task_tokens(settings, mint)
    queues = [queue_of(found.stage) for found in registry.stages]
    return DeadLetters(broker, queues, lambda job, _old: tokens(job))


def _check(accounts: Accounts, jobs: RemoteJobs) -> None:
    """Raise AccountsAway or JobsAway when one of them does not answer now."""
    accounts.policy()
    jobs.check()
