"""Counts, problem lists and removal, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, true, update
from tests.support.gallery import a_job, facts_of
from tests.support.outcomes import done, failed, outcome

from caseframe.catalog import (
    gallery,
    jobs,
    problem_list,
    removal,
    tables,
    tally,
    triggers,
    work,
)
from caseframe.catalog.database import Catalog
from caseframe.catalog.gallery_tables import cells, documents, tallies, tiles
from caseframe.catalog.recording import record
from caseframe.catalog.search.choices import GalleryQuery
from caseframe.catalog.tables import faces, files, images, problems, results, tasks, texts
from caseframe.domain.errors import Stopped
from caseframe.domain.evidence import FileState
from caseframe.domain.work import JobState, StageOutcome, TaskState


@pytest.fixture
def job(catalog: Catalog) -> str:
    return a_job(catalog)


def _counted(connection: Connection) -> set[tuple[Any, ...]]:
    rows = [
        row
        for table in (tallies, cells)
        for row in connection.execute(select(table).where(table.c.count != 0))
    ]
    return {tuple(int(v) if isinstance(v, int) else v for v in row) for row in rows}


def _recounted(connection: Connection) -> set[tuple[Any, ...]]:
    triggers.recount(connection)
    return _counted(connection)


def _some(connection: Connection, column: Any, rng: random.Random, most: int = 4) -> list[Any]:
    values = sorted(connection.scalars(select(column).distinct()))
    return rng.sample(values, min(len(values), rng.randrange(1, most)))


def _change(connection: Connection, rng: random.Random, job_ids: list[str]) -> None:
    """One of the things that happen to a catalog."""
    kind = rng.randrange(10)
    job = rng.choice(job_ids)
    number = rng.randrange(30)
    state = rng.choice([FileState.PICTURE, FileState.PICTURE, FileState.CORRUPT])
    stages: tuple[StageOutcome, ...] = tuple(
        rng.choice([done(name), done(name, found=False, payload=None), failed(name),
                    done(name, facts=facts_of(rng.randrange(9)),
                         problems=("p",) * rng.randrange(3))])
        for name in rng.sample(["exif", "faces", "place"], rng.randrange(4))
    )  # fmt: skip
    if kind < 5:
        path = b"p%d" % rng.randrange(40)
        notes = ("odd",) * rng.randrange(2)
        record(
            connection,
            job,
            [
                outcome(
                    path, b"%d" % number, *stages, state=state, notes=notes, order={"file_id": 1}
                )
            ],
        )
    elif kind == 5:
        work.plan_tasks(connection, job, "later", "1", state=TaskState.PENDING)
    elif kind == 6:
        work.reset_tasks(connection, job, "exif", "1", [])
        problem_list.retry(connection, job, {"faces": "1"})
    elif kind == 7:
        ids = _some(connection, files.c.id, rng)
        connection.execute(update(files).where(files.c.id.in_(ids)).values(missing=number % 2 == 0))
    elif kind == 8:
        connection.execute(delete(files).where(files.c.id.in_(_some(connection, files.c.id, rng))))
        held = select(files.c.image_id).where(files.c.image_id.is_not(None))
        connection.execute(delete(images).where(images.c.id.not_in(held)))
    else:
        connection.execute(
            delete(problems).where(problems.c.id.in_(_some(connection, problems.c.id, rng)))
        )
        connection.execute(
            delete(tasks).where(tasks.c.image_id.in_(_some(connection, tasks.c.image_id, rng)))
        )


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_a_recount_after_any_history(catalog: Catalog, seed: int) -> None:
    rng = random.Random(seed)
    with catalog.begin() as connection:
        ids = [jobs.create_job(connection, f"{n}", b"/%d" % n, ()).id for n in range(3)]
    for _ in range(8):
        with catalog.begin() as connection:
            for _ in range(6):
                _change(connection, rng, ids)
            if rng.random() < 0.3:
                jobs.delete_job(connection, ids[0])
                ids[0] = jobs.create_job(connection, "new", b"/n", ()).id
            kept = _counted(connection)
            assert kept == _recounted(connection)


def test_progress_says_what_the_queries_say(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        record(connection, job, [
            outcome(b"x.txt", b"x", state=FileState.NOT_A_PICTURE, mime="text/plain", picture=None),
            outcome(b"y.jpg", b"y", failed("exif"), state=FileState.CORRUPT, reason="cut"),
            outcome(b"z.jpg", b"z", done("exif", found=False, payload=None)),
        ])  # fmt: skip
        work.plan_tasks(connection, job, "faces", "2", state=TaskState.UNAVAILABLE, reason="none")
        found = tally.progress(connection, job)
        assert found.files == work.count_files(connection, job)
        assert found.pictures == work.count_images(connection, job)
        assert [(t.mime, t.files, t.bytes) for t in found.types] == work.count_types(
            connection, job
        )
        assert found.bytes == connection.scalar(select(func.sum(files.c.size)))
        exif, faces_ = found.stages
    assert (exif.found, exif.none_found, exif.failed, exif.total) == (120, 1, 1, 122)
    assert (faces_.stage, faces_.version, faces_.unavailable) == ("faces", "2", 122)
    assert found.formats == {"JPEG": 122}
    assert found.has_problems


def test_cards_of_jobs(catalog: Catalog, job: str) -> None:
    def states() -> dict[str, str]:
        with catalog.read() as connection:
            return {card.job.id: card.state.value for card in tally.job_cards(connection, true())}

    with catalog.begin() as connection:
        empty = jobs.create_job(connection, "empty", b"/e", ()).id
    assert states() == {job: "empty", empty: "empty"}
    expected = {JobState.RUNNING: "running", JobState.STOPPED: "stopped", JobState.FAILED: "failed",
                JobState.QUEUED: "queued", JobState.FINISHED: "complete"}  # fmt: skip
    for state, word in expected.items():
        with catalog.begin() as connection:
            jobs.end_job(connection, job, state)
            jobs.end_job(connection, empty, JobState.FINISHED)
        assert states() == {job: word, empty: "no pictures"}
    with catalog.begin() as connection:
        record(connection, job, [outcome(b"bad.jpg", b"bad", failed("exif"))])
        first, second = tally.job_cards(connection, true())
        assert [
            card.job.id for card in tally.job_cards(connection, true(), after=first.job.id)
        ] == [job]
        assert tally.job_cards(connection, tables.jobs.c.id == empty) == [first]
    assert (second.state.value, second.progress.pictures) == ("complete with problems", 121)
    assert second.thumbnail is not None
    assert first.thumbnail is None


# ---- problems and removal -------------------------------------------------------------------


def test_problems_in_pages_by_filter_and_tried_again(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        record(
            connection,
            job,
            [
                outcome(
                    b"1.jpg",
                    b"p1",
                    failed("faces", "No LUCK 100%"),
                    done("exif", problems=("odd",)),
                ),
                outcome(b"2.jpg", b"p2", failed("faces", "bad"), failed("exif", "bad")),
                outcome(
                    b"3.jpg", b"p3", state=FileState.CORRUPT, reason="cut", notes=("wrong name",)
                ),
            ],
        )
        work.plan_tasks(connection, job, "text", "1", state=TaskState.UNAVAILABLE, reason="none")
        listed = problem_list.problem_list(connection, job, limit=500).problems
        by_page: list[problem_list.ListedProblem] = []
        cursor = None
        while True:
            page = problem_list.problem_list(connection, job, after=cursor, limit=2)
            by_page += page.problems
            cursor = page.next
            if cursor is None:
                break
        assert tuple(by_page) == listed

        def of(**narrowed: Any) -> set[tuple[bytes, str, str]]:
            query = problem_list.ProblemQuery(**narrowed)
            page = problem_list.problem_list(connection, job, query, limit=500)
            return {(p.path, p.stage, p.reason) for p in page.problems}

        kinds = problem_list.ProblemKind
        assert of(kinds=(kinds.FILE, kinds.NOTE)) == {
            (b"3.jpg", "scan", "cut"), (b"3.jpg", "scan", "wrong name")}  # fmt: skip
        assert of(stage="faces") == {
            (b"1.jpg", "faces", "No LUCK 100%"),
            (b"2.jpg", "faces", "bad"),
        }
        assert of(text="luck 100%") == {(b"1.jpg", "faces", "No LUCK 100%")}
        assert of(text="1.JPG", kinds=(kinds.REMARK,)) == {(b"1.jpg", "exif", "odd")}
        assert of(text="\ud800\0%_") == set()
        assert len(of(kinds=(kinds.UNAVAILABLE,))) == 123
        assert gallery.count(connection, job, GalleryQuery("has:problem")).number == 3
        (failed_one,) = (p for p in listed if p.reason == "No LUCK 100%")
        assert failed_one.image_id is not None
        one = [failed_one.image_id]
        assert problem_list.retry(connection, job, {"faces": "1", "exif": "1"}, image_ids=one) == 1
        assert work.count_due(connection, job, {"faces": "1"}) == 1
        assert problem_list.retry(connection, job, {"faces": "1", "exif": "1"}, stage="exif") == 1
        assert problem_list.retry(connection, job, {"faces": "1", "text": "1"}) == 124
        assert problem_list.retry(connection, job, {}) == 0
        assert gallery.count(connection, job, GalleryQuery("has:problem")).number == 2


def test_a_search_among_problems_looks_at_so_many_at_a_time(
    catalog: Catalog, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with catalog.begin() as connection:
        broken = [
            outcome(
                b"%d/%s.jpg" % (n, b"wanted" if n % 9 == 8 else b"other"), b"p%d" % n,
                failed("faces"), done("exif", problems=("odd",)), state=FileState.CORRUPT,
                reason="cut", notes=("wrong name",),
            )
            for n in range(30)
        ]  # fmt: skip
        record(connection, job, broken)
        work.plan_tasks(connection, job, "text", "1", state=TaskState.UNAVAILABLE, reason="none")
    query = problem_list.ProblemQuery(text="WANTED")
    with catalog.read() as connection:
        whole = problem_list.problem_list(connection, job, query, limit=500)
        assert len(whole.problems) == 3 * len(problem_list.ProblemKind)
        assert whole.next is None
        monkeypatch.setattr(problem_list, "MOST_LOOKED_AT", 7)
        found: list[problem_list.ListedProblem] = []
        sizes: list[int] = []
        cursor = None
        while cursor is not None or not sizes:
            page = problem_list.problem_list(connection, job, query, after=cursor, limit=2)
            found += page.problems
            sizes.append(len(page.problems))
            cursor = page.next
        assert tuple(found) == whole.problems
        assert max(sizes) <= 2
        assert 0 in sizes


def test_removing_a_job_in_steps(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/o", ()).id
        record(connection, other, [outcome(b"kept.jpg", b"5", done("exif", facts=facts_of(5)))])
    told: list[int] = []
    with pytest.raises(Stopped):
        removal.remove_job(catalog, job, step=50, stop=lambda: True)
    removal.remove_job(catalog, job, step=7, progress=told.append)
    assert told[-1] == 70
    with catalog.read() as connection:
        for table in (files, images, tiles, documents):
            assert connection.scalar(select(func.count()).select_from(table)) == 1, table.name
        for table in (tasks, results, texts):
            assert connection.scalar(select(func.count()).select_from(table)) == 1, table.name
        assert connection.scalar(select(func.count()).select_from(faces)) == 2
        assert [j.id for j in jobs.list_jobs(connection)] == [other]
        assert len(gallery.page(connection, other).tiles) == 1
    removal.remove_job(catalog, job)  # a job that is gone already
