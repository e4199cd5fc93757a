"""Brute force is slowed down: failures in a moving window, for each account and each address."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from limits import RateLimitItem, parse

from caseframe.accounts.counting import counting, limiter
from caseframe.domain.access import SignInRefused, TooManyAttempts


@dataclass(frozen=True, slots=True)
class AttemptOptions:
    """Limits as `count/period`. Mails count as sent, not as failed.

    `storage` is a `limits` URI; memory counts within one process, redis:// across several.
    """

    account_failures: str = "10 per 15 minutes"
    address_failures: str = "30 per 15 minutes"
    account_mails: str = "5 per hour"
    address_mails: str = "20 per hour"
    storage: str = field(default="memory://", repr=False)  # a URL may hold a password


class Attempts:
    """Counts what failed and refuses the next try over a limit. Safe to use from many threads."""

    def __init__(self, options: AttemptOptions) -> None:
        self._limiter = limiter(options.storage)
        self._failures = (parse(options.account_failures), parse(options.address_failures))
        self._mails = (parse(options.account_mails), parse(options.address_mails))
        self._lock = threading.Lock()
        self._at_work: Counter[str] = Counter()

    @contextmanager
    def sign_in(self, account: str, address: str) -> Iterator[None]:
        """One try; a SignInRefused that leaves the block is counted.

        Tries that are at work count as failed until they end, so that a burst gets no further
        than the same tries one after the other. Raises TooManyAttempts, AccountsAway where nothing
        can be counted.
        """
        limits = self._named("failed", self._failures, account, address)
        with counting(), self._lock:
            for limit in limits:
                self._refuse_over(limit)
            self._at_work.update(key for _, key in limits)
        try:
            yield
        except SignInRefused:
            with counting():
                for item, key in limits:
                    self._limiter.hit(item, key)
            raise
        finally:
            with self._lock:
                self._at_work.subtract(key for _, key in limits)
                self._at_work = +self._at_work

    def _refuse_over(self, limit: tuple[RateLimitItem, str]) -> None:
        item, key = limit
        window = self._limiter.get_window_stats(item, key)
        if window.remaining <= self._at_work[key]:
            raise TooManyAttempts(_wait(window.reset_time, item))

    def mail(self, account: str, address: str) -> None:
        """Count a mail to that account, asked for from that address. Raises TooManyAttempts."""
        with counting():
            for item, key in self._named("mail", self._mails, account, address):
                if not self._limiter.hit(item, key):
                    raise TooManyAttempts(_wait(self._limiter.get_window_stats(item, key)[0], item))

    @staticmethod
    def _named(
        what: str, items: tuple[RateLimitItem, RateLimitItem], account: str, address: str
    ) -> list[tuple[RateLimitItem, str]]:
        found = [(items[0], f"{what}:account:{account}")]
        if address:
            found.append((items[1], f"{what}:address:{network_of(address)}"))
        return found


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """What one client can hardly change: the address, of IPv6 the /64 that a line gets whole."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found.packed[:8] + bytes(8), 64)))
    return str(found)


def _wait(reset: float, item: RateLimitItem) -> int:
    return min(max(1, math.ceil(reset - time.time())), item.get_expiry())
