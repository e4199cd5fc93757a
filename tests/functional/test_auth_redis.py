"""Accounts whose keys, ended sessions and rate limits live in Redis, when Redis goes or forgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import rabbitmq, redis_server
from tests.support.people import HERE, PASSWORD, Town
from tests.support.redis_server import PrivateRedis

from caseframe.catalog.database import Catalog, open_sqlite
from caseframe.domain.access import (
    AccessError,
    AccountsAway,
    KeyRefused,
    Role,
    TokenRefused,
    TooManyAttempts,
)
from caseframe.domain.people import Tokens
from caseframe.web.allowance import Allowance, AllowanceUsed

ANNA = "anna@example.org"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = open_sqlite(tmp_path / "catalog.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with redis_server.private_server() as private:
        if private is None:
            rabbitmq.missing("no Redis is installed here, and this test stops one")
        else:
            yield private


@pytest.fixture
def town(catalog: Catalog, server: PrivateRedis) -> Iterator[Town]:
    made = Town(catalog, server.url)
    yield made
    made.close()


def test_with_redis_away_nobody_is_let_in_and_nothing_is_lost(
    town: Town, server: PrivateRedis
) -> None:
    town.accounts.sign_up(town.new(), HERE)
    key = town.mailer.key()
    root = town.administrator()
    server.stop()
    calls: list[Callable[[], object]] = [
        lambda: town.accounts.verify(key),
        lambda: town.accounts.sign_in("root@example.org", PASSWORD, HERE),
        lambda: town.accounts.sign_up(town.new("eva@example.org"), HERE),
        lambda: town.accounts.forgot_password(ANNA, HERE),
        lambda: town.accounts.invite(root, "eva@example.org", Role.VIEWER),
        lambda: town.accounts.reset_password(key, "Another-horse-8"),
    ]
    for call in calls:
        with pytest.raises(AccountsAway):
            call()
    assert town.accounts.validate(root.token).email == "root@example.org"  # the catalog knows
    server.start()
    with pytest.raises(KeyRefused):  # it lost its content with its process
        town.accounts.verify(key)
    town.accounts.send_verification(ANNA, HERE)
    town.local.flush_mail()
    assert town.accounts.verify(town.mailer.key()).email == ANNA
    assert isinstance(town.accounts.sign_in(ANNA, PASSWORD, HERE), Tokens)


def test_a_session_stays_ended_without_redis(town: Town, server: PrivateRedis) -> None:
    """S11: the catalog holds it, whether Redis is away at that moment or forgets later."""
    pair = town.tokens()
    before, during = pair, town.accounts.sign_in(ANNA, PASSWORD, HERE)
    town.accounts.sign_out(town.accounts.validate(before.access))
    anna = town.accounts.validate(during.access)
    server.stop()
    with pytest.raises(TokenRefused):
        town.accounts.validate(before.access)
    town.accounts.sign_out(anna)
    server.start()
    for token in (before.access, during.access):
        with pytest.raises(TokenRefused):
            town.accounts.validate(token)


def test_a_session_stays_ended_where_the_catalog_was_set_back(town: Town) -> None:
    pair = town.tokens()
    town.accounts.sign_out(town.accounts.validate(pair.access))
    with town.catalog.begin() as connection:
        from caseframe.catalog.account_tables import sessions  # noqa: PLC0415

        connection.execute(sessions.update().values(ended_at=None, end_reason=None))
    with pytest.raises(TokenRefused):
        town.accounts.validate(pair.access)


def test_services_count_failures_together(
    town: Town, catalog: Catalog, server: PrivateRedis
) -> None:
    town.tokens()
    other = Town(catalog, server.url)
    for n in range(10):
        with pytest.raises(AccessError):
            (town, other)[n % 2].accounts.sign_in(ANNA, "Wrong-horse-7", HERE)
    for one in (town, other):
        with pytest.raises(TooManyAttempts):
            one.accounts.sign_in(ANNA, PASSWORD, HERE)
    other.close()


def test_gateways_count_strangers_together(server: PrivateRedis) -> None:
    first, second = Allowance(2, server.url), Allowance(2, server.url)
    first.use("192.0.2.1")
    second.use("192.0.2.1")
    with pytest.raises(AllowanceUsed):
        first.use("192.0.2.1")
    server.stop()
    for call in (second.use, second.left):
        with pytest.raises(AccountsAway):
            call("192.0.2.2")
