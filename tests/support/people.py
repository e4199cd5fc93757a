"""People for tests: accounts over a catalog, a mailer that keeps what it is given, a set clock."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pydantic import SecretStr
from tests.support.nest import Nest

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.attempts import AttemptOptions
from caseframe.accounts.counting import storage_uri
from caseframe.accounts.local import LocalAccounts
from caseframe.accounts.mail import Mail
from caseframe.accounts.options import AccountOptions
from caseframe.accounts.passwords import PasswordOptions
from caseframe.accounts.redis_door import connect
from caseframe.accounts.redis_keys import RedisKeys
from caseframe.accounts.redis_revocation import RedisRevocations
from caseframe.accounts.remote import remote_accounts
from caseframe.accounts.serve import QUICK, AccountsService
from caseframe.bus.options import AmqpOptions
from caseframe.bus.rpc import RpcServer
from caseframe.catalog.database import Catalog
from caseframe.domain.access import Principal, Role, SignUpPolicy
from caseframe.domain.people import Client, NewAccount, Tokens

T = TypeVar("T")
PASSWORD = "Correct-horse-7"
SECRET = SecretStr("kZ8vQ2mX5rT1wY9bN4cJ7hL0pD3fG6sA")
HERE = Client("192.0.2.1", "Test/1.0")


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.present = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.present

    def pass_by(self, **span: float) -> None:
        self.present += timedelta(**span)


class KeepingMailer:
    """A mailer that keeps mail in memory; `error` is what it raises instead, if set."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.error: Exception | None = None

    def send(self, mail: Mail) -> None:
        if self.error is not None:
            raise self.error
        self.mails.append(mail)

    def key(self) -> str:
        """The key in the last mail's link."""
        found = re.search(r"\?key=([0-9a-f-]{36})", self.mails[-1].text)
        assert found, self.mails[-1].text
        return found.group(1)


class Town:
    """Accounts with all that tests need to look behind them."""

    def __init__(self, catalog: Catalog, redis_url: str | None = None, **options: object) -> None:
        self.catalog = catalog
        self._stack = ExitStack()
        shared = connect(SecretStr(redis_url)) if redis_url else None
        storage = storage_uri(SecretStr(redis_url) if redis_url else None)
        self.clock = Clock()
        self.mailer = KeepingMailer()
        chosen: dict[str, object] = {
            "policy": SignUpPolicy.OPEN,
            "passwords": PasswordOptions(memory_kib=64, passes=1, lanes=1),
            "attempts": AttemptOptions(storage=storage),
            "clock": self.clock,
            "public_url": "https://case.example.org",
            **options,
        }
        self.local = LocalAccounts(
            catalog,
            self.mailer,
            SECRET,
            AccountOptions(**chosen),  # type: ignore[arg-type]
            keys=RedisKeys(shared) if shared else None,
            revocations=RedisRevocations(shared) if shared else None,
        )
        self.accounts: Accounts = self.local
        self._stack.callback(self.local.close)
        if shared is not None:
            self._stack.callback(shared.close)

    def serve(self, amqp_url: str) -> None:
        """From now on `accounts` are those of an auth service over RabbitMQ."""
        options, queue = AmqpOptions(SecretStr(amqp_url)), f"auth-{uuid.uuid4()}"
        self.nest = Nest(amqp_url, queue)
        service = AccountsService(self.local, SECRET)
        server = self._stack.enter_context(closing(RpcServer(options, queue, service, quick=QUICK)))
        until = time.monotonic() + 30
        while server.reason is not None and time.monotonic() < until:
            time.sleep(0.01)
        self.server = server
        # A busy machine is no reason to fail, and what ended a moment ago is asked for at once.
        made = remote_accounts(options, SECRET, queue=queue, seconds=60, keep_seconds=0)
        self.accounts = self._stack.enter_context(closing(made))

    def close(self) -> None:
        """End everything."""
        self._stack.close()

    def new(self, email: str = "anna@example.org", password: str = PASSWORD) -> NewAccount:
        return NewAccount("Anna", "Nyström", email, password)

    def member(self, email: str = "anna@example.org") -> Principal:
        """Somebody who signed up, confirmed the address and signed in."""
        return self.accounts.validate(self.tokens(email).access)

    def tokens(self, email: str = "anna@example.org") -> Tokens:
        self.accounts.sign_up(self.new(email), Client())
        self.accounts.verify(self.mailer.key())
        return self.accounts.sign_in(email, PASSWORD, HERE)

    def administrator(self, email: str = "root@example.org") -> Principal:
        """The first administrator, or one whom the first one made."""
        key = self.accounts.first_key()
        if key is not None:
            pair = self.accounts.create_first_administrator(key, self.new(email), HERE)
            return self.accounts.validate(pair.access)
        found = self.member(email)
        with self.catalog.begin() as connection:
            from caseframe.catalog import accounts as stored  # noqa: PLC0415

            stored.change_user(connection, found.user_id, role=Role.ADMINISTRATOR)
        return self.accounts.validate(found.token)


def race(*calls: Callable[[], T]) -> list[T | Exception]:
    """Make all calls at the same moment, each in a thread; results or errors, in order."""
    gate = threading.Barrier(len(calls))
    results: list[T | Exception] = [AssertionError("never ran")] * len(calls)

    def run(number: int, call: Callable[[], T]) -> None:
        gate.wait()
        try:
            results[number] = call()
        except Exception as error:  # noqa: BLE001 - told to the test
            results[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


Towns = Callable[..., Town]
"""Makes towns with the options given."""
