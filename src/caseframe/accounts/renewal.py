"""Refreshing for browsers, which send many requests at once with the same cookie.

A refresh token works once, and its second use ends the session. A page that comes back after a
break asks for a dozen things at once, each with the same old pair; they must share one refresh.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from caseframe.accounts.accounts import Signing
from caseframe.accounts.parts import token_digest
from caseframe.domain.people import Client, Tokens


@dataclass(frozen=True, slots=True)
class _Shared:
    until: float
    result: Future[Tokens] = field(repr=False)


class Renewals:
    """One refresh for all requests that bring the same token within `seconds`, in one process."""

    def __init__(
        self,
        accounts: Signing,
        *,
        seconds: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._shared: dict[bytes, _Shared] = {}

    def renew(self, token: str, client: Client) -> Tokens:
        """The next pair, the same for every caller with this token. Raises as `refresh` does."""
        digest, present = token_digest(token), self._clock()
        with self._lock:
            self._shared = {k: s for k, s in self._shared.items() if s.until > present}
            found = self._shared.get(digest)
            first = found is None
            if found is None:
                found = self._shared[digest] = _Shared(present + self._seconds, Future())
        if first:
            self._refresh(token, client, digest, found.result)
        return found.result.result()

    def _refresh(self, token: str, client: Client, digest: bytes, result: Future[Tokens]) -> None:
        try:
            result.set_result(self._accounts.refresh(token, client))
        except BaseException as error:  # noqa: BLE001 - the others wait; result() raises it again
            with self._lock:  # the next caller tries again: what was away may be back
                self._shared.pop(digest, None)
            result.set_exception(error)
