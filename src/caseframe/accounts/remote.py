"""`Accounts` of an auth service somewhere else: every call is a request over RabbitMQ."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, cast

from pydantic import SecretStr

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.calls import CALLS, PREFIX, Call, Seal, as_error
from caseframe.accounts.parts import token_digest
from caseframe.accounts.serve import QUEUE
from caseframe.bus.options import AmqpOptions
from caseframe.bus.rpc import Refusal, RpcClient
from caseframe.domain.access import AccountsAway, Principal
from caseframe.domain.errors import ServiceAway

_MOST_KEPT = 10_000
# What asks and changes nothing, so that what is remembered stays right.
_READS = frozenset(
    {
        "policy", "validate", "user", "providers_of", "sessions", "users", "get_user",
        "check_first_key", "invitation", "invitations",
    }
)  # fmt: skip


def remote_accounts(
    options: AmqpOptions,
    secret: SecretStr,
    *,
    queue: str = QUEUE,
    seconds: float = 4.0,
    keep_seconds: float = 2.0,
) -> Accounts:
    """The accounts behind that queue; `secret` is the one that all services share.

    A call that has no answer after `seconds` raises AccountsAway. Whose token it is, is remembered
    for `keep_seconds`: that long a session that ended elsewhere may still be let in.
    """
    client = RpcClient(options, queue, seconds=seconds, headers=Seal(secret).sign)
    return cast("Accounts", RemoteAccounts(client, keep_seconds))


class RemoteAccounts:
    """Has every method of `Accounts`, made from the Protocol; take it from `remote_accounts`."""

    def __init__(self, client: RpcClient, keep_seconds: float) -> None:
        self._client = client
        self._kept = _Kept(keep_seconds)

    @property
    def reason(self) -> str | None:
        """Why the service cannot be asked now; None when there is a connection."""
        return self._client.reason

    def validate(self, token: str) -> Principal:
        """Whose access token this is, as of a moment ago. Raises TokenRefused."""
        digest = token_digest(token)
        found = self._kept.find(digest)
        if found is None:
            began = self._kept.generation
            found = cast("Principal", self._call(CALLS["validate"], token))
            self._kept.keep(digest, found, began)
        return found

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def _call(self, call: Call, *given: Any, **named: Any) -> Any:
        try:
            return call.result(self._client.call(PREFIX + call.name, call.data(*given, **named)))
        except Refusal as no:
            raise as_error(no) from None
        except ServiceAway as error:
            raise AccountsAway(
                f"the auth service does not answer ({error}); try again in a minute"
            ) from error
        finally:
            if call.name not in _READS:
                self._kept.forget()


def _method(call: Call) -> Callable[..., Any]:
    def method(self: RemoteAccounts, *given: Any, **named: Any) -> Any:
        return self._call(call, *given, **named)

    method.__name__ = call.name
    return method


for _one in CALLS.values():
    if not hasattr(RemoteAccounts, _one.name):
        setattr(RemoteAccounts, _one.name, _method(_one))


class _Kept:
    """People by the digest of their token, each for a short time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._people: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._lock = threading.Lock()
        self.generation = 0
        """Counts how often all was forgotten."""

    def find(self, digest: bytes) -> Principal | None:
        """Whose token has that digest, if it was asked lately."""
        with self._lock:
            until, person = self._people.get(digest, (0.0, None))
        return person if time.monotonic() < until else None

    def keep(self, digest: bytes, person: Principal, generation: int) -> None:
        """Remember it, unless all was forgotten while the answer was on its way."""
        with self._lock:
            if generation != self.generation or self._seconds <= 0:
                return
            self._people[digest] = (time.monotonic() + self._seconds, person)
            self._people.move_to_end(digest)
            while len(self._people) > _MOST_KEPT:
                self._people.popitem(last=False)

    def forget(self) -> None:
        """Forget all."""
        with self._lock:
            self.generation += 1
            self._people.clear()
