"""Accounts in process: the catalog's tables, mail, and a secret of the case."""

from __future__ import annotations

from pydantic import SecretStr

from caseframe.accounts.attempts import Attempts
from caseframe.accounts.joining import LocalJoining
from caseframe.accounts.mail import Mailer, Postman
from caseframe.accounts.managing import LocalManaging
from caseframe.accounts.onetime import CatalogKeys, OneTimeKeys
from caseframe.accounts.options import AccountOptions
from caseframe.accounts.parts import Parts
from caseframe.accounts.passwords import Passwords
from caseframe.accounts.revocation import CatalogRevocations, Revocations
from caseframe.accounts.signing import LocalSigning
from caseframe.accounts.tokens import TokenMint
from caseframe.catalog.database import Catalog


class LocalAccounts(LocalJoining, LocalSigning, LocalManaging):
    """`Accounts` over a catalog. Safe to use from many threads."""

    def __init__(
        self,
        catalog: Catalog,
        mailer: Mailer,
        secret: SecretStr,
        options: AccountOptions | None = None,
        *,
        keys: OneTimeKeys | None = None,
        revocations: Revocations | None = None,
    ) -> None:
        """One-time keys and ended sessions live in the catalog where nothing else is given."""
        chosen = options or AccountOptions()
        parts = Parts(
            catalog=catalog,
            options=chosen,
            mint=TokenMint(secret, chosen.clock),
            passwords=Passwords(chosen.passwords),
            attempts=Attempts(chosen.attempts),
            mailer=mailer,
            postman=Postman(mailer),
            keys=keys or CatalogKeys(),
            revocations=revocations or CatalogRevocations(),
        )
        super().__init__(parts)

    @property
    def mint(self) -> TokenMint:
        """What signs tokens, for task tokens and sign-in states."""
        return self._parts.mint

    def flush_mail(self) -> None:
        """Wait until mail that was asked for is sent or given up."""
        self._parts.postman.flush()

    def close(self) -> None:
        """Send mail that waits, then end."""
        self._parts.postman.close()
