"""What administrators do with users; each test over every implementation of accounts."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from tests.support.people import HERE, PASSWORD, Town, race
from tests.support.waiting import eventually

from caseframe.catalog import accounts, jobs, removal, shares
from caseframe.catalog.account_tables import sessions, users
from caseframe.catalog.database import Catalog
from caseframe.catalog.removal import remove_job
from caseframe.domain.access import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidInput,
    JobAccess,
    JobsUndecided,
    LastAdministrator,
    NotThere,
    Role,
    SignInRefused,
    TokenRefused,
)
from caseframe.domain.errors import CatalogBusy, NotFound
from caseframe.domain.people import (
    Client,
    JobsDecision,
    JobsThen,
    UserFilter,
)
from caseframe.domain.work import JobState

NOBODY = "00000000-0000-4000-8000-000000000000"
ANNA = "anna@example.org"


def test_everybody_else_is_refused(town: Town) -> None:
    """S5: nobody raises their own role, or does anything to others."""
    root, anna = town.administrator(), town.member()
    a = town.accounts
    for call in (
        lambda: a.users(anna, UserFilter()),
        lambda: a.get_user(anna, root.user_id),
        lambda: a.set_role(anna, anna.user_id, Role.ADMINISTRATOR),
        lambda: a.disable(anna, root.user_id),
        lambda: a.enable(anna, anna.user_id),
        lambda: a.delete_user(anna, root.user_id),
        lambda: a.invite(anna, "x@example.org", Role.ADMINISTRATOR),
        lambda: a.invitations(anna),
        lambda: a.withdraw_invitation(anna, NOBODY),
    ):
        with pytest.raises(Forbidden):
            call()
    assert a.user(anna).role is Role.VIEWER


def test_an_administrator_of_a_moment_ago_is_refused(town: Town) -> None:
    root, other = town.administrator(), town.administrator("other@example.org")
    town.accounts.set_role(root, other.user_id, Role.VIEWER)
    with pytest.raises(Forbidden):
        town.accounts.set_role(other, other.user_id, Role.ADMINISTRATOR)


def test_users_are_listed_filtered_and_paged(town: Town) -> None:
    root = town.administrator()
    for n in range(7):
        town.accounts.sign_up(town.new(f"u{n}@example.org"), Client())
    seen, after = [], None
    while True:
        page = town.accounts.users(root, UserFilter(), after, 3)
        seen += [user.email for user in page.users]
        after = page.next
        if after is None:
            break
    assert seen == ["root@example.org", *(f"u{n}@example.org" for n in range(7))]

    def emails(**wanted: object) -> list[str]:
        found = town.accounts.users(root, UserFilter(**wanted))  # type: ignore[arg-type]
        return [user.email for user in found.users]

    assert emails(verified=True) == ["root@example.org"]
    assert len(emails(verified=False)) == 7
    assert emails(role=Role.ADMINISTRATOR) == ["root@example.org"]
    assert emails(disabled=True) == []
    assert emails(text="NYSTRÖM u3") == ["u3@example.org"]
    assert emails(text="100% _") == []
    assert emails(text="\x00\ud800") == []


@pytest.mark.parametrize(("after", "limit"), [("x", 10), ("\x00", 10), (None, 0), (None, 10_000)])
def test_nonsense_pages_are_refused(town: Town, after: str | None, limit: int) -> None:
    root = town.administrator()
    with pytest.raises(InvalidInput):
        town.accounts.users(root, UserFilter(), after, limit)


@pytest.mark.parametrize("number", [NOBODY, "", "\x00", "\ud800", "x" * 10_000, "' OR ''='"])
def test_users_that_are_not_there(town: Town, number: str) -> None:
    root, a = town.administrator(), town.accounts
    for call in (
        lambda: a.get_user(root, number),
        lambda: a.set_role(root, number, Role.VIEWER),
        lambda: a.disable(root, number),
        lambda: a.enable(root, number),
        lambda: a.delete_user(root, number),
        lambda: a.withdraw_invitation(root, number),
    ):
        with pytest.raises(NotThere):
            call()


def test_a_disabled_user_is_out_at_once_and_comes_back(town: Town) -> None:
    """S11."""
    root, pair = town.administrator(), town.tokens()
    anna = town.accounts.validate(pair.access)
    assert town.accounts.disable(root, anna.user_id).disabled_at
    assert town.accounts.disable(root, anna.user_id).disabled_at
    with pytest.raises(TokenRefused):
        town.accounts.validate(pair.access)
    with pytest.raises(TokenRefused):
        town.accounts.refresh(pair.refresh, HERE)
    with pytest.raises(AccountDisabled):
        town.accounts.sign_in(ANNA, PASSWORD, HERE)
    with pytest.raises(SignInRefused):
        town.accounts.sign_in(ANNA, "Wrong-horse-7", HERE)
    town.accounts.forgot_password(ANNA, HERE)
    town.local.flush_mail()
    assert "password" not in town.mailer.mails[-1].subject
    town.accounts.enable(root, anna.user_id)
    with pytest.raises(TokenRefused):
        town.accounts.validate(pair.access)
    assert town.accounts.sign_in(ANNA, PASSWORD, HERE)


def test_a_new_role_holds_at_once(town: Town) -> None:
    root, anna = town.administrator(), town.member()
    town.accounts.set_role(root, anna.user_id, Role.EXAMINER)
    assert town.accounts.validate(anna.token).role is Role.EXAMINER


def test_the_last_administrator_stays(town: Town) -> None:
    root = town.administrator()
    unverified = town.accounts.sign_up(town.new(), HERE)
    town.accounts.set_role(root, unverified.id, Role.ADMINISTRATOR)  # who cannot sign in
    for call in (
        lambda: town.accounts.set_role(root, root.user_id, Role.EXAMINER),
        lambda: town.accounts.disable(root, root.user_id),
        lambda: town.accounts.delete_user(root, root.user_id),
    ):
        with pytest.raises(LastAdministrator):
            call()
    assert town.accounts.set_role(root, root.user_id, Role.ADMINISTRATOR)


@pytest.mark.parametrize("how", ["demote", "disable", "delete", "mixed"])
def test_administrators_who_race_to_remove_each_other_leave_one(town: Town, how: str) -> None:
    crowd = [town.administrator(f"a{n}@example.org") for n in range(4)]
    ways = {
        "demote": lambda who: town.accounts.set_role(who, who.user_id, Role.VIEWER),
        "disable": lambda who: town.accounts.disable(who, who.user_id),
        "delete": lambda who: town.accounts.delete_user(who, who.user_id),
    }
    chosen = [*ways.values(), ways["demote"]] if how == "mixed" else [ways[how]] * 4
    found = race(*[lambda w=w, a=a: w(a) for w, a in zip(chosen, crowd, strict=True)])
    assert sum(isinstance(one, LastAdministrator) for one in found) == 1, found
    with town.catalog.read() as connection:
        alive = connection.execute(
            select(users.c.id).where(
                users.c.role == Role.ADMINISTRATOR, users.c.disabled_at.is_(None)
            )
        ).all()
    assert len(alive) == 1


def owned(town: Town, owner: str, name: str = "a job") -> str:
    with town.catalog.begin() as connection:
        return jobs.create_job(connection, name, b"/source", ("exif",), owner_id=owner).id


def test_deleting_a_user_takes_everything_of_theirs(town: Town) -> None:
    root, anna = town.administrator(), town.member()
    done = town.accounts.delete_user(root, anna.user_id)
    assert "no jobs" in done.said
    with pytest.raises(TokenRefused):
        town.accounts.validate(anna.token)
    with pytest.raises(SignInRefused):
        town.accounts.sign_in(ANNA, PASSWORD, HERE)
    with town.catalog.read() as connection:
        left = connection.execute(select(sessions.c.user_id)).scalars().all()
    assert anna.user_id not in left
    assert town.tokens()


def test_what_happens_to_jobs_is_asked_and_said(town: Town) -> None:
    root, anna = town.administrator(), town.member()
    job = owned(town, anna.user_id)
    with pytest.raises(JobsUndecided) as error:
        town.accounts.delete_user(root, anna.user_id)
    assert error.value.count == 1
    decision = JobsDecision(JobsThen.HAND_OVER, root.user_id)
    done = town.accounts.delete_user(root, anna.user_id, decision)
    assert done.jobs == ((job, "a job"),)
    assert "1 job handed over" in done.said
    with town.catalog.read() as connection:
        assert jobs.get_job(connection, job).owner_id == root.user_id


def test_jobs_can_be_kept_or_deleted(town: Town) -> None:
    root = town.administrator()
    for then, email in ((JobsThen.KEEP, "k@example.org"), (JobsThen.DELETE, "d@example.org")):
        member = town.member(email)
        job = owned(town, member.user_id)
        done = town.accounts.delete_user(root, member.user_id, JobsDecision(then))
        assert done.jobs == ((job, "a job"),)
        with town.catalog.read() as connection:
            if then is JobsThen.KEEP:
                assert jobs.get_job(connection, job).owner_id is None
                continue
        eventually(lambda: gone(town, job))  # noqa: B023 - at once


def gone(town: Town, job: str) -> bool:
    try:
        with town.catalog.read() as connection:
            jobs.get_job(connection, job)
    except NotFound:
        return True
    return False


def test_a_job_that_cannot_be_removed_now_does_not_undo_the_deletion(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, anna = town.administrator(), town.member()
    job = owned(town, anna.user_id)

    def held(_catalog: Catalog, _job: str) -> None:
        raise CatalogBusy("somebody writes")

    monkeypatch.setattr(removal, "remove_job", held)
    done = town.accounts.delete_user(root, anna.user_id, JobsDecision(JobsThen.DELETE))
    assert done.jobs == ((job, "a job"),)
    with town.catalog.read() as connection:
        assert accounts.find_user(connection, anna.user_id) is None
        assert jobs.get_job(connection, job).owner_id is None


def test_jobs_are_deleted_in_steps_when_their_owner_is_gone(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left half way belongs to nobody, and nobody but administrators sees it."""
    root, anna, eva = town.administrator(), town.member(), town.member("eva@example.org")
    job = owned(town, anna.user_id)
    with town.catalog.begin() as connection:
        shares.share_job(connection, job, eva.user_id, JobAccess.VIEWER)
    seen: list[tuple[bool, str | None, JobAccess]] = []

    def removed(catalog: Catalog, job_id: str) -> None:
        with town.catalog.read() as connection:
            gone = accounts.find_user(connection, anna.user_id) is None
            owner = jobs.get_job(connection, job_id).owner_id
            seen.append((gone, owner, shares.job_access(connection, job_id, eva.user_id)))
        remove_job(catalog, job_id, step=1)

    monkeypatch.setattr(removal, "remove_job", removed)
    town.accounts.delete_user(root, anna.user_id, JobsDecision(JobsThen.DELETE))
    eventually(lambda: gone(town, job))
    assert seen == [(True, None, JobAccess.NONE)]


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.QUEUED])
def test_running_jobs_are_stopped_first(town: Town, state: JobState) -> None:
    root, anna = town.administrator(), town.member()
    job = owned(town, anna.user_id)
    with town.catalog.begin() as connection:
        jobs.end_job(connection, job, state)
    with pytest.raises(Conflict, match="stop them first"):
        town.accounts.delete_user(root, anna.user_id, JobsDecision(JobsThen.DELETE))
    with town.catalog.begin() as connection:
        jobs.end_job(connection, job, JobState.STOPPED)
    assert town.accounts.delete_user(root, anna.user_id, JobsDecision(JobsThen.DELETE))


def test_jobs_go_to_nobody_who_cannot_have_them(town: Town) -> None:
    root, anna, eva = town.administrator(), town.member(), town.member("eva@example.org")
    owned(town, anna.user_id)
    for heir in (None, NOBODY, "\x00", anna.user_id, eva.user_id):
        with pytest.raises((Conflict, NotThere)):
            town.accounts.delete_user(root, anna.user_id, JobsDecision(JobsThen.HAND_OVER, heir))
    assert town.accounts.user(anna).email == ANNA
