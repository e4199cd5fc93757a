"""Sign-up, verification, invitations and the first administrator, in process."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from caseframe.accounts import letters
from caseframe.accounts.mail import Mail
from caseframe.accounts.parts import Parts
from caseframe.accounts.rules import (
    check,
    email_faults,
    email_key,
    name_faults,
    password_faults,
    tidy_name,
)
from caseframe.catalog import accounts as stored
from caseframe.catalog.keys import KeyHolder, Purpose
from caseframe.domain.access import (
    AccountsAway,
    Conflict,
    EmailTaken,
    KeyRefused,
    Role,
    SignUpPolicy,
    SignUpRefused,
)
from caseframe.domain.people import (
    Client,
    Invitation,
    NewAccount,
    Tokens,
    User,
)

_BAD_KEY = "this link is not valid, was used already, or is too old; ask for a new one"
_OLD_FIRST_KEY = "this link is not valid any more; start the server again for one"


class LocalJoining:
    """The part of `Accounts` by which people come in."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def policy(self) -> SignUpPolicy:
        """Who may make an account."""
        return self._parts.options.policy

    def sign_up(self, new: NewAccount, client: Client) -> User:
        """Make an account that waits for verification, and send the mail."""
        parts = self._parts
        if parts.options.policy is not SignUpPolicy.OPEN:
            raise SignUpRefused(closed_to_strangers(parts.options.policy))
        _check_account(new)
        parts.attempts.mail(email_key(new.email), client.address)
        with parts.catalog.read() as connection:  # before the digest, which costs
            if stored.find_by_email(connection, email_key(new.email)):
                raise EmailTaken
        digest = parts.passwords.digest(new.password)
        with parts.catalog.begin() as connection:
            user = _add(connection, new, parts.options.sign_up_role, digest)
            mail = self._verification(connection, user)
        try:
            parts.mailer.send(mail)
        except AccountsAway as error:
            raise AccountsAway(
                f"your account is made, but {error}; then ask for a new mail to confirm it"
            ) from error
        return user

    def _verification(self, connection: Connection, user: User) -> Mail:
        options = self._parts.options
        key = self._user_key(connection, Purpose.VERIFY, user)
        link = options.link(options.paths.verify, key)
        return letters.verification(user.email, user.name, link, options.verify_life)

    def _user_key(self, connection: Connection, purpose: Purpose, user: User) -> str:
        keys, options = self._parts.keys, self._parts.options
        life = options.verify_life if purpose is Purpose.VERIFY else options.reset_life
        keys.drop_all(connection, purpose, user_id=user.id)
        present, holder = options.clock(), KeyHolder(user_id=user.id)
        return keys.make(connection, purpose, holder, present, present + life)[1]

    def send_verification(self, email: str, client: Client) -> None:
        """Send a new mail if an account waits for it."""
        self._parts.attempts.mail(email_key(email), client.address)
        with self._parts.catalog.begin() as connection:
            user = stored.find_by_email(connection, email_key(email))
            if user is None or user.verified_at or user.disabled_at:
                return
            mail = self._verification(connection, user)
        self._parts.postman.post(mail)

    def verify(self, key: str) -> User:
        """Confirm an address with the key from a mail, once."""
        parts, present = self._parts, self._parts.options.clock()
        with (
            parts.catalog.begin() as connection,
            parts.keys.using(connection, Purpose.VERIFY, key, present) as holder,
        ):
            if holder is None or holder.user_id is None:
                raise KeyRefused(_BAD_KEY)
            return stored.change_user(connection, holder.user_id, verified_at=present)

    def forgot_password(self, email: str, client: Client) -> None:
        """Send a link for a new password if there is such an account."""
        options = self._parts.options
        self._parts.attempts.mail(email_key(email), client.address)
        with self._parts.catalog.begin() as connection:
            user = stored.find_by_email(connection, email_key(email))
            if user is None or user.disabled_at:
                return
            key = self._user_key(connection, Purpose.RESET, user)
        link = options.link(options.paths.reset, key)
        self._parts.postman.post(letters.reset(user.email, user.name, link, options.reset_life))

    def invitation(self, key: str) -> Invitation:
        """What the key of an invitation stands for."""
        with self._parts.catalog.read() as connection:
            found = self._parts.keys.invitation(connection, key, self._parts.options.clock())
        if found is None:
            raise KeyRefused(_BAD_KEY)
        return found

    def accept_invitation(self, key: str, new: NewAccount, client: Client) -> Tokens:
        """Make an account with the invitation's address and sign in."""
        parts = self._parts
        if parts.options.policy is SignUpPolicy.CLOSED:
            raise SignUpRefused(closed_to_strangers(SignUpPolicy.CLOSED))
        new = replace(new, email=self.invitation(key).email)
        _check_account(new)
        digest = parts.passwords.digest(new.password)
        with (
            parts.catalog.begin() as connection,
            parts.keys.using(connection, Purpose.INVITE, key, parts.options.clock()) as holder,
        ):
            if holder is None or holder.role is None:
                raise KeyRefused(_BAD_KEY)
            user = _add(connection, new, holder.role, digest, verified=True)
            return parts.open_session(connection, user.id, client)

    def first_key(self) -> str | None:
        """A fresh key that makes the first administrator; None when there is one."""
        keys, options, present = self._parts.keys, self._parts.options, self._parts.options.clock()
        with self._parts.catalog.begin() as connection:
            stored.hold_administrators(connection)
            if stored.administrators(connection):
                return None
            keys.drop_all(connection, Purpose.FIRST)
            end = present + options.first_life
            return keys.make(connection, Purpose.FIRST, KeyHolder(), present, end)[1]

    def check_first_key(self, key: str) -> None:
        """Look whether the key makes the first administrator."""
        parts = self._parts
        with parts.catalog.read() as connection:
            _require_none(connection)
            if not parts.keys.is_good(connection, Purpose.FIRST, key, parts.options.clock()):
                raise KeyRefused(_OLD_FIRST_KEY)

    def create_first_administrator(self, key: str, new: NewAccount, client: Client) -> Tokens:
        """Make the first administrator and sign in; who holds the key needs no mail."""
        parts = self._parts
        _check_account(new)
        with parts.catalog.read() as connection:  # before the digest, which costs
            _require_none(connection)
        digest = parts.passwords.digest(new.password)
        with parts.catalog.begin() as connection:
            stored.hold_administrators(connection)
            _require_none(connection)
            present = parts.options.clock()
            with parts.keys.using(connection, Purpose.FIRST, key, present) as holder:
                if holder is None:
                    raise KeyRefused(_OLD_FIRST_KEY)
                user = _add(connection, new, Role.ADMINISTRATOR, digest, verified=True)
                return parts.open_session(connection, user.id, client)


def _require_none(connection: Connection) -> None:
    if stored.administrators(connection):
        raise Conflict("this case has an administrator already; sign in instead")


def closed_to_strangers(policy: SignUpPolicy) -> str:
    """Why somebody unknown does not get in."""
    if policy is SignUpPolicy.CLOSED:
        return "nobody can make an account in this case; ask its administrator"
    return "accounts in this case are by invitation; ask its administrator for one"


def _check_account(new: NewAccount) -> None:
    check(
        name_faults("first name", new.first_name),
        name_faults("last name", new.last_name),
        email_faults(new.email),
        password_faults(new.password),
    )


def _add(
    connection: Connection, new: NewAccount, role: Role, digest: str, *, verified: bool = False
) -> User:
    return stored.add_user(
        connection,
        email=new.email.strip(),
        email_key=email_key(new.email),
        first_name=tidy_name(new.first_name),
        last_name=tidy_name(new.last_name),
        role=role,
        password_hash=digest,
        verified=verified,
    )
