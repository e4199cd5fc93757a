"""What can be set about accounts, as values that the command line fills from the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from caseframe.accounts.attempts import AttemptOptions
from caseframe.accounts.passwords import PasswordOptions
from caseframe.domain.access import Role, SignUpPolicy


@dataclass(frozen=True, slots=True)
class LinkPaths:
    """Paths of the pages that the links in mails lead to; `?key=` and the key follow."""

    verify: str = "/auth/verify"
    reset: str = "/auth/reset"
    invitation: str = "/auth/invitation"
    first: str = "/auth/first"


@dataclass(frozen=True, slots=True)
class AccountOptions:
    """How accounts work; `public_url` is what people type to get here."""

    public_url: str = "http://127.0.0.1:3000"
    policy: SignUpPolicy = SignUpPolicy.INVITED
    sign_up_role: Role = Role.VIEWER
    access_life: timedelta = timedelta(minutes=15)
    refresh_life: timedelta = timedelta(hours=24)
    verify_life: timedelta = timedelta(minutes=30)
    reset_life: timedelta = timedelta(minutes=30)
    invitation_life: timedelta = timedelta(days=7)
    first_life: timedelta = timedelta(hours=24)
    paths: LinkPaths = field(default_factory=LinkPaths)
    passwords: PasswordOptions = field(default_factory=PasswordOptions)
    attempts: AttemptOptions = field(default_factory=AttemptOptions)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)

    def link(self, path: str, key: str) -> str:
        """The whole address that a key is used at."""
        return f"{self.public_url.rstrip('/')}{path}?key={key}"
