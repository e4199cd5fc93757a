"""What administrators do with other people's accounts, in process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Connection

from caseframe.accounts import letters
from caseframe.accounts.parts import Parts
from caseframe.accounts.rules import check, email_faults, email_key, identifier
from caseframe.catalog import accounts as stored
from caseframe.catalog import removal, sessions, shares
from caseframe.catalog.keys import KeyHolder, Purpose
from caseframe.domain.access import (
    AccountsAway,
    Action,
    Conflict,
    EmailTaken,
    InvalidInput,
    JobsUndecided,
    LastAdministrator,
    NotThere,
    Principal,
    Role,
    SignUpPolicy,
    SignUpRefused,
    require,
)
from caseframe.domain.errors import CaseframeError
from caseframe.domain.people import (
    Deletion,
    Invitation,
    JobsDecision,
    JobsThen,
    User,
    UserFilter,
    UserPage,
)
from caseframe.domain.text import one_line
from caseframe.domain.work import ACTIVE_STATES

_log = structlog.get_logger(__name__)
_MOST = 200
_MOMENT = 1.0  # seconds in which most jobs are removed


class LocalManaging:
    """The part of `Accounts` that is for administrators."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def users(
        self, principal: Principal, wanted: UserFilter, after: str | None = None, limit: int = 50
    ) -> UserPage:
        """A page of users by address."""
        require(principal, Action.MANAGE_USERS)
        if not 1 <= limit <= _MOST:
            raise InvalidInput(f"a page has 1 to {_MOST} users")
        if after is not None and email_faults(after):
            raise InvalidInput("this is not the `next` of a page of users")
        with self._parts.catalog.read() as connection:
            return stored.list_users(connection, wanted, after, limit)

    def get_user(self, principal: Principal, user_id: str) -> User:
        """One user."""
        require(principal, Action.MANAGE_USERS)
        with self._parts.catalog.read() as connection:
            return stored.get_user(connection, identifier(user_id, "user"))

    def set_role(self, principal: Principal, user_id: str, role: Role) -> User:
        """Give a user another role."""
        with self._parts.catalog.begin() as connection:
            _hold(connection, principal, user_id)
            stored.get_user(connection, user_id)
            if role is not Role.ADMINISTRATOR:
                _keep_one(connection, user_id)
            return stored.change_user(connection, user_id, role=role)

    def disable(self, principal: Principal, user_id: str) -> User:
        """Shut a user out and end their sessions."""
        present = self._parts.options.clock()
        with self._parts.catalog.begin() as connection:
            _hold(connection, principal, user_id)
            user = stored.get_user(connection, user_id)
            if user.disabled_at:
                return user
            _keep_one(connection, user_id)
            ended = sessions.end_all_sessions(connection, user_id, "account disabled")
            user = stored.change_user(connection, user_id, disabled_at=present)
        self._parts.ended(ended)
        return user

    def enable(self, principal: Principal, user_id: str) -> User:
        """Let a user in again."""
        with self._parts.catalog.begin() as connection:
            _hold(connection, principal, user_id)
            return stored.change_user(connection, user_id, disabled_at=None)

    def delete_user(
        self, principal: Principal, user_id: str, decision: JobsDecision | None = None
    ) -> Deletion:
        """Delete a user, and do with their jobs what was decided."""
        with self._parts.catalog.begin() as connection:
            _hold(connection, principal, user_id)
            user = stored.get_user(connection, user_id)
            _keep_one(connection, user_id)
            owned = stored.jobs_of(connection, user_id)
            if owned:
                _settle_jobs(connection, user_id, owned, decision)
            ended = sessions.end_all_sessions(connection, user_id, "account deleted")
            for purpose in (Purpose.VERIFY, Purpose.RESET):
                self._parts.keys.drop_all(connection, purpose, user_id=user_id)
            stored.remove_user(connection, user_id)
        self._parts.ended(ended)
        if decision is not None and decision.then is JobsThen.DELETE:
            self._remove_beside([job for job, _, _ in owned])
        return Deletion(user, tuple((job, name) for job, name, _ in owned), decision)

    def _remove_beside(self, job_ids: Sequence[str]) -> None:
        """Remove jobs in a thread of their own: the user is gone, however long that takes."""
        work = threading.Thread(
            target=self._remove, args=(job_ids,), daemon=True, name="remove-jobs"
        )
        work.start()
        work.join(_MOMENT)

    def _remove(self, job_ids: Sequence[str]) -> None:
        """Remove jobs in steps; one that is left half way stays for administrators."""
        for job_id in job_ids:
            try:
                removal.remove_job(self._parts.catalog, job_id)
            except CaseframeError as error:
                _log.warning("job.not_removed", job=job_id, reason=one_line(str(error)))

    def invite(self, principal: Principal, email: str, role: Role) -> Invitation:
        """Send an invitation; one sent before to that address stops working."""
        require(principal, Action.MANAGE_USERS)
        check(email_faults(email))
        keys, options, present = self._parts.keys, self._parts.options, self._parts.options.clock()
        if options.policy is SignUpPolicy.CLOSED:
            raise SignUpRefused("this case takes no new accounts; set sign_up to invited or open")
        address, end = email_key(email), present + options.invitation_life
        with self._parts.catalog.begin() as connection:
            _hold(connection, principal)
            if stored.find_by_email(connection, address):
                raise EmailTaken
            keys.drop_all(connection, Purpose.INVITE, email_key=address)
            holder = KeyHolder(email=email.strip(), email_key=address, role=role)
            number, key = keys.make(connection, Purpose.INVITE, holder, present, end)
        link = options.link(options.paths.invitation, key)
        try:
            self._parts.mailer.send(letters.invitation(email, role, link, options.invitation_life))
        except AccountsAway:
            self._forget(number)
            raise
        return Invitation(number, email.strip(), role, present, end)

    def _forget(self, number: str) -> None:
        with self._parts.catalog.begin() as connection:
            self._parts.keys.drop(connection, Purpose.INVITE, number)

    def invitations(self, principal: Principal) -> list[Invitation]:
        """Invitations that nobody has used yet."""
        require(principal, Action.MANAGE_USERS)
        with self._parts.catalog.read() as connection:
            return self._parts.keys.invitations(connection, self._parts.options.clock())

    def withdraw_invitation(self, principal: Principal, invitation_id: str) -> None:
        """Take an invitation back."""
        require(principal, Action.MANAGE_USERS)
        number = identifier(invitation_id, "invitation")
        with self._parts.catalog.begin() as connection:
            if not self._parts.keys.drop(connection, Purpose.INVITE, number):
                raise NotThere("there is no such invitation, or it was used already")


def _hold(connection: Connection, principal: Principal, user_id: str | None = None) -> None:
    """One change of rights at a time, by somebody who is administrator at this very moment."""
    require(principal, Action.MANAGE_USERS)
    if user_id is not None:
        identifier(user_id, "user")
    stored.hold_administrators(connection)
    now = stored.find_user(connection, principal.user_id)
    role = now.role if now and not now.disabled_at else Role.VIEWER
    require(replace(principal, role=role), Action.MANAGE_USERS)


def _keep_one(connection: Connection, besides: str) -> None:
    user = stored.get_user(connection, besides)
    if user.role is Role.ADMINISTRATOR and not stored.administrators(connection, besides=besides):
        raise LastAdministrator


def _settle_jobs(
    connection: Connection,
    user_id: str,
    owned: list[tuple[str, str, str]],
    decision: JobsDecision | None,
) -> None:
    """Do what was decided; in the transaction of the deletion, so both happen or neither.

    Jobs to be deleted are only hidden here, as that may take long; they lose their owner with the
    user, and administrators see them until they are gone.
    """
    if decision is None:
        raise JobsUndecided(len(owned))
    if decision.then is JobsThen.HAND_OVER:
        heir = stored.find_user(connection, identifier(decision.heir_id or "", "user"))
        if heir is None or heir.disabled_at or heir.id == user_id or heir.role is Role.VIEWER:
            raise Conflict("the jobs can go to another enabled user who is no viewer; name one")
        stored.give_jobs(connection, user_id, heir.id)
    elif decision.then is JobsThen.DELETE:
        active = [name for _, name, state in owned if state in ACTIVE_STATES]
        if active:
            raise Conflict(
                f"{len(active)} of the jobs still run or wait their turn; stop them first: "
                f"{active[0]}"
            )
        for job, _, _ in owned:
            shares.unshare_all(connection, job)
