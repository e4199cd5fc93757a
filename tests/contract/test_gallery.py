"""Galleries, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, select
from tests.support.gallery import a_job, facts_of, outcome_of
from tests.support.outcomes import digests, done, failed, outcome

from caseframe.catalog import (
    detail,
    facets,
    gallery,
    jobs,
    problem_list,
    tally,
    timeline,
    world,
)
from caseframe.catalog.database import Catalog
from caseframe.catalog.order import Sort, cursor, place_of
from caseframe.catalog.recording import record
from caseframe.catalog.search.choices import GalleryQuery
from caseframe.catalog.tables import images
from caseframe.domain.errors import NotFound, Stopped, UsageError
from caseframe.domain.evidence import FileState

SORTS = ["path", "-path", "captured", "-captured", "size", "-size", "added", "-added"]
QUERIES = ["", "red", "zeppelin", "red -boat", "-zeppelin", "date:2001..2005", "width:>10 boat",
           "nothing", "camera:nikon OR zeppelin", '"red boat"']  # fmt: skip


@pytest.fixture
def job(catalog: Catalog) -> str:
    return a_job(catalog)


def _ids(page: gallery.Page) -> list[int]:
    return [tile.image_id for tile in page.tiles]


def _pages(read: Callable[[str | None], gallery.Page], way: str) -> Iterator[gallery.Page]:
    cursor: str | None = None
    while True:
        page = read(cursor)
        yield page
        cursor = page.next if way == "next" else page.previous
        if cursor is None:
            return


@pytest.mark.parametrize("sort", SORTS)
def test_pages_forwards_and_back_are_the_whole(catalog: Catalog, job: str, sort: str) -> None:
    for query in QUERIES:
        with catalog.read() as connection:
            _forwards_and_back(connection, job, Sort.read(sort), GalleryQuery(query))


def _forwards_and_back(connection: Connection, job: str, order: Sort, wanted: GalleryQuery) -> None:
    whole = gallery.page(connection, job, wanted, order, limit=500)
    ids = _ids(whole)
    assert whole.next is whole.previous is None
    assert gallery.count(connection, job, wanted) == gallery.Count(len(ids))
    ahead = [i for page in _pages(
        lambda c: gallery.page(connection, job, wanted, order, after=c, limit=7), "next")
        for i in _ids(page)]  # fmt: skip
    assert ahead == ids
    if not ids:
        return
    last = gallery.cursor_of(connection, job, ids[-1], order)
    back = [_ids(page) for page in _pages(
        lambda c: gallery.page(connection, job, wanted, order, before=c or last, limit=7),
        "previous")]  # fmt: skip
    assert [i for part in reversed(back) for i in part] == ids[:-1]
    marks = gallery.landmarks(connection, job, wanted, order, every=10)
    for nth, mark in enumerate(marks):
        page = gallery.page(connection, job, wanted, order, after=mark, limit=3)
        assert _ids(page) == ids[(nth + 1) * 10 :][:3]
    assert len(marks) == len(ids) // 10


def _key(tile: gallery.Tile, sort: str) -> Any:
    name = sort.lstrip("-")
    return {"path": tile.path, "size": tile.size, "added": tile.image_id,
            "captured": tile.captured_at}[name]  # fmt: skip


@pytest.mark.parametrize("sort", SORTS)
def test_the_order_is_that_of_the_key(catalog: Catalog, job: str, sort: str) -> None:
    with catalog.read() as connection:
        page = gallery.page(connection, job, sort=Sort.read(sort), limit=500)
    keys = [_key(tile, sort) for tile in page.tiles]
    known = [key for key in keys if key is not None]
    assert keys == known + [None] * (len(keys) - len(known))
    assert known == sorted(known, reverse=sort.startswith("-"))
    assert len(keys) == 120


@pytest.mark.parametrize("gathered", [0, 10**6])
@pytest.mark.parametrize(("steps", "walked"), [(3, 0), (3, 1000), (50, 0)])
def test_all_ways_of_finding_agree(
    catalog: Catalog,
    job: str,
    gathered: int,
    steps: int,
    walked: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether tiles are walked, found window by window, or all gathered, is not to be seen."""

    def all_pages() -> list[list[int]]:
        with catalog.read() as connection:
            return [
                _ids(gallery.page(connection, job, GalleryQuery(query), Sort.read(sort),
                                  after=cursor, limit=9))
                for sort in SORTS for query in QUERIES
                for cursor in (None, gallery.cursor_of(connection, job, 5, Sort.read(sort)))
            ]  # fmt: skip

    before = all_pages()
    monkeypatch.setattr("caseframe.catalog.walk._MOST_GATHERED", gathered)
    monkeypatch.setattr("caseframe.catalog.walk._FIRST_STEPS", steps)
    monkeypatch.setattr("caseframe.catalog.walk._LONGEST_WALK", walked)
    monkeypatch.setattr("caseframe.catalog.walk._LONGEST_WINDOW", 50)
    monkeypatch.setattr("caseframe.catalog.walk._RARE", 0 if steps == 50 else 50)
    monkeypatch.setattr("caseframe.catalog.walk._LONGEST_STRIDE", steps * 2)
    assert all_pages() == before


def test_a_tile_says_what_the_grid_needs(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        job = jobs.create_job(connection, "j", b"/s", ()).id
        stage = done("exif", facts=facts_of(5), problems=("odd",))
        record(connection, job, [
            outcome(b"b.jpg", b"5", stage), outcome(b"a/\xff.jpg", b"5", stage),
            outcome(b"c.jpg", b"c", state=FileState.CORRUPT, reason="cut", thumbnail=None),
            outcome(b"huge.png", b"h", state=FileState.OVER_LIMIT, reason="x", thumbnail=None),
            outcome(b"t.txt", b"t", state=FileState.NOT_A_PICTURE, picture=None, thumbnail=None),
        ])  # fmt: skip
        page = gallery.page(connection, job)
    first, corrupt, over = page.tiles
    assert (first.path, first.path_text) == (b"a/\xff.jpg", "a/\ufffd.jpg")
    assert (first.sha256, first.copies, first.faces) == (digests(b"5").sha256, 2, 2)
    assert (first.mime, first.format, first.width, first.height) == ("image/jpeg", "JPEG", 64, 48)
    assert (first.state, first.problem, first.thumbnail) == ("picture", True, True)
    assert (corrupt.state, corrupt.problem, corrupt.thumbnail) == ("corrupt", True, False)
    assert over.state == "over-limit"


def test_a_page_around_a_picture(catalog: Catalog, job: str) -> None:
    with catalog.read() as connection:
        ids = _ids(gallery.page(connection, job, limit=500))
        page = gallery.around(connection, job, ids[50], limit=11)
        assert _ids(page) == ids[45:56]
        after = gallery.page(connection, job, after=page.next, limit=2)
        before = gallery.page(connection, job, before=page.previous, limit=2)
        assert (_ids(before), _ids(after)) == (ids[43:45], ids[56:58])
        assert _ids(gallery.around(connection, job, ids[0], limit=4)) == ids[:2]
        assert gallery.around(connection, job, ids[-1], limit=4).next is None
        two = gallery.neighbours(connection, job, ids[7])
        assert (two.before, two.behind) == (ids[6], ids[8])
        assert gallery.neighbours(connection, job, ids[0]).before is None
        assert gallery.neighbours(connection, job, ids[-1]).behind is None


BAD_CURSORS = ["", "x", "é", "W10", "WzFd", "[" * 9000, "bnVsbA", "\0", "A" * 99, "W1tdLFtdLFtdXQ"]


@pytest.mark.parametrize("sort", ["path", "captured", "added", "size"])
def test_a_bad_cursor_is_refused(catalog: Catalog, job: str, sort: str) -> None:
    with catalog.read() as connection:
        other = gallery.cursor_of(connection, job, 3, Sort.read("-" + sort))
        for cursor in [*BAD_CURSORS, other]:
            with pytest.raises(UsageError, match="begin again"):
                gallery.page(connection, job, sort=Sort.read(sort), after=cursor)
            with pytest.raises(UsageError, match="begin again"):
                gallery.page(connection, job, sort=Sort.read(sort), before=cursor)
            with pytest.raises(UsageError, match="begin at its start"):
                problem_list.problem_list(connection, job, after=cursor)


@pytest.mark.parametrize("sort", ["path", "captured", "added", "size"])
@pytest.mark.parametrize("q", ["", "red", "camera:nikon", "path:jpg"])
def test_a_cursor_of_another_job_is_refused(catalog: Catalog, job: str, sort: str, q: str) -> None:
    """S3: its number would stand for where the gallery begins or ends."""
    query = GalleryQuery(q)
    with catalog.begin() as connection:
        others = [jobs.create_job(connection, f"job {n}", b"/o%d" % n, ()).id for n in range(2)]
        for at, other in enumerate(others):
            record(connection, other, [outcome_of(500 + 10 * at + n) for n in range(3)])
    with catalog.read() as connection:
        for order in (Sort.read(sort), Sort.read("-" + sort)):
            shown = set(_ids(gallery.page(connection, others[0], query, order, limit=500)))
            for elsewhere in (job, others[1]):
                (first, *_) = _ids(gallery.page(connection, elsewhere))
                theirs = gallery.cursor_of(connection, elsewhere, first, order)
                made_up = [cursor(order, replace(place_of(order, theirs), id=number))
                           for number in (0, -1, 2**62, -(2**62))]  # fmt: skip
                for one in (theirs, *made_up):
                    with pytest.raises(UsageError, match="begin again"):
                        gallery.page(connection, others[0], query, order, after=one)
                    with pytest.raises(UsageError, match="begin again"):
                        gallery.page(connection, others[0], query, order, before=one)
            own = gallery.cursor_of(connection, others[0], min(shown), order) if shown else None
            assert set(_ids(gallery.page(connection, others[0], query, order, after=own))) <= shown


def test_what_a_job_does_not_show_is_not_found(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/o", ()).id
        record(connection, other, [outcome_of(500)])
        (theirs,) = _ids(gallery.page(connection, other))
        for number in (theirs, 0, -1, 10**9, 2**40, 2**70):
            with pytest.raises(NotFound):
                detail.detail(connection, job, number)
            with pytest.raises(NotFound):
                gallery.around(connection, job, number)
            with pytest.raises(NotFound):
                detail.near_twins(connection, job, number)
        assert detail.faces_of(connection, job, [theirs]) == {}
        for ask in (gallery.page, gallery.count, facets.facets, tally.progress, world.map_clusters,
                    problem_list.problem_list, timeline.timeline):  # fmt: skip
            with pytest.raises(NotFound):
                ask(connection, "no such job")
        for limit in (0, -1, 501):
            with pytest.raises(UsageError):
                gallery.page(connection, job, limit=limit)


def test_the_detail_of_a_picture(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/o", ()).id
        same = outcome(b"hidden/elsewhere.jpg", b"5", already_known=True)
        record(connection, other, [same])
        record(
            connection,
            job,
            [
                outcome(
                    b"copy.jpg",
                    b"5",
                    done("exif", facts=facts_of(5), problems=("odd",), model="m", model_digest="d"),
                    failed("faces", "no luck", 3),
                    size=5,
                    notes=("named wrong",),
                ),
            ],
        )
        number = connection.scalar(
            select(images.c.id).where(images.c.sha256 == digests(b"5").sha256)
        )
        assert number is not None
        found = detail.detail(connection, job, number)
        twins = detail.near_twins(connection, job, number, most=5)
    assert [one.path for one in found.paths] == [b"copy.jpg", b"d2/IMG5.jpg"]
    said = {one.stage: one for one in found.stages}
    assert (said["exif"].state, said["exif"].model, said["exif"].payload) == (
        "done", "m", '{"word":"fine"}')  # fmt: skip
    assert (said["faces"].state, said["faces"].reason, said["faces"].attempts) == (
        "failed", "no luck", 3)  # fmt: skip
    assert said["exif"].finished_at is not None
    assert found.place is not None
    assert found.place.country == "Fiji"
    assert len(found.faces) == 2
    assert {remark.reason for remark in found.problems} == {"odd", "named wrong"}
    assert [text.field for text in found.texts] == ["caption"]
    assert (found.md5, found.sha1) == (digests(b"5").md5, digests(b"5").sha1)
    assert len(twins) == 5
    assert all(away == 0 and tile.image_id != number for away, tile in twins)


def test_facets(catalog: Catalog, job: str) -> None:
    with catalog.read() as connection:
        found = facets.facets(connection, job)
        assert {f.value: f.count for f in found.cameras} == {"NIKON D750": 30, "Canon EOS": 90}
        assert [(f.value, f.count) for f in found.formats] == [("JPEG", 120)]
        assert [(t.country, t.town, t.count) for t in found.towns] == [("Fiji", "Suva", 24)]
        assert sum(f.count for f in found.years) == 80


def test_a_count_says_when_there_are_more(catalog: Catalog, job: str) -> None:
    with catalog.read() as connection:
        for query in (
            "red",
            "-zeppelin",
            '"red boat"',
            "width:>1",
            "boat*",
            "bo*",
            "boat* OR zep*",
        ):
            assert gallery.count(connection, job, GalleryQuery(query), most=5) == gallery.Count(
                5, False
            )
        for query, number in (("zeppelin*", 3), ("zep*", 3), ("zeppelin* OR zep*", 3)):
            found = gallery.count(connection, job, GalleryQuery(query), most=5)
            assert found == gallery.Count(number)


def test_landmarks_can_be_stopped(catalog: Catalog, job: str) -> None:
    with catalog.read() as connection, pytest.raises(Stopped):
        gallery.landmarks(connection, job, every=10, stop=lambda: True)
