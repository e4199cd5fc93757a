"""Values about people: accounts, sessions, invitations. Secrets never show in a `repr`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from caseframe.domain.access import JobAccess, Role


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from. `address` is the peer's, or what a trusted proxy says it is."""

    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What somebody fills in to make an account."""

    first_name: str
    last_name: str
    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What signing in gives: an access token for requests, a refresh token for the next pair."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    access_expires_at: datetime
    refresh_expires_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """An account; without a password somebody signs in at another provider only.

    `verified_at` and `disabled_at` are None while it is not; `last_seen_at` is the last sign-in
    or refresh.
    """

    id: str
    email: str
    first_name: str
    last_name: str
    role: Role
    verified_at: datetime | None
    disabled_at: datetime | None
    created_at: datetime
    last_seen_at: datetime | None
    has_password: bool

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to list: `text` stands in name or address; None takes all."""

    text: str = ""
    role: Role | None = None
    verified: bool | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class UserPage:
    """Users in the order of their addresses; `next` fetches the page after, None at the end."""

    users: tuple[User, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in of a user on one device; `current` marks the one that asks."""

    id: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    user_agent: str
    address: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Invitation:
    """Somebody who may make an account with this address and gets this role."""

    id: str
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """Who somebody is at another provider; only addresses that it has verified come here."""

    provider: str
    subject: str
    email: str
    first_name: str = ""
    last_name: str = ""


class JobsThen(StrEnum):
    """What happens to the jobs of a user who is deleted."""

    HAND_OVER = "hand-over"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class JobsDecision:
    """The choice, and the user who gets the jobs when they are handed over."""

    then: JobsThen
    heir_id: str | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """What the deletion of a user did: the jobs (id, name) concerned and what became of them."""

    user: User
    jobs: tuple[tuple[str, str], ...]
    decision: JobsDecision | None

    @property
    def said(self) -> str:
        """One sentence for people."""
        gone = f"{self.user.name} ({self.user.email}) is deleted"
        if self.decision is None or not self.jobs:
            return f"{gone}; there were no jobs."
        became = {
            JobsThen.HAND_OVER: "handed over",
            JobsThen.DELETE: "deleted with all that was found (large ones take a while)",
            JobsThen.KEEP: "kept without an owner, for administrators",
        }[self.decision.then]
        count = f"{len(self.jobs)} job{'' if len(self.jobs) == 1 else 's'}"
        return f"{gone}; {count} {became}."


@dataclass(frozen=True, slots=True)
class Share:
    """One user whom an owner lets into a job, as viewer or editor."""

    user_id: str
    email: str
    name: str
    level: JobAccess
    created_at: datetime
