"""Who may see or work on a job: asked before every answer about it, changed by its owner."""

from __future__ import annotations

from caseframe.accounts.rules import email_key, identifier
from caseframe.catalog import accounts as stored
from caseframe.catalog import shares
from caseframe.catalog.database import Catalog
from caseframe.domain.access import (
    Action,
    Conflict,
    InvalidInput,
    JobAccess,
    NotThere,
    Principal,
    may,
    require,
)
from caseframe.domain.people import Share

_LEVELS = (JobAccess.VIEWER, JobAccess.EDITOR)


class Sharing:
    """Access to jobs over a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def access(self, principal: Principal, job_id: str) -> JobAccess:
        """What the person is to that job; NONE also where there is no such job."""
        identifier(job_id, "job")
        with self._catalog.read() as connection:
            return shares.job_access(connection, job_id, principal.user_id)

    def require(self, principal: Principal, action: Action, job_id: str) -> JobAccess:
        """The person's access, if it allows the action on that job.

        Raises NotThere where there is no such job or they may not see it, else Forbidden.
        """
        identifier(job_id, "job")
        with self._catalog.read() as connection:
            access = shares.job_access(connection, job_id, principal.user_id)
            require(principal, action, access)
            # Administrators need no access, and must not act on what is not there.
            if access is JobAccess.NONE and not shares.job_exists(connection, job_id):
                raise NotThere("there is no such job, or it is not shared with you")
        return access

    def share(self, principal: Principal, job_id: str, email: str, level: JobAccess) -> Share:
        """Let the user with that address into a job, as viewer or editor.

        Raises NotThere, Forbidden, InvalidInput, Conflict for the owner themselves.
        """
        if level not in _LEVELS:
            raise InvalidInput("a job is shared as viewer or editor")
        self.require(principal, Action.SHARE_JOB, job_id)
        with self._catalog.begin() as connection:
            user = stored.find_by_email(connection, email_key(email))
            if user is None or user.disabled_at or not user.verified_at:
                raise NotThere("nobody with that address can sign in to this case; invite them")
            if shares.job_access(connection, job_id, user.id) is JobAccess.OWNER:
                raise Conflict("the job is theirs already")
            if not shares.job_exists(connection, job_id):
                raise NotThere("there is no such job, or it is not shared with you")
            shares.share_job(connection, job_id, user.id, level)
            return next(s for s in shares.shares_of(connection, job_id) if s.user_id == user.id)

    def unshare(self, principal: Principal, job_id: str, user_id: str) -> None:
        """Shut a user out again; everybody can give up what was shared with them.

        Raises NotThere, Forbidden.
        """
        identifier(user_id, "user")
        own = user_id == principal.user_id
        self.require(principal, Action.SEE_JOB if own else Action.SHARE_JOB, job_id)
        with self._catalog.begin() as connection:
            if not shares.unshare_job(connection, job_id, user_id):
                raise NotThere("the job is not shared with that user")

    def shares(self, principal: Principal, job_id: str) -> list[Share]:
        """With whom a job is shared; those it is shared with see only themselves.

        Raises NotThere.
        """
        access = self.require(principal, Action.SEE_JOB, job_id)
        with self._catalog.read() as connection:
            found = shares.shares_of(connection, job_id)
        if may(principal, Action.SHARE_JOB, access):
            return found
        return [share for share in found if share.user_id == principal.user_id]
