"""Who may do what, written out as a table; and a status for every refusal."""

from __future__ import annotations

import itertools

import pytest

from caseframe.domain.access import (
    STATUS,
    AccessError,
    Action,
    Forbidden,
    JobAccess,
    NotThere,
    Principal,
    Role,
    may,
    require,
)
from caseframe.domain.errors import CaseframeError

ALL = set(Action)
SEE = {Action.SEE_JOB}
EDIT = {Action.SEE_JOB, Action.RUN_JOB, Action.EDIT_JOB}
OWN = EDIT | {Action.SHARE_JOB, Action.DELETE_JOB}
LOOK = {Action.DESCRIBE_IMAGE}
WORK = LOOK | {Action.CREATE_JOB, Action.BROWSE_SOURCES}
ALLOWED = {
    (Role.ADMINISTRATOR, JobAccess.NONE): ALL,
    (Role.ADMINISTRATOR, JobAccess.VIEWER): ALL,
    (Role.ADMINISTRATOR, JobAccess.EDITOR): ALL,
    (Role.ADMINISTRATOR, JobAccess.OWNER): ALL,
    (Role.EXAMINER, JobAccess.NONE): WORK,
    (Role.EXAMINER, JobAccess.VIEWER): WORK | SEE,
    (Role.EXAMINER, JobAccess.EDITOR): WORK | EDIT,
    (Role.EXAMINER, JobAccess.OWNER): WORK | OWN,
    (Role.VIEWER, JobAccess.NONE): LOOK,
    (Role.VIEWER, JobAccess.VIEWER): LOOK | SEE,
    (Role.VIEWER, JobAccess.EDITOR): LOOK | SEE,
    (Role.VIEWER, JobAccess.OWNER): LOOK | SEE,
}


def somebody(role: Role) -> Principal:
    return Principal("u", "s", "anna@example.org", "Anna", "Nyström", role, "token-of-anna")


def test_the_table_is_whole() -> None:
    assert set(ALLOWED) == set(itertools.product(Role, JobAccess))


@pytest.mark.parametrize(("role", "access"), sorted(ALLOWED))
def test_what_each_may_do(role: Role, access: JobAccess) -> None:
    found = {action for action in Action if may(somebody(role), action, access)}
    assert found == ALLOWED[role, access]


@pytest.mark.parametrize(("role", "access"), sorted(ALLOWED))
def test_a_job_that_one_may_not_see_is_not_there(role: Role, access: JobAccess) -> None:
    for action in Action:
        if action in ALLOWED[role, access]:
            require(somebody(role), action, access)
            continue
        hidden = action in OWN and Action.SEE_JOB not in ALLOWED[role, access]
        with pytest.raises(NotThere if hidden else Forbidden):
            require(somebody(role), action, access)


def refusals(kind: type[AccessError] = AccessError) -> list[type[AccessError]]:
    return [c for sub in kind.__subclasses__() for c in (sub, *refusals(sub))]


def test_every_refusal_has_a_code_of_its_own_with_a_status() -> None:
    # Rooms may make kinds of their own of these; they keep the status of their base.
    codes = [kind.code for kind in refusals() if kind.__module__ == AccessError.__module__]
    assert sorted(codes) == sorted(STATUS)
    assert set(STATUS.values()) == {400, 401, 403, 404, 409, 429, 503}
    assert issubclass(AccessError, CaseframeError)


def test_a_token_does_not_show() -> None:
    assert "token-of-anna" not in repr(somebody(Role.VIEWER))
