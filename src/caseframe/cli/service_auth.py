"""caseframe service auth: accounts for everybody else, over RabbitMQ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from prometheus_client import CollectorRegistry, Counter, Histogram
from pydantic import SecretStr

from caseframe.accounts import redis_door
from caseframe.accounts.accounts import Accounts
from caseframe.accounts.calls import CALLS, PREFIX
from caseframe.accounts.local import LocalAccounts
from caseframe.accounts.redis_keys import RedisKeys
from caseframe.accounts.redis_revocation import RedisRevocations
from caseframe.accounts.serve import COMMANDS, QUEUE, QUICK, AccountsService
from caseframe.bus.rpc import Handler, Refusal, Request, RpcServer
from caseframe.catalog.database import Catalog
from caseframe.cli.accounts import account_options, mailer
from caseframe.cli.assemble import settings_for
from caseframe.cli.options import DEFAULT_CASE
from caseframe.cli.service_common import (
    Readiness,
    amqp_options,
    catalog_trouble,
    redis_url,
    running,
    services_catalog,
    services_secret,
)
from caseframe.health import Ready
from caseframe.settings import Settings

_PUBLIC = "http://127.0.0.1:3000"


def auth(
    case: Annotated[
        Path,
        typer.Option(
            "--case",
            help="Folder whose outbox gets the mails while no mail server is set (smtp_host).",
            envvar="CASEFRAME_CASE",
        ),
    ] = DEFAULT_CASE,
    queue: Annotated[str, typer.Option("--queue", help="The queue to take requests from.")] = QUEUE,
) -> None:
    """Run the accounts: sign-up, sign-in, tokens, users, over RabbitMQ.

    Needs PostgreSQL (catalog_url), RabbitMQ (amqp_url) and the secret that all services share
    (token_secret_file). With redis_url, the links in mails, ended sessions and rate limits live in
    Redis; run several of these services only with it. Mails lead to public_url.

    On a catalog without users it prints a link, good once, that makes the administrator. Ends on
    SIGTERM, when the requests at work are answered.
    """
    settings = settings_for()
    secret = services_secret(settings)
    options = amqp_options(settings, "auth")
    shared = redis_url(settings)
    registry = CollectorRegistry()
    ready = Readiness()
    with ExitStack() as stack:
        wait = stack.enter_context(running(settings, "auth", ready, registry))
        catalog = stack.enter_context(services_catalog(settings))
        accounts, redis_trouble = stack.enter_context(
            service_accounts(catalog, case, settings, shared)
        )
        _say_first(accounts, settings)
        handler = counted(AccountsService(accounts, secret), registry)
        server = stack.enter_context(closing(RpcServer(options, queue, handler, quick=QUICK)))
        ready.checks = (partial(catalog_trouble, catalog), redis_trouble, lambda: server.reason)
        wait()


@contextmanager
def service_accounts(
    catalog: Catalog, folder: Path, settings: Settings, redis: SecretStr | None
) -> Iterator[tuple[LocalAccounts, Ready]]:
    """The accounts of the service, and what Redis suffers from.

    Keys, ended sessions and rate limits live in that Redis; without one, in the catalog and in
    memory. Raises UsageError.
    """
    secret, post = services_secret(settings), mailer(folder, settings)
    options = account_options(settings, _PUBLIC, redis)
    with ExitStack() as stack:
        if redis is None:
            made = LocalAccounts(catalog, post, secret, options)
            stack.callback(made.close)
            yield made, lambda: None
            return
        client = stack.enter_context(closing(redis_door.connect(redis)))
        made = LocalAccounts(
            catalog, post, secret, options,
            keys=RedisKeys(client), revocations=RedisRevocations(client),
        )  # fmt: skip
        stack.callback(made.close)
        yield made, partial(redis_door.trouble, client)


def _say_first(accounts: Accounts, settings: Settings) -> None:
    key = accounts.first_key()
    if key is not None:
        public = (settings.public_url or _PUBLIC).rstrip("/")
        typer.echo("Nobody can sign in yet. Make the administrator with this link, good once:")
        typer.echo(f"  {public}/auth/first?key={key}")


def counted(handler: Handler, registry: CollectorRegistry) -> Handler:
    """The same, counted and timed by command. What is no command of ours has one name for all."""
    names = {*COMMANDS, *(PREFIX + name for name in CALLS)}
    answers = Counter(
        "caseframe_auth_requests", "Requests answered.", ["command", "answer"], registry=registry
    )
    seconds = Histogram(
        "caseframe_auth_seconds", "Time of a request at work.", ["command"], registry=registry
    )

    def answer(request: Request) -> Any:
        command = request.command if request.command in names else "unknown"
        began, said = perf_counter(), "500"
        try:
            found = handler(request)
            said = "ok"
        except Refusal as no:
            said = str(no.err.get("statusCode", 500))
            raise
        finally:
            answers.labels(command, said).inc()
            seconds.labels(command).observe(perf_counter() - began)
        return found

    return answer
