"""What the catalog holds after jobs were deleted, stages got new versions or were run again."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from tests.support.catalogs import rows
from tests.support.outcomes import digests, done, failed, outcome, write

from caseframe.catalog import evidence, gallery, jobs, lookup, records, work
from caseframe.catalog.database import Catalog
from caseframe.catalog.described import describe_tiles
from caseframe.catalog.inserting import insert_rows
from caseframe.catalog.removal import remove_job
from caseframe.catalog.search import conditions
from caseframe.catalog.search.choices import GalleryQuery
from caseframe.catalog.tables import files, images, results, tasks
from caseframe.domain.evidence import FileState
from caseframe.domain.facts import Camera, Facts, PerceptualHash
from caseframe.domain.work import StageOutcome
from caseframe.pipeline.plan import needs_reading
from caseframe.scanner.walk import Entry


def test_known_content_that_another_job_took_with_it_is_read_again(
    catalog: Catalog, job: str
) -> None:
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/other", ()).id
    write(catalog, other, outcome(b"a", b"x"))
    with catalog.begin() as connection:
        jobs.delete_job(connection, other)
    write(catalog, job, outcome(b"b", b"x", already_known=True, picture=None, thumbnail=None))
    with catalog.read() as connection:
        before = evidence.files_at(connection, job, [b"b"])[b"b"]
        ((_, reason),) = [(p.path, p.reason) for p in lookup.list_problems(connection, job)]
    assert reason == "its content was deleted with another job; scan again"
    assert needs_reading(Entry(b"b", before.size, before.modified_ns), before, rehash=False)
    write(catalog, job, outcome(b"b", b"x", order={"before": before.sha256}))
    with catalog.read() as connection:
        assert work.count_images(connection, job) == 1
        assert list(lookup.list_problems(connection, job)) == []


def test_what_cannot_be_read_for_once_keeps_what_was_found_when_another_job_goes(
    catalog: Catalog, job: str
) -> None:
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/other", ()).id
    write(catalog, other, outcome(b"b", b"b", done("exif")))
    write(catalog, job, outcome(b"a", b"a", done("exif")))
    unread = outcome(b"a", b"a", state=FileState.UNREADABLE, digests=None, picture=None)
    write(catalog, job, unread)
    remove_job(catalog, other)
    (image,) = rows(catalog, images)
    assert bytes(image["sha256"]) == digests(b"a").sha256
    assert [row["stage"] for row in rows(catalog, tasks)] == ["exif"]
    remove_job(catalog, job)
    assert rows(catalog, images) == []


def test_what_a_stage_says_of_a_picture_that_was_deleted_meanwhile_is_dropped(
    catalog: Catalog, job: str
) -> None:
    write(catalog, job, outcome(b"a", b"a", done("exif")), outcome(b"b", b"b", done("exif")))
    with catalog.begin() as connection:
        ids = list(connection.scalars(select(images.c.id).order_by(images.c.id)))
        connection.execute(update(files).where(files.c.image_id == ids[0]).values(image_id=None))
        connection.execute(delete(images).where(images.c.id == ids[0]))
    late = [
        outcome(path, path, done("similar"), order={"ingest": False, "image_id": number})
        for path, number in zip((b"a", b"b"), ids, strict=True)
    ]
    write(catalog, job, *late)
    with catalog.read() as connection:
        said = select(tasks.c.image_id).where(tasks.c.stage == "similar")
        assert list(connection.scalars(said)) == ids[1:]


def exif(version: str, word: str | None) -> StageOutcome:
    """What a version of the stage said; None for nothing found."""
    payload = None if word is None else json.dumps({"metadata": {"Exif": {"Word": word}}})
    return done("exif", version=version, payload=payload, found=payload is not None)


def said(catalog: Catalog, job: str) -> tuple[Any, Any, Mapping[str, str]]:
    """The metadata in the export and in the job manager's interface; what other stages get."""
    with catalog.begin() as connection:
        work.plan_tasks(connection, job, "place", "1")
        (line,) = records.records(connection, job)
        (described,) = describe_tiles(connection, gallery.page(connection, job).tiles)
        (due,) = work.due_page(connection, job, {"place": "1"}, {"place": ("exif",)})
    return line["metadata"], described.metadata, due.given


def test_what_the_version_said_that_finished_last_is_what_counts(
    catalog: Catalog, job: str
) -> None:
    write(catalog, job, outcome(b"a", b"a", exif("9", "nine")))
    write(catalog, job, outcome(b"a", b"a", exif("10", "ten")))
    ten = {"Exif": {"Word": "ten"}}
    assert said(catalog, job) == (ten, ten, {"exif": json.dumps({"metadata": ten})})
    write(catalog, job, outcome(b"a", b"a", exif("11", None)))
    assert said(catalog, job) == ({}, {}, {"exif": "{}"})


def test_a_catalog_that_holds_results_of_several_versions(catalog: Catalog, job: str) -> None:
    """As earlier versions of the program left them."""
    write(catalog, job, outcome(b"a", b"a", exif("9", "nine")))
    write(catalog, job, outcome(b"a", b"a", exif("10", "ten")))
    with catalog.begin() as connection:
        (image,) = connection.scalars(select(images.c.id))
        left = {"image_id": image, "stage": "exif", "version": "9", "payload": '{"metadata":{}}'}
        insert_rows(connection, results, [left])
    ten = {"Exif": {"Word": "ten"}}
    assert said(catalog, job) == (ten, ten, {"exif": json.dumps({"metadata": ten})})


@pytest.mark.parametrize(
    ("given", "due", "state"), [("9", "10", "pending"), ("10", "9", "done"), ("9", "9", "done")]
)
def test_the_state_of_a_stage_is_that_of_its_newest_version(
    catalog: Catalog, job: str, given: str, due: str, state: str
) -> None:
    write(catalog, job, outcome(b"a", b"a", exif(given, "word")))
    with catalog.begin() as connection:
        work.plan_tasks(connection, job, "exif", due)
        (line,) = records.records(connection, job)
    assert line["stages"] == {"exif": state}


def test_what_is_run_again_is_no_problem_meanwhile(catalog: Catalog, job: str) -> None:
    write(
        catalog,
        job,
        outcome(b"a", b"a", failed("exif", "it broke")),
        outcome(b"b", b"b", failed("exif", "it broke")),
    )
    with catalog.begin() as connection:
        chosen = conditions(["path=a"])
        assert work.reset_tasks(connection, job, "exif", "1", chosen) == 1
        found = {(state, why) for state, why in connection.execute(_STATES)}
        page = gallery.page(connection, job, GalleryQuery("is:problem"))
    assert found == {("pending", None), ("failed", "it broke")}
    assert [tile.path for tile in page.tiles] == [b"b"]


_STATES = select(tasks.c.state, tasks.c.reason)


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("path=*Ärger*", {"Ärger/A.JPG"}),
        ("path=ärger/a.jpg", {"ärger/a.jpg"}),
        ("path=*/A.jpg", {"Ärger/A.JPG", "ärger/a.jpg"}),
        ("camera=ÖLYMP", {"Ärger/A.JPG"}),
    ],
)
def test_letters_beyond_ascii_are_found_as_they_are_written(
    catalog: Catalog, job: str, term: str, expected: set[str]
) -> None:
    camera = done("exif", facts=Facts(camera=Camera("ÖLYMP", None, None)))
    write(
        catalog,
        job,
        outcome("Ärger/A.JPG".encode(), b"a", camera),
        outcome("ärger/a.jpg".encode(), b"b"),
    )
    with catalog.read() as connection:
        query = select(files.c.path_text).join(images).where(*conditions([term]))
        found = set(connection.scalars(query))
    assert found >= expected
    # PostgreSQL may know more letters, as its locale says.
    assert found == expected or catalog.dialect == "postgresql"


def test_a_path_of_any_length_is_written_once_and_found(catalog: Catalog, job: str) -> None:
    chance = random.Random(1)
    folders = [bytes(chance.choices(range(128, 256), k=255)) for _ in range(16)]
    path = b"/".join(folders)  # over what an index of PostgreSQL takes, and cannot be compressed
    twin = path[:-1] + b"."
    for content in (b"x", b"yy"):
        write(catalog, job, outcome(path, content), outcome(twin, b"x", done("exif")))
    with catalog.read() as connection:
        known = evidence.files_at(connection, job, [path, twin, path[:-2]])
        assert {file.path: file.size for file in known.values()} == {path: 2, twin: 1}
        assert lookup.find_by_path(connection, job, path) == known[path].id
        assert lookup.find_by_path(connection, job, path[:-2]) is None
        (record,) = records.records_of(connection, [known[path].id])
        assert record["path_bytes"] == base64.b64encode(path).decode()
        assert len(gallery.page(connection, job, GalleryQuery()).tiles) == 2


def test_what_is_missing_now_makes_no_duplicates(catalog: Catalog, job: str) -> None:
    hashed = done("similar", facts=Facts(perceptual_hash=PerceptualHash(bytes(32), 90)))
    names = (b"a", b"a", b"b", b"b", b"b", b"c")
    paths = [b"%d.jpg" % at for at in range(len(names))]
    write(catalog, job, *(outcome(p, n, hashed) for p, n in zip(paths, names, strict=True)))
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/other", ()).id
    write(catalog, other, outcome(b"there.jpg", b"c", already_known=True))
    with catalog.begin() as connection:
        known = evidence.files_at(connection, job, paths)
        gone = [known[paths[at]].id for at in (0, 3, 5)]
        evidence.mark_missing(connection, gone, missing=True)
    with catalog.read() as connection:
        images_ = [lookup.image_of(connection, known[paths[at]].id) for at in (0, 2, 5)]
        a, b, c = (number for number in images_ if number is not None)
        assert lookup.exact_duplicates(connection, job) == [b]
        found = lookup.occurrences(connection, [c, b, a], job)
        assert [(o.image_id, o.path) for o in found] == [
            (a, paths[1]),
            (b, paths[2]),
            (b, paths[4]),
        ]
        assert {n for n, _ in lookup.hashes(connection, job, 50, present=True)} == {a, b}
        assert {n for n, _ in lookup.hashes(connection, job, 50)} == {a, b, c}


def test_occurrences_of_more_images_than_a_query_takes(catalog: Catalog, job: str) -> None:
    write(catalog, job, *(outcome(b"%d.jpg" % (9 - n), b"%d" % n) for n in range(3)))
    with catalog.read() as connection:
        numbers = list(connection.scalars(select(images.c.id)))
        asked = [numbers[0], *range(10**9, 10**9 + 70_000), *numbers[1:]]
        found = lookup.occurrences(connection, asked, job)
    assert [o.path for o in found] == [b"7.jpg", b"8.jpg", b"9.jpg"]
