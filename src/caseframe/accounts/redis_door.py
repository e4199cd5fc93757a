"""The way to Redis: short waits, one more try on a fresh connection, and errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.retry import Retry

from caseframe.domain.access import AccountsAway
from caseframe.domain.errors import UsageError

PREFIX = "caseframe:"
_SECONDS = 1.0


def patience() -> dict[str, Any]:
    """Options of a client.

    A server that was started anew leaves dead connections in the pool: the second try opens one.
    """
    return {
        "socket_timeout": _SECONDS,
        "socket_connect_timeout": _SECONDS,
        "retry": Retry(NoBackoff(), 1),
    }


def connect(url: SecretStr) -> redis.Redis:
    """A client with a pool of connections, which connects when it is first asked.

    Raises UsageError for what is no URL of a Redis.
    """
    try:
        return redis.Redis.from_url(url.get_secret_value(), decode_responses=True, **patience())
    except ValueError as error:
        raise UsageError(
            "redis_url is no URL of a Redis, such as rediss://cache.example.org/0"
        ) from error


@contextmanager
def asking() -> Iterator[None]:
    """What goes wrong in the block with Redis comes out as AccountsAway: nobody is let through."""
    try:
        yield
    except redis.RedisError as error:
        raise AccountsAway(
            "the Redis server behind accounts does not answer; try again in a minute"
        ) from error


def trouble(client: redis.Redis) -> str | None:
    """Why Redis cannot be asked now, in one line; None when it can."""
    try:
        client.ping()
    except redis.RedisError as error:
        return f"Redis does not answer: {type(error).__name__}"
    return None
