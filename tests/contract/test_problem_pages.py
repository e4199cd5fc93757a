"""Pages of problems, and trying again in steps, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update
from tests.support.outcomes import done, failed, outcome, write

from caseframe.catalog import gallery, problem_list, work
from caseframe.catalog.database import Catalog
from caseframe.catalog.problem_list import ListedProblem, ProblemKind, ProblemQuery
from caseframe.catalog.search import conditions
from caseframe.catalog.search.choices import GalleryQuery
from caseframe.catalog.tables import images, tasks
from caseframe.domain.errors import Stopped, UsageError
from caseframe.domain.evidence import FileState
from caseframe.domain.work import TaskState


def _pages(
    connection: Connection, job: str, query: ProblemQuery, limit: int = 1
) -> list[ListedProblem]:
    found: list[ListedProblem] = []
    page = problem_list.problem_list(connection, job, query, limit=limit)
    found += page.problems
    while page.next is not None:
        page = problem_list.problem_list(connection, job, query, after=page.next, limit=limit)
        assert len(page.problems) <= limit
        found += page.problems
    return found


def _fail_too(catalog: Catalog, *versions: str) -> None:
    with catalog.begin() as connection:
        for number in list(connection.scalars(select(images.c.id))):
            row = {"image_id": number, "stage": "exif", "state": TaskState.FAILED}
            connection.execute(insert(tasks), [row | {"version": one} for one in versions])


@pytest.mark.parametrize("text", ["", "broken"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_failed_versions_of_a_stage_stand_on_pages_after_each_other(
    catalog: Catalog, job: str, limit: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problem_list, "MOST_LOOKED_AT", 2)
    write(catalog, job, *[outcome(b"%d" % n, b"%d" % n, failed("exif")) for n in range(3)])
    _fail_too(catalog, "3", "B", "a", "2")
    with catalog.begin() as connection:
        connection.execute(update(tasks).values(reason="broken"))
    with catalog.read() as connection:
        found = _pages(connection, job, ProblemQuery(text=text), limit)
    assert [(one.path, one.version) for one in found] == [
        (b"%d" % n, version) for n in range(3) for version in "123Ba"
    ]


def _cursor(*key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def test_cursors_without_a_version_lead_on(catalog: Catalog, job: str) -> None:
    write(catalog, job, *[outcome(b"%d" % n, b"%d" % n, failed("exif")) for n in range(2)])
    _fail_too(catalog, "2")
    with catalog.read() as connection:
        first = problem_list.problem_list(connection, job).problems[0].image_id
        page = problem_list.problem_list(connection, job, after=_cursor("failed", "exif", first))
        assert [(one.path, one.version) for one in page.problems] == [(b"1", "1"), (b"1", "2")]
        for key in (("exif", 1, 2), ("exif", 1, "\0"), ("exif", 2**63, "1"), (1, "exif"), ()):
            with pytest.raises(UsageError, match="begin at its start"):
                problem_list.problem_list(connection, job, after=_cursor("failed", *key))


@pytest.mark.parametrize("words", ["ärger", "ÄRGER.JPG", "grüßE", "GRÜSSE"])
@pytest.mark.parametrize("kind", list(ProblemKind))
def test_a_text_is_found_in_capital_and_small_letters(
    catalog: Catalog, job: str, kind: ProblemKind, words: str
) -> None:
    write(
        catalog,
        job,
        outcome(b"other.jpg", b"o", failed("exif")),
        outcome(
            "Ärger.jpg".encode(), b"a", failed("exif", "GRÜßE"),
            done("faces", problems=("GRÜßE",)), state=FileState.CORRUPT, reason="GRÜßE",
            notes=("GRÜßE",),
        ),
    )  # fmt: skip
    with catalog.begin() as connection:
        work.plan_tasks(connection, job, "text", "1", state=TaskState.UNAVAILABLE, reason="GRÜßE")
        connection.execute(
            update(tasks)
            .where(tasks.c.stage == "text", tasks.c.image_id == select(images.c.id).where(
                images.c.size == 1, images.c.state == FileState.PICTURE).scalar_subquery())
            .values(reason="none")
        )  # fmt: skip
    with catalog.read() as connection:
        page = problem_list.problem_list(connection, job, ProblemQuery(kinds=(kind,), text=words))
    assert [(one.path_text, one.reason) for one in page.problems] == [("Ärger.jpg", "GRÜßE")]


# ---- trying again ---------------------------------------------------------------------------

VERSIONS = {"exif": "1", "text": "1"}


@pytest.fixture
def broken(catalog: Catalog, job: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A job of 7 pictures of which 4 failed, none could be read for text; in steps of 2."""
    monkeypatch.setattr(problem_list, "STEP", 2)
    monkeypatch.setattr(work, "STEP", 2)
    stages = [failed("exif") if n % 2 == 0 else done("exif") for n in range(7)]
    write(catalog, job, *[outcome(b"%d" % n, b"%d" % n, s) for n, s in enumerate(stages)])
    with catalog.begin() as connection:
        work.plan_tasks(connection, job, "text", "1", state=TaskState.UNAVAILABLE, reason="none")
    return job


@contextmanager
def _watched(
    catalog: Catalog, module: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[list[int], list[int]]]:
    """How many images are brought up to date at a time; and one entry for each transaction."""
    shown: list[int] = []
    begun: list[int] = []
    refresh, begin = module.refresh, catalog.begin

    def watched(connection: Connection, ids: set[int]) -> None:
        shown.append(len(ids))
        refresh(connection, ids)

    def counted() -> Any:
        begun.append(1)
        return begin()

    with monkeypatch.context() as patch:
        patch.setattr(module, "refresh", watched)
        patch.setattr(Catalog, "begin", lambda _self: counted())
        yield shown, begun


def _states(catalog: Catalog) -> dict[str, set[tuple[str, str | None]]]:
    found: dict[str, set[tuple[str, str | None]]] = {}
    with catalog.read() as connection:
        for stage, state, reason in connection.execute(
            select(tasks.c.stage, tasks.c.state, tasks.c.reason)
        ):
            found.setdefault(stage, set()).add((state, reason))
    return found


def _problems(catalog: Catalog, job: str) -> int:
    with catalog.read() as connection:
        return gallery.count(connection, job, GalleryQuery("is:problem")).number


def test_trying_again_in_steps(
    catalog: Catalog, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _problems(catalog, broken) == 4
    with _watched(catalog, problem_list, monkeypatch) as (shown, begun):
        assert problem_list.retry_in_steps(catalog, broken, VERSIONS) == 4 + 7
    # Only pictures with failed tasks change.
    assert sum(shown) == 4
    assert max(shown) <= 2
    assert len(begun) >= (4 + 7) / 2
    assert _states(catalog) == {"exif": {("pending", None), ("done", None)},
                                "text": {("pending", None)}}  # fmt: skip
    assert _problems(catalog, broken) == 0
    assert problem_list.retry_in_steps(catalog, broken, VERSIONS) == 0


@pytest.mark.parametrize("in_steps", [True, False])
def test_trying_some_pictures_again(catalog: Catalog, broken: str, in_steps: bool) -> None:
    def again(**which: Any) -> int:
        if in_steps:
            return problem_list.retry_in_steps(catalog, broken, VERSIONS, **which)
        with catalog.begin() as connection:
            return problem_list.retry(connection, broken, VERSIONS, **which)

    with catalog.read() as connection:
        failed_ones = _pages(connection, broken, ProblemQuery(kinds=(ProblemKind.FAILED,)))
    ids = [one.image_id for one in failed_ones if one.image_id is not None]
    assert again(stage="exif", image_ids=[*ids[:3], *ids[:3], 10**9]) == 3
    assert _problems(catalog, broken) == 1
    assert again(image_ids=ids) == 1 + 4
    assert again(stage="text", image_ids=[]) == 0
    assert again(stage="other") == 0
    assert again() == 3


def test_a_stage_is_run_again_in_steps(
    catalog: Catalog, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pictures in (4, 0):
        with _watched(catalog, work, monkeypatch) as (shown, begun):
            assert work.reset_in_steps(catalog, broken, "exif", "1", []) == 7
        assert len(begun) == 4
        assert sum(shown) == pictures
        assert max(shown) <= 2
    assert _states(catalog)["exif"] == {("pending", None)}
    assert _problems(catalog, broken) == 0


def test_running_again_can_be_stopped_and_goes_on(catalog: Catalog, broken: str) -> None:
    with pytest.raises(Stopped):
        work.reset_in_steps(catalog, broken, "exif", "1", [], stop=lambda: True)
    assert 0 < _problems(catalog, broken) < 4
    chosen = conditions(["task=failed"], "exif")
    assert work.reset_in_steps(catalog, broken, "exif", "1", chosen) == 3
    assert _problems(catalog, broken) == 0
