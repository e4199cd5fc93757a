"""Rate limits in a moving window: in this process, or in Redis for several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from pydantic import SecretStr

from caseframe.domain.access import AccountsAway

_UNIX = "unix://"


def storage_uri(redis_url: SecretStr | None) -> str:
    """Where to count, as `limits` names it: in that Redis, else in memory."""
    if redis_url is None:
        return "memory://"
    text = redis_url.get_secret_value()
    return f"redis+{text}" if text.startswith(_UNIX) else text


def limiter(storage: str) -> MovingWindowRateLimiter:
    """Counts at that storage; use it inside of `counting`."""
    more: dict[str, Any] = {}
    if not storage.startswith("memory:"):
        from caseframe.accounts.redis_door import PREFIX, patience  # noqa: PLC0415 - slow to import

        more = {**patience(), "key_prefix": f"{PREFIX}rate"}
    return MovingWindowRateLimiter(storage_from_string(storage, wrap_exceptions=True, **more))


@contextmanager
def counting() -> Iterator[None]:
    """Where the block cannot count AccountsAway comes out: nobody is let through uncounted."""
    try:
        yield
    except StorageError as error:
        raise AccountsAway(
            "attempts cannot be counted now, as the Redis server does not answer; try again in a "
            "minute"
        ) from error
