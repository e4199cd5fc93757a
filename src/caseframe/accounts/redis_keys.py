"""One-time keys in Redis, for services: each ends by itself, and all of them with the server.

`key:PURPOSE:DIGEST` holds the record, `key-id:PURPOSE:ID` the digest; sorted sets by the time of
making list the digests of a purpose and of one holder. What a set names and is gone is dropped.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, cast

import redis
from sqlalchemy import Connection

from caseframe.accounts.redis_door import PREFIX, asking
from caseframe.catalog.keys import KeyHolder, Purpose
from caseframe.domain.access import Role
from caseframe.domain.people import Invitation


@dataclass(frozen=True)
class _Record:
    """What is known of one key, without the key."""

    id: str
    digest: str
    purpose: Purpose
    holder: KeyHolder
    created_at: datetime
    expires_at: datetime

    def text(self) -> str:
        holder = self.holder
        return json.dumps(
            {
                "id": self.id,
                "digest": self.digest,
                "purpose": self.purpose,
                "user_id": holder.user_id,
                "email": holder.email,
                "email_key": holder.email_key,
                "role": holder.role,
                "created_at": self.created_at.isoformat(),
                "expires_at": self.expires_at.isoformat(),
            }
        )

    @classmethod
    def read(cls, text: str) -> Self:
        found = json.loads(text)
        role = Role(found["role"]) if found["role"] else None
        return cls(
            found["id"],
            found["digest"],
            Purpose(found["purpose"]),
            KeyHolder(found["user_id"], found["email"], found["email_key"], role),
            datetime.fromisoformat(found["created_at"]),
            datetime.fromisoformat(found["expires_at"]),
        )

    def invitation(self) -> Invitation:
        return Invitation(
            self.id,
            self.holder.email or "",
            self.holder.role or Role.VIEWER,
            self.created_at,
            self.expires_at,
        )

    @property
    def place(self) -> str:
        return _place(self.purpose, self.digest)

    @property
    def lists(self) -> tuple[str, ...]:
        """The sets that name it."""
        owner = self.holder.user_id or self.holder.email_key
        every = _list(self.purpose)
        return (every, _list(self.purpose, owner)) if owner else (every,)


def _place(purpose: Purpose, digest: str) -> str:
    return f"{PREFIX}key:{purpose}:{digest}"


def _by_id(purpose: Purpose, number: str) -> str:
    return f"{PREFIX}key-id:{purpose}:{number}"


def _list(purpose: Purpose, owner: str | None = None) -> str:
    return f"{PREFIX}keys:{purpose}" + (f":{owner}" if owner else "")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class RedisKeys:
    """`OneTimeKeys` in Redis. The catalog's transaction is only where it happens."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def make(
        self,
        _connection: Connection,
        purpose: Purpose,
        holder: KeyHolder,
        present: datetime,
        end: datetime,
    ) -> tuple[str, str]:
        """(id, key) of a new key. When the transaction fails nobody ever learns the key."""
        number, key = str(uuid.uuid4()), str(uuid.uuid4())
        record = _Record(number, _digest(key), purpose, holder, present, end)
        with asking():
            self._put(record, max(1, math.ceil((end - present).total_seconds() * 1000)))
        return number, key

    def _put(self, record: _Record, life: int) -> None:
        """Store it for `life` milliseconds; the lists live on, so that they name it till then."""
        with self._redis.pipeline(transaction=True) as steps:
            for name in record.lists:
                steps.pttl(name)
            ends = [max(life, int(left)) for left in steps.execute()]
            steps.set(record.place, record.text(), px=life)
            steps.set(_by_id(record.purpose, record.id), record.digest, px=life)
            for name, end in zip(record.lists, ends, strict=True):
                steps.zadd(name, {record.digest: record.created_at.timestamp()})
                steps.pexpire(name, end)
            steps.execute()

    def is_good(
        self, _connection: Connection, purpose: Purpose, key: str, present: datetime
    ) -> bool:
        """Whether the key would open something now; using it may still lose a race."""
        return self._find(purpose, key, present) is not None

    def _find(self, purpose: Purpose, key: str, present: datetime) -> _Record | None:
        with asking():
            text = cast("str | None", self._redis.get(_place(purpose, _digest(key))))
        found = _Record.read(text) if text else None
        return found if found and found.expires_at > present else None

    @contextmanager
    def using(
        self, _connection: Connection, purpose: Purpose, key: str, present: datetime
    ) -> Iterator[KeyHolder | None]:
        """Use a key up for the work of the block, and put it back when the block raises."""
        found = self._find(purpose, key, present)
        left = self._take(found) if found else 0
        if found is None or not left:
            yield None
            return
        try:
            yield found.holder
        except BaseException:
            with asking():
                self._put(found, left)
            raise

    def _take(self, record: _Record) -> int:
        """Remove a key; the milliseconds it had left, 0 when somebody else was first."""
        with asking(), self._redis.pipeline(transaction=True) as steps:
            steps.pttl(record.place)
            steps.delete(record.place)
            steps.delete(_by_id(record.purpose, record.id))
            for name in record.lists:
                steps.zrem(name, record.digest)
            left, gone = steps.execute()[:2]
        return max(1, int(left)) if gone else 0

    def invitation(self, _connection: Connection, key: str, present: datetime) -> Invitation | None:
        """The invitation that a key stands for, without using it."""
        found = self._find(Purpose.INVITE, key, present)
        return found.invitation() if found else None

    def invitation_for(
        self, _connection: Connection, email_key: str, present: datetime
    ) -> Invitation | None:
        """The newest invitation of that address that is still good."""
        found = self._all(Purpose.INVITE, email_key)
        good = [one.invitation() for one in found if one.expires_at > present]
        return good[-1] if good else None

    def invitations(self, _connection: Connection, present: datetime) -> list[Invitation]:
        """All invitations that nobody has used and that are still good, oldest first."""
        found = self._all(Purpose.INVITE)
        return [one.invitation() for one in found if one.expires_at > present]

    def _all(self, purpose: Purpose, owner: str | None = None) -> list[_Record]:
        """The keys that a list names, oldest first."""
        name = _list(purpose, owner)
        with asking():
            digests = cast("list[str]", self._redis.zrange(name, 0, -1))
            texts: Iterable[Any] = (
                self._redis.mget([_place(purpose, one) for one in digests]) if digests else ()
            )
            found = dict(zip(digests, texts, strict=True))
            if gone := [digest for digest, text in found.items() if not text]:
                self._redis.zrem(name, *gone)
        return [_Record.read(text) for text in found.values() if text]

    def drop(self, _connection: Connection, purpose: Purpose, number: str) -> bool:
        """Take a key back before it is used; False where there is none."""
        with asking():
            digest = cast("str | None", self._redis.get(_by_id(purpose, number)))
            text = digest and cast("str | None", self._redis.get(_place(purpose, digest)))
        return bool(text) and self._take(_Record.read(text or "")) > 0

    def drop_all(
        self,
        _connection: Connection,
        purpose: Purpose,
        *,
        user_id: str | None = None,
        email_key: str | None = None,
    ) -> None:
        """Take back all keys of that purpose: of one user, of one address, or all."""
        for record in self._all(purpose, user_id or email_key):
            self._take(record)

    def forget(self, _connection: Connection, before: datetime) -> None:
        """Nothing to do: Redis forgets by itself."""
