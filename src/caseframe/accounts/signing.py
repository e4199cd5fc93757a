"""Sessions, from signing in to signing out, and one's own account, in process."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection

from caseframe.accounts import letters
from caseframe.accounts.joining import closed_to_strangers
from caseframe.accounts.parts import Parts, token_digest
from caseframe.accounts.rules import (
    check,
    email_faults,
    email_key,
    identifier,
    name_faults,
    password_faults,
    tidy_name,
)
from caseframe.accounts.tokens import Claims, Kind
from caseframe.catalog import accounts as stored
from caseframe.catalog import sessions
from caseframe.catalog.keys import Purpose
from caseframe.domain.access import (
    AccountDisabled,
    Conflict,
    EmailTaken,
    IdentityRefused,
    KeyRefused,
    NotThere,
    NotVerified,
    Principal,
    SignInRefused,
    SignUpPolicy,
    SignUpRefused,
    TokenRefused,
)
from caseframe.domain.people import (
    Client,
    ExternalIdentity,
    Session,
    Tokens,
    User,
)

_log = structlog.get_logger(__name__)
_ENDED = "this session has ended; sign in again"
_BAD_KEY = "this link is not valid, was used already, or is too old; ask for a new one"


class LocalSigning:
    """The part of `Accounts` that is about sessions and one's own account."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def sign_in(self, email: str, password: str, client: Client) -> Tokens:
        """Start a session."""
        account = email_key(email) if not email_faults(email) else "not an address"
        with self._parts.attempts.sign_in(account, client.address):
            user = self._proven(account, password)
        if user.disabled_at:
            raise AccountDisabled
        if not user.verified_at:
            raise NotVerified
        with self._parts.catalog.begin() as connection:
            _require_alive(connection, user.id)
            return self._parts.open_session(connection, user.id, client)

    def _proven(self, account: str, password: str) -> User:
        """The user who knows that password; an unknown account takes as long as a wrong one."""
        parts = self._parts
        with parts.catalog.read() as connection:
            user = stored.find_by_email(connection, account)
            digest = stored.password_hash(connection, user.id if user else "")
        right, better = parts.passwords.check(password, digest)
        if not right or user is None or digest is None:
            raise SignInRefused
        if better:
            with parts.catalog.begin() as connection:
                stored.replace_hash(connection, user.id, digest, better)
        return user

    def sign_in_with_identity(self, identity: ExternalIdentity, client: Client) -> Tokens:
        """Start a session for somebody whom another provider vouches for."""
        try:
            return self._with_identity(identity, client)
        except EmailTaken:  # by another request of the same person a moment ago: it is linked now
            return self._with_identity(identity, client)

    def _with_identity(self, identity: ExternalIdentity, client: Client) -> Tokens:
        with self._parts.catalog.begin() as connection:
            user = stored.find_by_identity(connection, identity.provider, identity.subject)
            if user is None:
                user = self._link(connection, identity)
            if user.disabled_at:
                raise AccountDisabled
            if not user.verified_at:
                raise NotVerified
            return self._parts.open_session(connection, user.id, client)

    def _link(self, connection: Connection, identity: ExternalIdentity) -> User:
        """The account with the identity's address, or a new one, linked with the identity.

        An account whose address nobody has confirmed may have been made by somebody else, who
        would then share it with the address's owner; so it is never linked.
        """
        if email_faults(identity.email):
            raise IdentityRefused("the other provider gave no e-mail address that can be used")
        user = stored.find_by_email(connection, email_key(identity.email))
        if user is not None and not user.verified_at:
            raise Conflict(
                "an account with this e-mail address waits to be confirmed; ask for a new "
                "password there, then sign in this way"
            )
        if user is None:
            user = self._new_user(connection, identity)
        stored.add_identity(connection, identity.provider, identity.subject, user.id)
        linked = stored.find_by_identity(connection, identity.provider, identity.subject)
        if linked is None or linked.id != user.id:
            raise Conflict("this identity was linked with another account; sign in again")
        return user

    def _new_user(self, connection: Connection, identity: ExternalIdentity) -> User:
        address, present = email_key(identity.email), self._parts.options.clock()
        policy, role = self._parts.options.policy, self._parts.options.sign_up_role
        invited = self._parts.keys.invitation_for(connection, address, present)
        if policy is SignUpPolicy.CLOSED or (policy is SignUpPolicy.INVITED and invited is None):
            raise SignUpRefused(closed_to_strangers(policy))
        if invited is not None:
            role = invited.role
        first, last = _names(identity)
        user = stored.add_user(
            connection, email=identity.email.strip(), email_key=address, first_name=first,
            last_name=last, role=role, verified=True,
        )  # fmt: skip
        if invited is not None:  # last: where keys live in Redis, this is not undone
            self._parts.keys.drop_all(connection, Purpose.INVITE, email_key=address)
        return user

    def refresh(self, token: str, client: Client) -> Tokens:
        """The next pair; a token works once, and an old one ends its session."""
        parts = self._parts
        claims = parts.mint.read(Kind.REFRESH, token)
        pair = parts.make_tokens(claims.subject, claims.session_id)
        present = parts.options.clock()
        with parts.catalog.begin() as connection:
            if self._alive(connection, claims) and sessions.rotate(
                connection, claims.session_id, token_digest(token), token_digest(pair.refresh),
                pair.refresh_expires_at, client,
            ):  # fmt: skip
                stored.change_user(connection, claims.subject, last_seen_at=present)
                return pair
            # A genuine token that is not the good one was used before: by us or by a thief.
            if sessions.end_session(connection, claims.subject, claims.session_id, "token re-used"):
                _log.warning("session.token_reused", user=claims.subject, address=client.address)
        parts.ended([claims.session_id])
        raise TokenRefused(_ENDED)

    def _alive(self, connection: Connection, claims: Claims) -> Principal | None:
        present = self._parts.options.clock()
        return sessions.principal_of(connection, claims.session_id, claims.subject, present, "")

    def validate(self, token: str) -> Principal:
        """Whose access token this is."""
        parts = self._parts
        claims = parts.mint.read(Kind.ACCESS, token)
        if parts.revocations.ended(claims.session_id):
            raise TokenRefused(_ENDED)
        with parts.catalog.read() as connection:
            found = sessions.principal_of(
                connection, claims.session_id, claims.subject, parts.options.clock(), token
            )
        if found is None:
            raise TokenRefused(_ENDED)
        return found

    def sign_out(self, principal: Principal) -> None:
        """End the session of this token."""
        with self._parts.catalog.begin() as connection:
            sessions.end_session(connection, principal.user_id, principal.session_id, "signed out")
        self._parts.ended([principal.session_id])

    def user(self, principal: Principal) -> User:
        """The account of that person."""
        with self._parts.catalog.read() as connection:
            return stored.get_user(connection, principal.user_id)

    def providers_of(self, principal: Principal) -> tuple[str, ...]:
        """At which other providers that person can sign in."""
        with self._parts.catalog.read() as connection:
            return stored.identities_of(connection, principal.user_id)

    def rename(self, principal: Principal, first_name: str, last_name: str) -> User:
        """Change one's own name."""
        check(name_faults("first name", first_name), name_faults("last name", last_name))
        with self._parts.catalog.begin() as connection:
            return stored.rename_user(
                connection, principal.user_id, tidy_name(first_name), tidy_name(last_name)
            )

    def reset_password(self, key: str, password: str) -> User:
        """Set a new password with the key from a mail and end all sessions."""
        parts, present = self._parts, self._parts.options.clock()
        check(password_faults(password))
        with parts.catalog.read() as connection:  # before the digest, which costs
            if not parts.keys.is_good(connection, Purpose.RESET, key, present):
                raise KeyRefused(_BAD_KEY)
        digest = parts.passwords.digest(password)
        with (
            parts.catalog.begin() as connection,
            parts.keys.using(connection, Purpose.RESET, key, present) as holder,
        ):
            if holder is None or holder.user_id is None:
                raise KeyRefused(_BAD_KEY)
            user = stored.get_user(connection, holder.user_id)
            ended = self._set_password(connection, user.id, digest)
            if not user.verified_at:
                user = stored.change_user(connection, user.id, verified_at=present)
        parts.ended(ended)
        parts.postman.post(letters.password_changed(user.email, user.name))
        return user

    def change_password(
        self, principal: Principal, before: str, after: str, client: Client
    ) -> Tokens:
        """Set a new password, end all sessions, this one too, and start a new one."""
        parts = self._parts
        check(password_faults(after))
        account = email_key(principal.email)
        with parts.attempts.sign_in(account, client.address):
            user = self._proven(account, before)
        digest = parts.passwords.digest(after)
        with parts.catalog.begin() as connection:
            _require_alive(connection, user.id)
            ended = self._set_password(connection, user.id, digest)
            pair = parts.open_session(connection, user.id, client)
        parts.ended(ended)
        parts.postman.post(letters.password_changed(user.email, user.name))
        return pair

    def _set_password(self, connection: Connection, user_id: str, digest: str) -> list[str]:
        """The sessions that ended over it."""
        stored.change_user(connection, user_id, password_hash=digest)
        self._parts.keys.drop_all(connection, Purpose.RESET, user_id=user_id)
        return sessions.end_all_sessions(connection, user_id, "password changed")

    def sessions(self, principal: Principal) -> list[Session]:
        """One's own sessions that are alive."""
        present = self._parts.options.clock()
        with self._parts.catalog.read() as connection:
            return sessions.list_sessions(
                connection, principal.user_id, principal.session_id, present
            )

    def end_session(self, principal: Principal, session_id: str) -> None:
        """End one of one's own sessions."""
        identifier(session_id, "session")
        with self._parts.catalog.begin() as connection:
            if not sessions.end_session(connection, principal.user_id, session_id, "ended by user"):
                raise NotThere("there is no such session, or it has ended already")
        self._parts.ended([session_id])

    def end_other_sessions(self, principal: Principal) -> int:
        """End all of one's own sessions but this one."""
        with self._parts.catalog.begin() as connection:
            ended = sessions.end_all_sessions(
                connection, principal.user_id, "ended by user", besides=principal.session_id
            )
        self._parts.ended(ended)
        return len(ended)


def _require_alive(connection: Connection, user_id: str) -> None:
    """The digest took a while; the account may have been disabled or deleted meanwhile."""
    user = stored.find_user(connection, user_id)
    if user is None:
        raise SignInRefused
    if user.disabled_at:
        raise AccountDisabled


def _names(identity: ExternalIdentity) -> tuple[str, str]:
    """First and last name by our rules; what does not fit gives way to the address."""
    first, last = tidy_name(identity.first_name), tidy_name(identity.last_name)
    fallback = "".join(c if c.isalpha() else " " for c in identity.email.split("@")[0])
    fallback = tidy_name(fallback) or "Somebody"
    return (
        fallback if name_faults("name", first) else first,
        "" if name_faults("name", last) else last,
    )
