"""No secret shows in a log, a repr or an error (S12)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from tests.support.people import HERE, PASSWORD, SECRET, Town

from caseframe.catalog.database import Catalog
from caseframe.domain.access import AccessError, Role
from caseframe.domain.people import NewAccount

OTHER = "Another-horse-8"


@pytest.fixture
def town(catalog: Catalog) -> Iterator[Town]:
    made = Town(catalog)
    yield made
    made.accounts.close()


def test_a_whole_life_leaves_no_secret_in_the_log(town: Town) -> None:
    secrets = [PASSWORD, OTHER, SECRET.get_secret_value()]
    shown: list[str] = []
    with capture_logs() as logs:
        root = town.administrator()
        pair = town.tokens()
        secrets += [town.mailer.key(), pair.access, pair.refresh, root.token]
        after = town.accounts.refresh(pair.refresh, HERE)
        secrets += [after.access, after.refresh]
        anna = town.accounts.validate(after.access)
        with pytest.raises(AccessError) as error:
            town.accounts.refresh(pair.refresh, HERE)
        shown.append(str(error.value))
        town.accounts.invite(root, "eva@example.org", Role.VIEWER)
        secrets.append(town.mailer.key())
        town.accounts.forgot_password("anna@example.org", HERE)
        town.local.flush_mail()
        key = town.mailer.key()
        secrets.append(key)
        town.accounts.reset_password(key, OTHER)
        for call in (
            lambda: town.accounts.reset_password(key, OTHER),
            lambda: town.accounts.sign_in("anna@example.org", PASSWORD, HERE),
            lambda: town.accounts.validate(pair.access),
            lambda: town.accounts.sign_up(NewAccount("A", "B", "x", PASSWORD + "\x00"), HERE),
        ):
            with contextlib.suppress(AccessError):
                try:
                    call()
                except AccessError as error:
                    shown.append(repr(error))
                    raise
        shown += map(repr, (pair, after, anna, root, town.new(), town.local, *town.mailer.mails))
    assert any(entry["event"] == "session.token_reused" for entry in logs)
    text = repr(logs) + " ".join(shown)
    assert [secret for secret in secrets if secret in text] == []
