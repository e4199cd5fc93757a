"""Many requests of one browser share one refresh."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.people import HERE, Town, race

from caseframe.accounts.renewal import Renewals
from caseframe.catalog.database import Catalog
from caseframe.domain.access import TokenRefused
from caseframe.domain.people import Tokens


@pytest.fixture
def town(catalog: Catalog) -> Iterator[Town]:
    made = Town(catalog)
    yield made
    made.accounts.close()


def test_a_page_full_of_requests_gets_one_new_pair(town: Town) -> None:
    renewals, pair = Renewals(town.accounts), town.tokens()
    found = race(*[lambda: renewals.renew(pair.refresh, HERE)] * 12)
    assert all(isinstance(one, Tokens) for one in found), found
    assert len({one.refresh for one in found if isinstance(one, Tokens)}) == 1
    assert renewals.renew(pair.refresh, HERE) == found[0]
    assert len(town.accounts.sessions(town.accounts.validate(renewals.renew(
        pair.refresh, HERE).access))) == 1  # fmt: skip


def test_after_a_while_an_old_token_is_an_old_token(town: Town) -> None:
    present = [0.0]
    renewals = Renewals(town.accounts, seconds=20, clock=lambda: present[0])
    pair = town.tokens()
    after = renewals.renew(pair.refresh, HERE)
    present[0] = 21
    with pytest.raises(TokenRefused):
        renewals.renew(pair.refresh, HERE)
    with pytest.raises(TokenRefused):
        town.accounts.validate(after.access)


def test_a_refusal_reaches_all_and_is_not_kept(town: Town) -> None:
    renewals = Renewals(town.accounts)
    found = race(*[lambda: renewals.renew("nonsense", HERE)] * 4)
    assert all(isinstance(one, TokenRefused) for one in found)
    assert renewals._shared == {}
