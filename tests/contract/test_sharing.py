"""Sharing of jobs, once over SQLite and once over PostgreSQL: who sees what (S3)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import select
from tests.support.people import Town

from caseframe.accounts.sharing import Sharing
from caseframe.catalog import jobs as stored_jobs
from caseframe.catalog.account_tables import shares
from caseframe.catalog.database import Catalog
from caseframe.catalog.shares import visible_jobs
from caseframe.catalog.tables import jobs
from caseframe.domain.access import (
    Action,
    Conflict,
    Forbidden,
    InvalidInput,
    JobAccess,
    NotThere,
    Principal,
    Role,
)


@dataclass
class Scene:
    town: Town
    sharing: Sharing
    root: Principal
    owner: Principal
    other: Principal
    job: str
    nobodys: str

    def sees(self, who: Principal) -> set[str]:
        with self.town.catalog.read() as connection:
            return set(connection.scalars(select(jobs.c.id).where(visible_jobs(who))))


@pytest.fixture
def scene(catalog: Catalog) -> Iterator[Scene]:
    town = Town(catalog, sign_up_role=Role.EXAMINER)
    root, owner = town.administrator(), town.member("owner@example.org")
    other = town.member("other@example.org")
    with catalog.begin() as connection:
        job = stored_jobs.create_job(connection, "j", b"/j", (), owner_id=owner.user_id).id
        nobodys = stored_jobs.create_job(connection, "n", b"/n", ()).id
    yield Scene(town, Sharing(catalog), root, owner, other, job, nobodys)
    town.accounts.close()


def test_owners_see_their_own_and_administrators_all(scene: Scene) -> None:
    assert scene.sees(scene.owner) == {scene.job}
    assert scene.sees(scene.other) == set()
    assert scene.sees(scene.root) == {scene.job, scene.nobodys}
    assert scene.sharing.access(scene.owner, scene.job) is JobAccess.OWNER
    assert scene.sharing.access(scene.other, scene.job) is JobAccess.NONE


@pytest.mark.parametrize("action", sorted(Action))
def test_a_stranger_is_told_that_there_is_no_such_job(scene: Scene, action: Action) -> None:
    if not action.endswith("-job") or action is Action.CREATE_JOB:
        return
    for job in (scene.job, scene.nobodys, str(uuid.uuid4())):
        with pytest.raises(NotThere) as error:
            scene.sharing.require(scene.other, action, job)
        assert "no such job, or it is not shared" in str(error.value)


def test_what_a_share_allows(scene: Scene) -> None:
    share = scene.sharing.share(scene.owner, scene.job, "Other@example.org", JobAccess.VIEWER)
    assert (share.user_id, share.level) == (scene.other.user_id, JobAccess.VIEWER)
    assert scene.sees(scene.other) == {scene.job}
    assert scene.sharing.require(scene.other, Action.SEE_JOB, scene.job) is JobAccess.VIEWER
    for action in (Action.RUN_JOB, Action.EDIT_JOB, Action.SHARE_JOB, Action.DELETE_JOB):
        with pytest.raises(Forbidden):
            scene.sharing.require(scene.other, action, scene.job)
    scene.sharing.share(scene.owner, scene.job, "other@example.org", JobAccess.EDITOR)
    assert scene.sharing.require(scene.other, Action.RUN_JOB, scene.job) is JobAccess.EDITOR
    with pytest.raises(Forbidden):
        scene.sharing.share(scene.other, scene.job, "root@example.org", JobAccess.VIEWER)
    assert len(scene.sharing.shares(scene.owner, scene.job)) == 1


def test_a_share_is_taken_back_or_given_up(scene: Scene) -> None:
    for who in (scene.owner, scene.root, scene.other):
        scene.sharing.share(scene.owner, scene.job, "other@example.org", JobAccess.EDITOR)
        scene.sharing.unshare(who, scene.job, scene.other.user_id)
        assert scene.sees(scene.other) == set()
    with pytest.raises(NotThere):
        scene.sharing.unshare(scene.owner, scene.job, scene.other.user_id)
    with pytest.raises(NotThere):
        scene.sharing.unshare(scene.other, scene.job, scene.other.user_id)


def test_those_it_is_shared_with_do_not_see_each_other(scene: Scene) -> None:
    third = scene.town.member("third@example.org")
    for email in ("other@example.org", "third@example.org"):
        scene.sharing.share(scene.root, scene.job, email, JobAccess.VIEWER)
    assert [s.user_id for s in scene.sharing.shares(third, scene.job)] == [third.user_id]
    assert len(scene.sharing.shares(scene.owner, scene.job)) == 2
    with pytest.raises(Forbidden):
        scene.sharing.unshare(third, scene.job, scene.other.user_id)


def test_what_cannot_be_shared(scene: Scene) -> None:
    share = scene.sharing.share
    for level in (JobAccess.OWNER, JobAccess.NONE):
        with pytest.raises(InvalidInput):
            share(scene.owner, scene.job, "other@example.org", level)
    with pytest.raises(InvalidInput):
        share(scene.owner, scene.job, "nobody", JobAccess.VIEWER)
    with pytest.raises(NotThere, match="invite"):
        share(scene.owner, scene.job, "nobody@example.org", JobAccess.VIEWER)
    with pytest.raises(Conflict):
        share(scene.owner, scene.job, "owner@example.org", JobAccess.VIEWER)
    with pytest.raises(NotThere):
        share(scene.root, str(uuid.uuid4()), "other@example.org", JobAccess.VIEWER)


@pytest.mark.parametrize("number", ["", "\x00", "\ud800", "x" * 10_000, "../etc/passwd"])
def test_nonsense_ids_are_not_there(scene: Scene, number: str) -> None:
    for who in (scene.root, scene.other):
        for call in (
            lambda w=who: scene.sharing.access(w, number),
            lambda w=who: scene.sharing.require(w, Action.SEE_JOB, number),
            lambda w=who: scene.sharing.shares(w, number),
            lambda w=who: scene.sharing.unshare(w, scene.job, number),
        ):
            with pytest.raises(NotThere):
                call()


def test_a_viewer_only_looks_even_as_editor(scene: Scene) -> None:
    scene.sharing.share(scene.owner, scene.job, "other@example.org", JobAccess.EDITOR)
    scene.town.accounts.set_role(scene.root, scene.other.user_id, Role.VIEWER)
    viewer = scene.town.accounts.validate(scene.other.token)
    assert scene.sharing.require(viewer, Action.SEE_JOB, scene.job) is JobAccess.EDITOR
    with pytest.raises(Forbidden):
        scene.sharing.require(viewer, Action.RUN_JOB, scene.job)


def test_shares_go_with_their_job_and_their_user(scene: Scene) -> None:
    scene.sharing.share(scene.owner, scene.job, "other@example.org", JobAccess.VIEWER)
    scene.sharing.share(scene.root, scene.nobodys, "other@example.org", JobAccess.VIEWER)
    with scene.town.catalog.begin() as connection:
        stored_jobs.delete_job(connection, scene.job)
    scene.town.accounts.delete_user(scene.root, scene.other.user_id)
    with scene.town.catalog.read() as connection:
        assert connection.execute(select(shares)).all() == []
