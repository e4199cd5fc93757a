"""The seam: everything that can be asked of accounts, in process or of a service.

Calls are synchronous; a web server makes them from threads. Every refusal is an AccessError of
domain/access.py, whose code has an HTTP status there. `AccountsAway` can come from any call.
"""

from __future__ import annotations

from typing import Protocol

from caseframe.domain.access import Principal, Role, SignUpPolicy
from caseframe.domain.people import (
    Client,
    Deletion,
    ExternalIdentity,
    Invitation,
    JobsDecision,
    NewAccount,
    Session,
    Tokens,
    User,
    UserFilter,
    UserPage,
)


class Joining(Protocol):
    """How people come in."""

    def policy(self) -> SignUpPolicy:
        """Who may make an account."""

    def sign_up(self, new: NewAccount, client: Client) -> User:
        """Make an account that waits for verification, and send the mail.

        Raises InvalidInput with every broken rule, EmailTaken, SignUpRefused, TooManyAttempts.
        """

    def send_verification(self, email: str, client: Client) -> None:
        """Send a new mail if an account waits for it; the answer never says whether.

        Raises InvalidInput, TooManyAttempts.
        """

    def verify(self, key: str) -> User:
        """Confirm an address with the key from a mail, once. Raises KeyRefused."""

    def invitation(self, key: str) -> Invitation:
        """What the key of an invitation stands for; using it up is another call.

        Raises KeyRefused.
        """

    def accept_invitation(self, key: str, new: NewAccount, client: Client) -> Tokens:
        """Make an account and sign in; the invitation's address counts, not `new.email`.

        Raises KeyRefused, InvalidInput, EmailTaken.
        """

    def first_key(self) -> str | None:
        """A fresh key that makes the first administrator; None when there is one.

        Keys given before stop working.
        """

    def check_first_key(self, key: str) -> None:
        """Look whether the key makes the first administrator; using it up is another call.

        Raises KeyRefused, Conflict when there is one already.
        """

    def create_first_administrator(self, key: str, new: NewAccount, client: Client) -> Tokens:
        """Make the first administrator and sign in.

        Raises KeyRefused, InvalidInput, EmailTaken, Conflict when there is one already.
        """


class Signing(Protocol):
    """Sessions: from signing in to signing out."""

    def sign_in(self, email: str, password: str, client: Client) -> Tokens:
        """Start a session.

        Raises SignInRefused, NotVerified, AccountDisabled, TooManyAttempts.
        """

    def sign_in_with_identity(self, identity: ExternalIdentity, client: Client) -> Tokens:
        """Start a session for somebody whom another provider vouches for.

        New people need the sign-up policy's leave, or an invitation. Raises SignUpRefused,
        AccountDisabled, Conflict for the address of an account that is not verified.
        """

    def refresh(self, token: str, client: Client) -> Tokens:
        """The next pair; a token works once, and an old one ends its session.

        Raises TokenRefused, AccountDisabled.
        """

    def validate(self, token: str) -> Principal:
        """Whose access token this is. Raises TokenRefused, also as soon as the session ended."""

    def sign_out(self, principal: Principal) -> None:
        """End the session of this token."""

    def user(self, principal: Principal) -> User:
        """The account of that person."""

    def providers_of(self, principal: Principal) -> tuple[str, ...]:
        """At which other providers that person can sign in."""

    def rename(self, principal: Principal, first_name: str, last_name: str) -> User:
        """Change one's own name. Raises InvalidInput."""

    def forgot_password(self, email: str, client: Client) -> None:
        """Send a link for a new password if there is such an account; the answer never says.

        Raises InvalidInput, TooManyAttempts.
        """

    def reset_password(self, key: str, password: str) -> User:
        """Set a new password with the key from a mail and end all sessions.

        It proves the address, so an account that waited for verification is verified. Raises
        KeyRefused, InvalidInput (the key stays good).
        """

    def change_password(
        self, principal: Principal, before: str, after: str, client: Client
    ) -> Tokens:
        """Set a new password, end all sessions, this one too, and start a new one.

        Raises SignInRefused where `before` is wrong, InvalidInput, TooManyAttempts.
        """

    def sessions(self, principal: Principal) -> list[Session]:
        """One's own sessions that are alive, the last used first."""

    def end_session(self, principal: Principal, session_id: str) -> None:
        """End one of one's own sessions. Raises NotThere."""

    def end_other_sessions(self, principal: Principal) -> int:
        """End all of one's own sessions but this one; how many ended."""


class Managing(Protocol):
    """What administrators do; everybody else gets Forbidden."""

    def users(
        self, principal: Principal, wanted: UserFilter, after: str | None = None, limit: int = 50
    ) -> UserPage:
        """A page of users by address; `after` is the `next` of the page before."""

    def get_user(self, principal: Principal, user_id: str) -> User:
        """One user. Raises NotThere."""

    def set_role(self, principal: Principal, user_id: str, role: Role) -> User:
        """Give a user another role. Raises NotThere, LastAdministrator."""

    def disable(self, principal: Principal, user_id: str) -> User:
        """Shut a user out and end their sessions. Raises NotThere, LastAdministrator."""

    def enable(self, principal: Principal, user_id: str) -> User:
        """Let a user in again. Raises NotThere."""

    def delete_user(
        self, principal: Principal, user_id: str, decision: JobsDecision | None = None
    ) -> Deletion:
        """Delete a user; what became of their jobs is in the answer.

        Raises NotThere, LastAdministrator, JobsUndecided when there are jobs and no decision,
        Conflict when jobs to be deleted are running or the heir is no good.
        """

    def invite(self, principal: Principal, email: str, role: Role) -> Invitation:
        """Send an invitation; one sent before to that address stops working.

        Raises InvalidInput, EmailTaken, SignUpRefused where the policy is closed.
        """

    def invitations(self, principal: Principal) -> list[Invitation]:
        """Invitations that nobody has used yet, oldest first."""

    def withdraw_invitation(self, principal: Principal, invitation_id: str) -> None:
        """Take an invitation back. Raises NotThere."""


class Accounts(Joining, Signing, Managing, Protocol):
    """All of it. One suite tests every implementation."""

    def close(self) -> None:
        """Send mail that waits, then end."""
