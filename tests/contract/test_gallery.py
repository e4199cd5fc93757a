"""Galleries, counts and problem lists, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, true, update
from tests.support.outcomes import digests, done, failed, outcome

from caseframe.catalog import (
    detail,
    facets,
    gallery,
    jobs,
    problem_list,
    removal,
    tables,
    tally,
    timeline,
    triggers,
    work,
    world,
)
from caseframe.catalog.database import Catalog
from caseframe.catalog.gallery_tables import cells, documents, tallies, tiles
from caseframe.catalog.order import Sort
from caseframe.catalog.recording import record
from caseframe.catalog.search.choices import GalleryQuery
from caseframe.catalog.tables import faces, files, images, problems, results, tasks, texts
from caseframe.domain.errors import NotFound, Stopped, UsageError
from caseframe.domain.evidence import FileState
from caseframe.domain.facts import Camera, Capture, Face, Facts, PerceptualHash, Place, Text
from caseframe.domain.work import JobState, Outcome, StageOutcome, TaskState

SORTS = ["path", "-path", "captured", "-captured", "size", "-size", "added", "-added"]
QUERIES = ["", "red", "zeppelin", "red -boat", "-zeppelin", "date:2001..2005", "width:>10 boat",
           "nothing", "camera:nikon OR zeppelin", '"red boat"']  # fmt: skip


def _facts(number: int) -> Facts:
    rng = random.Random(number)
    words = [rng.choice(["red", "blue"]), rng.choice(["boat", "house"])]
    words += ["zeppelin"] if number % 40 == 0 else []
    taken = (
        Capture(f"20{rng.randrange(10):02}-0{1 + number % 9}-11T10:00:00") if number % 3 else None
    )
    where = Place(rng.uniform(-1, 1), 180.0 if number % 2 else -180.0, country="Fiji", town="Suva")
    return Facts(
        capture=taken,
        camera=Camera("NIKON", "D750") if number % 4 == 0 else Camera("Canon", "EOS"),
        place=where if number % 5 == 0 else None,
        texts=(Text("caption", " ".join(words)),),
        faces=(Face(1, 2, 3, 4, 0.5),) * (number % 3),
        perceptual_hash=PerceptualHash(bytes([number % 2]) * 32, 90),
    )


def _outcome(number: int) -> Outcome:
    content = b"%d" % number
    stage = done("exif", facts=_facts(number))
    return outcome(b"d%d/IMG%d.jpg" % (number % 3, number), content, stage, size=number % 7)


@pytest.fixture
def job(catalog: Catalog) -> str:
    """120 pictures in one job."""
    with catalog.begin() as connection:
        made = jobs.create_job(connection, "a job", b"/source", ("exif",)).id
        numbers = list(range(120))
        random.Random(1).shuffle(numbers)
        record(connection, made, [_outcome(number) for number in numbers])
    return made


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
        stage = done("exif", facts=_facts(5), problems=("odd",))
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


def test_what_a_job_does_not_show_is_not_found(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/o", ()).id
        record(connection, other, [_outcome(500)])
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
                    done("exif", facts=_facts(5), problems=("odd",), model="m", model_digest="d"),
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
        for query in ("red", "-zeppelin", '"red boat"', "width:>1"):
            assert gallery.count(connection, job, GalleryQuery(query), most=5) == gallery.Count(
                5, False
            )


def test_landmarks_can_be_stopped(catalog: Catalog, job: str) -> None:
    with catalog.read() as connection, pytest.raises(Stopped):
        gallery.landmarks(connection, job, every=10, stop=lambda: True)


# ---- counts ---------------------------------------------------------------------------------


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
                    done(name, facts=_facts(rng.randrange(9)), problems=("p",) * rng.randrange(3))])
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
        assert states() == {job: word, empty: "empty"}
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


def test_removing_a_job_in_steps(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/o", ()).id
        record(connection, other, [outcome(b"kept.jpg", b"5", done("exif", facts=_facts(5)))])
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
