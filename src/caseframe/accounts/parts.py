"""What the three parts of the accounts in process share."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from caseframe.accounts.attempts import Attempts
from caseframe.accounts.mail import Mailer, Postman
from caseframe.accounts.onetime import OneTimeKeys
from caseframe.accounts.options import AccountOptions
from caseframe.accounts.passwords import Passwords
from caseframe.accounts.revocation import Revocations
from caseframe.accounts.tokens import Kind, TokenMint
from caseframe.catalog import accounts as stored
from caseframe.catalog import sessions
from caseframe.catalog.database import Catalog
from caseframe.domain.people import Client, Tokens

# How long rows of ended sessions and dead keys are kept for people who look into an incident.
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Parts:
    """The catalog and the tools; `mailer` sends at once, `postman` behind the caller's back."""

    catalog: Catalog
    options: AccountOptions
    mint: TokenMint
    passwords: Passwords
    attempts: Attempts
    mailer: Mailer
    postman: Postman
    keys: OneTimeKeys
    revocations: Revocations

    def open_session(self, connection: Connection, user_id: str, client: Client) -> Tokens:
        """Start a session in this transaction, and forget those that are long over."""
        session_id = str(uuid.uuid4())
        pair = self.make_tokens(user_id, session_id)
        present = self.options.clock()
        sessions.forget_sessions(connection, present - KEPT)
        self.keys.forget(connection, present - KEPT)
        sessions.add_session(
            connection, session_id, user_id, token_digest(pair.refresh), pair.refresh_expires_at,
            client,
        )  # fmt: skip
        stored.change_user(connection, user_id, last_seen_at=present)
        return pair

    def ended(self, session_ids: Iterable[str]) -> None:
        """Tell everybody that these sessions have ended; call it after the commit."""
        self.revocations.end(session_ids, self.options.access_life)

    def make_tokens(self, user_id: str, session_id: str) -> Tokens:
        """A pair of tokens for a session."""
        options, present = self.options, self.options.clock()
        return Tokens(
            self.mint.make(Kind.ACCESS, user_id, options.access_life, session_id=session_id),
            self.mint.make(Kind.REFRESH, user_id, options.refresh_life, session_id=session_id),
            present + options.access_life,
            present + options.refresh_life,
        )


def token_digest(token: str) -> bytes:
    """SHA-256 of a token; it is random enough to need no slower digest."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
