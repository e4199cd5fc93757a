"""Ended sessions in Redis, for the life of an access token; the catalog stays what counts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta

import redis
import structlog

from caseframe.accounts.redis_door import PREFIX

_log = structlog.get_logger(__name__)
_AWAY_SECONDS = 5.0


class RedisRevocations:
    """Redis in front of the catalog; one that is away is left alone for some seconds."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._away_until = 0.0

    def end(self, session_ids: Iterable[str], life: timedelta) -> None:
        """Remember it; with Redis away the catalog has it all the same."""
        if time.monotonic() < self._away_until:
            return
        try:
            with self._redis.pipeline(transaction=False) as steps:
                for number in session_ids:
                    steps.set(_place(number), "1", px=life)
                steps.execute()
        except redis.RedisError as error:
            self._leave(error)

    def ended(self, session_id: str) -> bool:
        """Whether Redis knows that it has ended."""
        if time.monotonic() < self._away_until:
            return False
        try:
            return bool(self._redis.exists(_place(session_id)))
        except redis.RedisError as error:
            self._leave(error)
            return False

    def _leave(self, error: redis.RedisError) -> None:
        # Each try may wait for its time limit, and this stands before every request.
        self._away_until = time.monotonic() + _AWAY_SECONDS
        _log.warning("revocation.catalog_only", reason=type(error).__name__)


def _place(session_id: str) -> str:
    return f"{PREFIX}ended:{session_id}"
