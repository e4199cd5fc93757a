"""What every service needs before it can begin: who it is to the others, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import structlog
import typer
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select

from caseframe.accounts.secret import given_secret
from caseframe.bus.options import AmqpOptions, check, with_password
from caseframe.catalog.database import Catalog, open_postgresql
from caseframe.cli.assemble import stoppable
from caseframe.domain.errors import CaseError, CatalogAway, UsageError
from caseframe.health import Ready, health_server
from caseframe.settings import Settings
from caseframe.tls import TlsFiles

_SAMPLES = {"", "guest", "secret", "password", "changeme", "change-me", "example", "caseframe"}
_AWAY_SECONDS = 2.0
_LOOK_SECONDS = 0.2
_log = structlog.get_logger(__name__)


def amqp_options(settings: Settings, name: str) -> AmqpOptions:
    """Where RabbitMQ is.

    Raises UsageError when nothing says it, for what is no address, and for a sample password.
    """
    if settings.amqp_url is None:
        raise UsageError(
            "set CASEFRAME_AMQP_URL, such as amqps://caseframe@mq.example.org/, and "
            "CASEFRAME_AMQP_PASSWORD_FILE"
        )
    check(settings.amqp_url)
    url = _with_file(settings.amqp_url, settings.amqp_password_file, "amqp_password_file")
    _no_sample(url, "amqp")
    return AmqpOptions(
        url, settings.amqp_ca, settings.amqp_cert, settings.amqp_key, name=f"caseframe {name}"
    )


def redis_url(settings: Settings) -> SecretStr | None:
    """Where Redis is, or None. Raises UsageError for a sample password."""
    if settings.redis_url is None:
        return None
    url = _with_file(settings.redis_url, settings.redis_password_file, "redis_password_file")
    _no_sample(url, "redis")
    return url


def services_secret(settings: Settings) -> SecretStr:
    """The secret that signs tokens, the same for all services. Raises UsageError."""
    return given_secret(settings.token_secret, settings.token_secret_file)


def jobs_address(settings: Settings) -> str:
    """Where the job manager is. Raises UsageError when nothing says it."""
    if settings.jobs_address is None:
        raise UsageError("set CASEFRAME_JOBS_ADDRESS to the host:port of the job manager")
    return settings.jobs_address


def jobs_tls(settings: Settings) -> TlsFiles | None:
    """The certificates of the job manager and its clients; None without any: then no TLS."""
    files = TlsFiles(
        settings.jobs_tls_ca, settings.jobs_tls_cert, settings.jobs_tls_key, setting="jobs_tls"
    )
    return files.wanted


@contextmanager
def services_catalog(settings: Settings) -> Iterator[Catalog]:
    """The PostgreSQL catalog that the services share. Raises UsageError, CaseError."""
    if settings.catalog_url is None:
        raise UsageError(
            "set CASEFRAME_CATALOG_URL, such as postgresql+psycopg://caseframe@db.example.org/case"
        )
    given = SecretStr(settings.catalog_url)
    url = _with_file(given, settings.catalog_password_file, "catalog_password_file")
    if urlsplit(url.get_secret_value()).password:  # without one, a certificate may let us in
        _no_sample(url, "catalog")
    catalog = _opened(url, settings)
    try:
        yield catalog
    finally:
        catalog.close()


def _opened(url: SecretStr, settings: Settings) -> Catalog:
    """Open the catalog, waiting for a server that has not started yet."""
    while True:
        try:
            return open_postgresql(url.get_secret_value(), busy_seconds=settings.busy_seconds)
        except CatalogAway as error:
            _log.warning("catalog.away", reason=str(error))
            time.sleep(_AWAY_SECONDS)


def _with_file(url: SecretStr, file: Path | None, setting: str) -> SecretStr:
    if file is None:
        return url
    try:
        password = file.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{setting} {file} cannot be read; check the setting") from error
    user = "guest" if setting.startswith("amqp") else ""
    return with_password(url.get_secret_value(), password, user)


def _no_sample(url: SecretStr, what: str) -> None:
    """Refuse passwords that everybody knows, but on this machine, where the broker refuses others.

    Raises UsageError.
    """
    parts = urlsplit(url.get_secret_value())
    if (parts.password or "").lower() in _SAMPLES and not _here(parts.hostname or ""):
        raise UsageError(
            f"{what}_url holds no password, or a sample that everybody knows; set "
            f"CASEFRAME_{what.upper()}_PASSWORD_FILE"
        )


def _here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in {"localhost", ""}


class Readiness:
    """Why a service cannot work; its parts are put together behind the open health door."""

    def __init__(self) -> None:
        self.checks: tuple[Ready, ...] = (lambda: "starting",)

    def __call__(self) -> str | None:
        """What the first check that finds something says; None when all is well."""
        return next((found for check in self.checks if (found := check()) is not None), None)


def catalog_trouble(catalog: Catalog) -> str | None:
    """Why the catalog does not answer now, None when it does."""
    try:
        with catalog.read() as connection:
            connection.execute(select(1))
    except CaseError as error:
        return str(error)
    return None


@contextmanager
def running(
    settings: Settings, service: str, ready: Ready, registry: CollectorRegistry
) -> Iterator[Callable[[], None]]:
    """The frame of a service: its health door, and signals that end it.

    Yields what waits until somebody asks for the end. A second signal ends it at once.
    """
    with (
        stoppable() as asked,
        health_server(settings.health_address, service, ready, registry) as door,
    ):

        def wait() -> None:
            typer.echo(f"caseframe {service}: running; health at http://{door}/ready")
            while not asked():
                time.sleep(_LOOK_SECONDS)
            _log.info("service.ending", service=service)

        yield wait
