"""Who asks, by the metadata of a call, and which files they may read."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.tokens import TokenMint, read_service_token, read_task_token, says_task
from caseframe.catalog import jobs, shares
from caseframe.catalog.database import Catalog
from caseframe.domain.access import Principal, TokenRefused
from caseframe.domain.correlation import well_formed
from caseframe.domain.errors import NotFound, UsageError
from caseframe.jobmanager.protocol import AUTHORIZATION, CORRELATION
from caseframe.scanner.sources import source_name

_LONGEST_PATH = 16_384
_GRANT_SECONDS = 2.0
_MOST_GRANTS = 1000


@dataclass(frozen=True)
class Asked:
    """What the metadata of one call says; nothing of it is proved."""

    correlation_id: str
    token: str = field(repr=False)


def asked(metadata: Iterable[tuple[str, str | bytes]]) -> Asked:
    """Read the metadata. Raises UsageError without a correlation id, TokenRefused without token."""
    found = {key: value for key, value in metadata if isinstance(value, str)}
    correlation_id = found.get(CORRELATION, "")
    if not well_formed(correlation_id):
        raise UsageError(
            f"the metadata {CORRELATION} is missing, or no id of at most 128 letters and digits"
        )
    said = found.get(AUTHORIZATION, "").strip()
    scheme, _, rest = said.partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else said
    if not token:
        raise TokenRefused(f"the metadata {AUTHORIZATION} is missing; sign in first")
    return Asked(correlation_id, token)


class Doorkeeper:
    """Knows people by their access tokens, workers by a task's and our services by their own."""

    def __init__(
        self, catalog: Catalog, accounts: Accounts, mint: TokenMint, sources: bytes
    ) -> None:
        self._catalog = catalog
        self._accounts = accounts
        self._mint = mint
        self._sources = sources
        self._granted: dict[str, tuple[float, bytes]] = {}

    def person(self, asks: Asked) -> Principal:
        """Who asks. Raises TokenRefused, AccountsAway."""
        return self._accounts.validate(asks.token)

    def service(self, asks: Asked) -> str:
        """Which service of ours asks. Raises TokenRefused for everybody else."""
        return read_service_token(self._mint, asks.token)

    def check_read(self, asks: Asked, path: bytes) -> None:
        """Raise NotFound unless the caller may read the file at `path` below the sources root.

        A task's token opens the folder of its job; a person may read what lies in the folder of a
        job that they may see. Raises TokenRefused, AccountsAway.
        """
        folders = self._folders(path)
        if says_task(asks.token):
            may = self._granted_folder(asks.token) in folders
        else:
            who = self.person(asks)
            with self._catalog.read() as connection:
                may = shares.sees_one_over(connection, who, folders)
        if not may:
            raise NotFound("there is no such file")

    def _granted_folder(self, token: str) -> bytes:
        """The folder that a task's token opens, as of a moment ago.

        Workers ask for thousands of files of one job, and the catalog has other work; a token that
        is too old, or whose job was deleted, is refused a moment later.
        """
        now = time.monotonic()
        kept = self._granted.get(token)
        if kept is not None and kept[0] > now:
            return kept[1]
        grant = read_task_token(self._mint, token)
        with self._catalog.read() as connection:
            folder = jobs.get_job(connection, grant.job_id).source
        if len(self._granted) >= _MOST_GRANTS:
            self._granted.clear()
        self._granted[token] = now + _GRANT_SECONDS, folder
        return folder

    def _folders(self, path: bytes) -> list[bytes]:
        """The root and all folders below it that the path leads through, absolute."""
        names = path.split(b"/")
        if len(path) > _LONGEST_PATH or any(name in (b"", b".", b"..") for name in names):
            return []
        start = self._sources.rstrip(b"/")
        below = [b"/".join(names[:count]) for count in range(1, len(names))]
        return [self._sources, *(start + b"/" + folder for folder in below)]

    def name_of(self, source: bytes) -> bytes:
        """What people call a job's source: its path below the root, or the whole path outside."""
        name = source_name(self._sources, source)
        return source if name is None else name
