"""Accounts as the settings want them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from caseframe.accounts.attempts import AttemptOptions
from caseframe.accounts.counting import storage_uri
from caseframe.accounts.local import LocalAccounts
from caseframe.accounts.mail import Mailer, OutboxMailer
from caseframe.accounts.oauth import Providers
from caseframe.accounts.options import AccountOptions
from caseframe.accounts.secret import case_secret, given_secret
from caseframe.accounts.smtp import SmtpMailer, SmtpOptions, SmtpTls
from caseframe.catalog.database import Catalog
from caseframe.domain.errors import UsageError
from caseframe.settings import Settings

OUTBOX = "outbox"


def local_accounts(
    catalog: Catalog, folder: Path, settings: Settings, public_url: str
) -> LocalAccounts:
    """Accounts in process; `public_url` is where links lead when no setting says it.

    Raises UsageError, CaseError for a secret that cannot be used.
    """
    options = account_options(settings, public_url)
    return LocalAccounts(catalog, mailer(folder, settings), token_secret(folder, settings), options)


def account_options(
    settings: Settings, public_url: str, redis_url: SecretStr | None = None
) -> AccountOptions:
    """How accounts work; attempts are counted in that Redis, else in memory."""
    return AccountOptions(
        public_url=settings.public_url or public_url,
        policy=settings.sign_up,
        sign_up_role=settings.sign_up_role,
        access_life=timedelta(minutes=settings.access_token_minutes),
        refresh_life=timedelta(hours=settings.refresh_token_hours),
        attempts=AttemptOptions(storage=storage_uri(redis_url)),
    )


def token_secret(folder: Path, settings: Settings) -> SecretStr:
    """The secret that settings give, else the case's own. Raises UsageError, CaseError."""
    if settings.token_secret is None and settings.token_secret_file is None:
        return case_secret(folder)
    return given_secret(settings.token_secret, settings.token_secret_file)


def mailer(folder: Path, settings: Settings) -> Mailer:
    """The mail server of the settings, else files in the case's outbox. Raises UsageError."""
    if settings.smtp_host is None:
        return OutboxMailer(folder / OUTBOX, settings.mail_from)
    return SmtpMailer(
        SmtpOptions(
            host=settings.smtp_host,
            port=settings.smtp_port,
            sender=settings.mail_from,
            tls=SmtpTls(settings.smtp_tls),
            user=settings.smtp_user,
            password=_smtp_password(settings),
            ca=settings.smtp_ca,
        )
    )


def _smtp_password(settings: Settings) -> SecretStr | None:
    if settings.smtp_password_file is None:
        return settings.smtp_password
    try:
        return SecretStr(settings.smtp_password_file.read_text("utf-8").strip())
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"smtp_password_file {settings.smtp_password_file} cannot be read; check the setting"
        ) from error


def providers(settings: Settings, accounts: LocalAccounts) -> Providers:
    """The other providers to sign in with."""
    return Providers(settings.oauth_providers, accounts.mint)
