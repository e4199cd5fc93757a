"""One-time keys, in the catalog and in Redis: one behaviour."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.support.people import race

from caseframe.accounts.onetime import CatalogKeys, OneTimeKeys
from caseframe.accounts.redis_door import connect
from caseframe.accounts.redis_keys import RedisKeys
from caseframe.catalog import accounts as stored
from caseframe.catalog.database import Catalog, open_sqlite
from caseframe.catalog.keys import KeyHolder, Purpose
from caseframe.domain.access import AccountsAway, Role

NOW = datetime.now(UTC)
LATER = NOW + timedelta(minutes=30)
EVA = KeyHolder(email="Eva@example.org", email_key="eva@example.org", role=Role.EXAMINER)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(open_sqlite(tmp_path / "catalog.sqlite")) as opened:
        yield opened


@pytest.fixture(params=["catalog", "redis"])
def keys(request: pytest.FixtureRequest) -> Iterator[OneTimeKeys]:
    if request.param == "catalog":
        yield CatalogKeys()
        return
    with closing(connect(SecretStr(request.getfixturevalue("redis_server")))) as client:
        yield RedisKeys(client)


@pytest.fixture
def anna(catalog: Catalog) -> KeyHolder:
    with catalog.begin() as connection:
        user = stored.add_user(
            connection, email="anna@example.org", email_key="anna@example.org", first_name="A",
            last_name="N", role=Role.VIEWER,
        )  # fmt: skip
    return KeyHolder(user_id=user.id)


def use(
    catalog: Catalog, keys: OneTimeKeys, purpose: Purpose, key: str, present: datetime = NOW
) -> KeyHolder | None:
    with catalog.begin() as connection, keys.using(connection, purpose, key, present) as holder:
        return holder


def make(
    catalog: Catalog, keys: OneTimeKeys, holder: KeyHolder, purpose: Purpose = Purpose.VERIFY
) -> tuple[str, str]:
    with catalog.begin() as connection:
        return keys.make(connection, purpose, holder, NOW, LATER)


def test_a_key_opens_once(catalog: Catalog, keys: OneTimeKeys, anna: KeyHolder) -> None:
    _, key = make(catalog, keys, anna)
    with catalog.read() as connection:
        assert keys.is_good(connection, Purpose.VERIFY, key, NOW)
        assert not keys.is_good(connection, Purpose.RESET, key, NOW)
    assert use(catalog, keys, Purpose.RESET, key) is None
    assert use(catalog, keys, Purpose.VERIFY, key) == anna
    assert use(catalog, keys, Purpose.VERIFY, key) is None
    with catalog.read() as connection:
        assert not keys.is_good(connection, Purpose.VERIFY, key, NOW)


def test_a_key_stays_good_when_its_work_fails(
    catalog: Catalog, keys: OneTimeKeys, anna: KeyHolder
) -> None:
    number, key = make(catalog, keys, anna)
    with (
        pytest.raises(ZeroDivisionError),
        catalog.begin() as connection,
        keys.using(connection, Purpose.VERIFY, key, NOW),
    ):
        raise ZeroDivisionError
    with catalog.begin() as connection:  # it is in all lists again
        assert keys.drop(connection, Purpose.VERIFY, number)
    _, key = make(catalog, keys, anna)
    with (
        pytest.raises(ZeroDivisionError),
        catalog.begin() as connection,
        keys.using(connection, Purpose.VERIFY, key, NOW),
    ):
        raise ZeroDivisionError
    assert use(catalog, keys, Purpose.VERIFY, key) == anna


def test_a_key_ends(catalog: Catalog, keys: OneTimeKeys, anna: KeyHolder) -> None:
    _, key = make(catalog, keys, anna)
    assert use(catalog, keys, Purpose.VERIFY, key, LATER) is None
    assert use(catalog, keys, Purpose.VERIFY, key, LATER - timedelta(seconds=1)) == anna


def test_of_racers_one_gets_it(catalog: Catalog, keys: OneTimeKeys, anna: KeyHolder) -> None:
    _, key = make(catalog, keys, anna)
    found = race(*[lambda: use(catalog, keys, Purpose.VERIFY, key)] * 4)
    assert sorted(found, key=str) == sorted([anna, None, None, None], key=str)


def test_keys_are_taken_back(catalog: Catalog, keys: OneTimeKeys, anna: KeyHolder) -> None:
    first, second = make(catalog, keys, anna), make(catalog, keys, anna)
    reset = make(catalog, keys, anna, Purpose.RESET)
    other = make(catalog, keys, EVA, Purpose.INVITE)
    with catalog.begin() as connection:
        assert keys.drop(connection, Purpose.VERIFY, first[0])
        assert not keys.drop(connection, Purpose.VERIFY, first[0])
        assert not keys.drop(connection, Purpose.RESET, second[0])
        keys.drop_all(connection, Purpose.VERIFY, user_id=anna.user_id)
    for _, key in (first, second):
        assert use(catalog, keys, Purpose.VERIFY, key) is None
    assert use(catalog, keys, Purpose.RESET, reset[1]) == anna
    assert use(catalog, keys, Purpose.INVITE, other[1]) == EVA


def test_all_of_a_purpose_are_taken_back(catalog: Catalog, keys: OneTimeKeys) -> None:
    (_, first), (_, invited) = (make(catalog, keys, *of) for of in (
        (KeyHolder(), Purpose.FIRST), (EVA, Purpose.INVITE)))  # fmt: skip
    with catalog.begin() as connection:
        keys.drop_all(connection, Purpose.FIRST)
        keys.forget(connection, NOW)
    assert use(catalog, keys, Purpose.FIRST, first) is None
    assert use(catalog, keys, Purpose.INVITE, invited) == EVA


def test_invitations_are_listed_until_they_are_used(catalog: Catalog, keys: OneTimeKeys) -> None:
    number, key = make(catalog, keys, EVA, Purpose.INVITE)
    with catalog.begin() as connection:
        late = NOW + timedelta(seconds=1)
        again = keys.make(connection, Purpose.INVITE, EVA, late, LATER)
    with catalog.read() as connection:
        listed = keys.invitations(connection, NOW)
        assert [(one.id, one.email, one.role) for one in listed] == [
            (number, EVA.email, EVA.role), (again[0], EVA.email, EVA.role),
        ]  # fmt: skip
        assert keys.invitation(connection, key, NOW) == listed[0]
        assert keys.invitation(connection, "x", NOW) is None
        assert keys.invitation_for(connection, "eva@example.org", NOW) == listed[1]
        assert keys.invitation_for(connection, "nobody@example.org", NOW) is None
        assert keys.invitations(connection, LATER) == []
        assert keys.invitation_for(connection, "eva@example.org", LATER) is None
    assert use(catalog, keys, Purpose.INVITE, key) == EVA
    with catalog.read() as connection:
        assert keys.invitations(connection, NOW) == listed[1:]


@pytest.mark.parametrize("key", ["", "x", "\x00", "\ud800", "*", "x" * 100_000])
def test_nonsense_opens_nothing(catalog: Catalog, keys: OneTimeKeys, key: str) -> None:
    assert use(catalog, keys, Purpose.VERIFY, key) is None


def test_with_redis_away_nothing_opens(catalog: Catalog) -> None:
    with closing(connect(SecretStr("redis://127.0.0.1:1/0"))) as client:
        keys = RedisKeys(client)
        with pytest.raises(AccountsAway):
            make(catalog, keys, EVA, Purpose.INVITE)
        with pytest.raises(AccountsAway):
            use(catalog, keys, Purpose.INVITE, "x")


def test_redis_holds_no_key_and_forgets_by_itself(catalog: Catalog, redis_server: str) -> None:
    with closing(connect(SecretStr(redis_server))) as client:
        keys = RedisKeys(client)
        _, key = make(catalog, keys, EVA, Purpose.INVITE)
        names = [str(name) for name in client.scan_iter()]
        assert names
        for name in names:
            assert key not in name
            assert 0 < client.ttl(name) <= 30 * 60
            if client.type(name) == "string":
                assert key not in str(client.get(name))
