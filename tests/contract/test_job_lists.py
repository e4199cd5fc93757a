"""Lists of jobs by the time at which they were made, and whose folders somebody may read."""

from __future__ import annotations

import pytest

from caseframe.catalog import jobs, shares, tally
from caseframe.catalog.database import Catalog
from caseframe.domain.access import Principal, Role
from caseframe.domain.errors import UsageError
from caseframe.domain.work import JobState

ANNA = "00000000-0000-4000-8000-00000000000a"


def person(role: Role = Role.EXAMINER) -> Principal:
    return Principal(ANNA, "s", "anna@example.org", "Anna", "Nyström", role)


@pytest.mark.parametrize("descending", [False, True])
def test_pages_follow_each_other_whatever_goes(catalog: Catalog, descending: bool) -> None:
    with catalog.begin() as connection:
        made = [jobs.create_job(connection, str(n), b"/s/%d" % n, (), owner_id=ANNA)
                for n in range(5)]  # fmt: skip
        jobs.create_job(connection, "of another", b"/s/other", ())
    wanted = [job.id for job in (made[::-1] if descending else made)]
    visible = shares.visible_jobs(person())
    with catalog.begin() as connection:
        page = tally.counted_jobs(connection, visible, descending=descending, limit=2)
        assert [one.job.id for one in page] == wanted[:2]
        last = page[-1].job
        jobs.delete_job(connection, last.id)
        page = tally.counted_jobs(
            connection, visible, after=(last.created_at, last.id), descending=descending
        )
        assert [one.job.id for one in page] == wanted[2:]
        jobs.start_job(connection, wanted[3], ())
        page = tally.counted_jobs(connection, visible, state=JobState.RUNNING)
        assert [one.job.id for one in page] == [wanted[3]]
        assert page[0].progress.pictures == 0


def test_cards_follow_each_other_when_the_last_one_goes(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        made = [jobs.create_job(connection, str(n), b"/s/%d" % n, (), owner_id=ANNA)
                for n in range(4)]  # fmt: skip
        visible = shares.visible_jobs(person())
        last = tally.job_cards(connection, visible, limit=2)[-1].job
        wanted = [made[1].id, made[0].id]
        for after in (tally.job_cursor(last), last.id):
            page = tally.job_cards(connection, visible, after=after)
            assert [card.job.id for card in page] == wanted
        jobs.delete_job(connection, last.id)
        page = tally.job_cards(connection, visible, after=tally.job_cursor(last))
        assert [card.job.id for card in page] == wanted
        for after in (last.id, "", "nonsense", f"x.{last.id}", f".{last.id}", f"{10**20}.a"):
            with pytest.raises(UsageError, match="begin at its start"):
                tally.job_cards(connection, visible, after=after)
        # The server takes no longer ones.
        assert len(tally.job_cursor(last)) <= 64


def test_a_person_sees_a_folder_by_their_jobs(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        jobs.create_job(connection, "hers", b"/s/\xff", (), owner_id=ANNA)
        jobs.create_job(connection, "of another", b"/s/other", ())
        assert shares.sees_one_over(connection, person(), [b"/s", b"/s/\xff"])
        assert not shares.sees_one_over(connection, person(), [b"/s", b"/s/other"])
        assert not shares.sees_one_over(connection, person(), [])
        assert shares.sees_one_over(connection, person(Role.ADMINISTRATOR), [b"/s/other"])
