"""Landmarks and positions of a gallery as the web asks for them, in SQLite and in PostgreSQL."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import delete, select
from tests.support.outcomes import done, outcome

from caseframe.catalog import gallery, jobs, tally
from caseframe.catalog.database import Catalog
from caseframe.catalog.order import Sort
from caseframe.catalog.recording import record
from caseframe.catalog.search.choices import GalleryQuery
from caseframe.catalog.tables import files
from caseframe.domain.errors import NotFound, Stopped
from caseframe.domain.facts import Capture, Facts, Text
from caseframe.domain.work import Outcome
from caseframe.web import gallery as asked

SORTS = ["path", "-path", "captured", "-captured", "size", "-size", "added", "-added"]
COUNT = 90


def _facts(number: int) -> Facts:
    taken = Capture(f"20{number % 20:02}-03-04T10:00:00") if number % 3 else None
    return Facts(capture=taken, texts=(Text("caption", "red" if number % 2 else "blue"),))


def _outcome(number: int) -> Outcome:
    stage = done("exif", facts=_facts(number))
    return outcome(b"d%d/%d.jpg" % (number % 3, number), b"%d" % number, stage, size=number % 5)


@pytest.fixture
def job(catalog: Catalog) -> str:
    """Pictures in no order, some without a time, many of one size."""
    numbers = list(range(COUNT))
    random.Random(3).shuffle(numbers)
    with catalog.begin() as connection:
        made = jobs.create_job(connection, "a job", b"/source", ("exif",)).id
        record(connection, made, [_outcome(number) for number in numbers])
    return made


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("query", ["", "red"])
def test_a_picture_stands_where_the_pages_have_it(
    catalog: Catalog, job: str, sort: str, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "_BLOCK", 7)
    order, wanted = Sort.read(sort), GalleryQuery(query)
    with catalog.read() as connection:
        page = gallery.page(connection, job, wanted, order, limit=500)
        everything = gallery.page(connection, job, limit=500)
    ids = [tile.image_id for tile in page.tiles]
    for tile in everything.tiles:
        at = asked.position(catalog, job, tile.image_id, wanted, order, lambda: False)
        assert at == (ids.index(tile.image_id) if tile.image_id in ids else None)
    with pytest.raises(NotFound):
        asked.position(catalog, job, 10**6, wanted, order, lambda: False)


@pytest.mark.parametrize("every", [1, 10, 45, 89, 90, 91, 1000])
def test_landmarks_count_to_the_end(catalog: Catalog, job: str, every: int) -> None:
    known = asked.landmarks(catalog, job, GalleryQuery(), Sort(), every, lambda: False)
    assert known.total == COUNT
    assert len(known.cursors) == COUNT // every


def test_landmarks_are_remembered_until_the_job_changes(catalog: Catalog, job: str) -> None:
    def ask() -> asked.Landmarks:
        return asked.landmarks(catalog, job, GalleryQuery("red"), Sort(), 10, lambda: False)

    first = ask()
    assert ask() is first
    with catalog.begin() as connection:
        one = outcome(b"new.jpg", b"new", done("exif", facts=_facts(1)))
        record(connection, job, [one])
    assert ask().total == first.total + 1
    with catalog.begin() as connection:
        connection.execute(delete(files).where(files.c.path == b"new.jpg"))
    assert ask().cursors == first.cursors


def test_landmarks_follow_a_stage_that_finds_something_else(
    catalog: Catalog, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No count of files, tasks or problems changes where a picture gets another time."""
    monkeypatch.setattr(asked, "_BLOCK", 7)
    order, second = Sort.read("captured"), _outcome(1)

    def place(image_id: int) -> int | None:
        return asked.position(catalog, job, image_id, GalleryQuery(), order, lambda: False)

    with catalog.read() as connection:
        page = gallery.page(connection, job, sort=order, limit=500)
        there = connection.scalars(select(files.c.image_id).where(files.c.path == b"d1/1.jpg"))
        number = there.one()
    assert place(number) == [tile.image_id for tile in page.tiles].index(number)
    state = _state(catalog, job)
    with catalog.begin() as connection:
        facts = Facts(capture=Capture("2019-12-31T10:00:00"), texts=(Text("caption", "red"),))
        record(connection, job, [replace(second, stages=(done("exif", facts=facts),))])
        page = gallery.page(connection, job, sort=order, limit=500)
    assert _state(catalog, job) == state
    assert place(number) == [tile.image_id for tile in page.tiles].index(number)


def _state(catalog: Catalog, job: str) -> tally.JobProgress:
    with catalog.read() as connection:
        return tally.progress(connection, job)


def test_whoever_hangs_up_ends_the_walk(catalog: Catalog, job: str) -> None:
    with pytest.raises(Stopped):
        asked.landmarks(catalog, job, GalleryQuery(), Sort(), 10, lambda: True)
