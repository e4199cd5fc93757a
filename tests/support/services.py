"""The system as services: real processes over PostgreSQL, RabbitMQ with TLS and Redis of our own.

`CASEFRAME_TEST_SYSTEM=services` has the fixture `web` be one of these, so that the tests of the
browser run against it as they are.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pytest
from deploy.arrangement import Arrangement, Missing
from tests.support.web import WAIT, WebServer

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.remote import remote_accounts
from caseframe.catalog.database import Catalog
from caseframe.cli.service_common import amqp_options, services_catalog, services_secret
from caseframe.settings import Settings
from caseframe.web.services import Services

_QUIET_SECONDS = 1.0
_WORKERS = {"stage-faces": ("faces",), "stage-facts": ("facts",)}


def chosen() -> bool:
    """Whether the tests of the browser are to run against services."""
    system = os.environ.get("CASEFRAME_TEST_SYSTEM", "embedded")
    assert system in {"embedded", "services"}, "CASEFRAME_TEST_SYSTEM is embedded or services"
    return system == "services"


@contextmanager
def arranged(
    sources: Path,
    cache: Path,
    settings: Mapping[str, str] | None = None,
    workers: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Arrangement]:
    """Parts that are made ready and not started; those that run at the end are ended.

    Where a server is not installed the test is skipped; in CI that is a failure.
    """
    ours = {
        "CASEFRAME_CACHE_DIR": str(cache),
        "CASEFRAME_MODELS_DIR": str(cache / "no-models"),
        "CASEFRAME_DESCRIBE_WITH": "FACTS",
        "CASEFRAME_WORKERS": "1",
        "CASEFRAME_ACCESS_TOKEN_MINUTES": "1440",
        "CASEFRAME_QUEUE_STAGES": '["faces"]',  # no model is installed that could caption
    }
    # Not below pytest's own folder, which is closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="cf-parts-"))
    folder.chmod(0o711)
    made = Arrangement(folder, sources, ours | dict(settings or {}), workers or _WORKERS)
    try:
        made.prepare()
        for name in ("postgresql", "epmd", "rabbitmq", "redis"):
            made.command(name)
    except Missing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))
    try:
        yield made
    finally:
        made.down()
        shutil.rmtree(folder, ignore_errors=True)


def settings_of(made: Arrangement) -> Settings:
    """The settings of a program that works beside the services."""
    with mock.patch.dict(os.environ, made.environment(), clear=True):
        nothing: dict[str, Any] = {}
        return Settings(**nothing)


@dataclass(frozen=True)
class _Manager:
    """What tests ask of a job manager, through the REST interface."""

    web: ServicesWeb

    def submit(self, job_id: str) -> None:
        """Start a job as its administrator does."""
        self.web.client(self.web.administrator).post(
            f"/api/v1/jobs/{job_id}/start"
        ).raise_for_status()


@dataclass(frozen=True)
class _Behind:
    """What of `web.services` the tests use."""

    accounts: Accounts
    catalog: Catalog
    manager: _Manager


@dataclass
class ServicesWeb(WebServer):
    """`WebServer` over services; `made` starts, stops and kills them."""

    made: Arrangement = field(kw_only=True)

    def mails(self, to: str) -> list[str]:
        """The mails to an address, when none has come for a moment."""
        outbox = self.case / "outbox"
        end, quiet, count = time.monotonic() + WAIT, 0.0, -1
        while time.monotonic() < end:
            found = len(list(outbox.glob("*.eml")))
            if found != count:
                count, quiet = found, time.monotonic() + _QUIET_SECONDS
            elif time.monotonic() > quiet:
                break
            time.sleep(0.05)
        return self.read_mails(to)


@contextmanager
def services_web(sources: Path, cache: Path) -> Iterator[ServicesWeb]:
    """All services at work, and what tests need to ask them."""
    with arranged(sources, cache) as made:
        made.up()
        with joined(made) as web:
            yield web


@contextmanager
def joined(made: Arrangement) -> Iterator[ServicesWeb]:
    """A `WebServer` of services that run."""
    settings = settings_of(made)
    secret = services_secret(settings)
    with ExitStack() as stack:
        catalog = stack.enter_context(services_catalog(settings))
        accounts = stack.enter_context(
            closing(remote_accounts(amqp_options(settings, "tests"), secret, seconds=20.0))
        )
        web = ServicesWeb(
            made.url, made.folder / "case", made.sources, cast("Services", None), made=made
        )
        web.services = cast("Services", _Behind(accounts, catalog, _Manager(web)))
        yield web
        web.close()


def queue_depths(made: Arrangement) -> dict[str, int]:
    """How many messages lie in each queue or are being dealt with."""
    said = made.control("list_queues", "name", "messages", "--no-table-headers")
    rows = (line.rsplit("\t", 1) for line in said.splitlines() if "\t" in line)
    return {name: int(count) for name, count in rows}


def secrets_of(made: Arrangement) -> dict[str, str]:
    """The passwords and secrets of an arrangement by the names of their files."""
    names = ("token_secret", "postgres_password", "amqp_password", "redis_password")
    return {name: (made.folder / "secrets" / name).read_text().strip() for name in names}
