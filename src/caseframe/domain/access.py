"""Who somebody is, what they may do, and how a refusal is called.

Roles say what a person may do at all; a job's owner says who else may look at it or work on it.
Administrators see everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from caseframe.domain.errors import CaseframeError


class Role(StrEnum):
    """What a person may do in a case; each role may do what the ones after it may."""

    ADMINISTRATOR = "administrator"
    EXAMINER = "examiner"
    VIEWER = "viewer"


class SignUpPolicy(StrEnum):
    """Who may make an account: anybody, those with an invitation, or nobody."""

    OPEN = "open"
    INVITED = "invited"
    CLOSED = "closed"


class JobAccess(StrEnum):
    """What somebody is to one job. `viewer` and `editor` are what an owner can give to others."""

    NONE = "none"
    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"


class Action(StrEnum):
    """What people ask for. Actions on a job are judged together with the access to that job."""

    DESCRIBE_IMAGE = "describe-image"
    CREATE_JOB = "create-job"
    BROWSE_SOURCES = "browse-sources"
    MANAGE_USERS = "manage-users"
    SEE_JOB = "see-job"
    RUN_JOB = "run-job"
    EDIT_JOB = "edit-job"
    SHARE_JOB = "share-job"
    DELETE_JOB = "delete-job"


@dataclass(frozen=True, slots=True)
class Principal:
    """The person behind a request, as an access token proved it.

    `token` is that token, for handing on to another service in the person's name.
    """

    user_id: str
    session_id: str
    email: str
    first_name: str
    last_name: str
    role: Role
    token: str = field(repr=False, default="")

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


_BY_ROLE = {
    Role.VIEWER: {Action.DESCRIBE_IMAGE},
    Role.EXAMINER: {Action.DESCRIBE_IMAGE, Action.CREATE_JOB, Action.BROWSE_SOURCES},
    Role.ADMINISTRATOR: set(Action),
}
_BY_ACCESS: dict[JobAccess, set[Action]] = {
    JobAccess.NONE: set(),
    JobAccess.VIEWER: {Action.SEE_JOB},
    JobAccess.EDITOR: {Action.SEE_JOB, Action.RUN_JOB, Action.EDIT_JOB},
    JobAccess.OWNER: {
        Action.SEE_JOB, Action.RUN_JOB, Action.EDIT_JOB, Action.SHARE_JOB, Action.DELETE_JOB,
    },
}  # fmt: skip
JOB_ACTIONS = frozenset(_BY_ACCESS[JobAccess.OWNER])


def may(principal: Principal, action: Action, access: JobAccess = JobAccess.NONE) -> bool:
    """Whether the person may do that, to a job that is theirs as `access` says.

    A role bounds what sharing can give: a viewer only looks, even at a job shared for editing.
    """
    if action in _BY_ROLE[principal.role]:
        return True
    if principal.role is Role.VIEWER and action is not Action.SEE_JOB:
        return False
    return action in _BY_ACCESS[access]


def require(principal: Principal, action: Action, access: JobAccess = JobAccess.NONE) -> None:
    """Raise unless the person may do that: NotThere for a job they may not even see.

    So nobody learns from the answer whether a job of that id exists. Else raises Forbidden.
    """
    if may(principal, action, access):
        return
    if action in JOB_ACTIONS and not may(principal, Action.SEE_JOB, access):
        raise NotThere("there is no such job, or it is not shared with you")
    raise Forbidden(f"your role and your part in this do not allow: {action.replace('-', ' ')}")


class AccessError(CaseframeError):
    """A refusal, with a stable `code` for programs; the message is for people."""

    code: ClassVar[str]


class InvalidInput(AccessError):
    """What was sent breaks rules; `reasons` names every one of them."""

    code = "invalid-input"

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class KeyRefused(AccessError):
    """A link from a mail is unknown, used or too old."""

    code = "key-refused"


class SignInRefused(AccessError):
    """Wrong password or unknown e-mail; the answer never says which."""

    code = "sign-in-refused"

    def __init__(self) -> None:
        super().__init__("the e-mail address or the password is wrong")


class TokenRefused(AccessError):
    """A token is forged, expired, revoked, or of the wrong kind."""

    code = "token-refused"

    def __init__(self, message: str = "the token is not valid; sign in again") -> None:
        super().__init__(message)


class IdentityRefused(AccessError):
    """What another provider said about a person cannot be accepted."""

    code = "identity-refused"


class Forbidden(AccessError):
    """The person is known and may not do this."""

    code = "forbidden"


class NotVerified(AccessError):
    """The e-mail address has not been confirmed."""

    code = "not-verified"

    def __init__(self) -> None:
        super().__init__(
            "your e-mail address is not confirmed yet; follow the link in the mail, or ask for "
            "a new one"
        )


class AccountDisabled(AccessError):
    """An administrator disabled this account."""

    code = "account-disabled"

    def __init__(self) -> None:
        super().__init__("this account is disabled; ask an administrator of this case")


class SignUpRefused(AccessError):
    """The sign-up policy does not let this person in."""

    code = "sign-up-refused"


class NotThere(AccessError):
    """No such thing, or none that this person may know of."""

    code = "not-found"


class EmailTaken(AccessError):
    """There is an account with this e-mail address."""

    code = "email-taken"

    def __init__(self) -> None:
        super().__init__("there is an account with this e-mail address; sign in instead")


class Conflict(AccessError):
    """It does not fit what is stored; the message says what to do first."""

    code = "conflict"


class LastAdministrator(Conflict):
    """A case needs an administrator who can sign in."""

    code = "last-administrator"

    def __init__(self) -> None:
        super().__init__(
            "this is the last administrator of the case; make somebody else administrator first"
        )


class JobsUndecided(Conflict):
    """A user with jobs is to be deleted, and nobody said what happens to the jobs."""

    code = "jobs-undecided"

    def __init__(self, count: int) -> None:
        super().__init__(
            f"this user owns {count} job{'' if count == 1 else 's'}; say whether to hand over, "
            "delete or keep them"
        )
        self.count = count


class TooManyAttempts(AccessError):
    """Too many failures from there, or for that account; `retry_after` is in whole seconds."""

    code = "too-many-attempts"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many attempts; try again in {retry_after} seconds")
        self.retry_after = retry_after


class AccountsAway(AccessError):
    """The service behind accounts, mail or another provider does not answer, or is overloaded."""

    code = "away"


STATUS: dict[str, int] = {
    InvalidInput.code: 400,
    KeyRefused.code: 400,
    SignInRefused.code: 401,
    TokenRefused.code: 401,
    IdentityRefused.code: 401,
    Forbidden.code: 403,
    NotVerified.code: 403,
    AccountDisabled.code: 403,
    SignUpRefused.code: 403,
    NotThere.code: 404,
    EmailTaken.code: 409,
    Conflict.code: 409,
    LastAdministrator.code: 409,
    JobsUndecided.code: 409,
    TooManyAttempts.code: 429,
    AccountsAway.code: 503,
}
"""HTTP status of each code, for every front door alike."""
