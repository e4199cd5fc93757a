"""The catalog's behaviour, once over SQLite and once over PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, Table, select
from sqlalchemy.exc import IntegrityError, StatementError
from tests.support.catalogs import rows
from tests.support.outcomes import all_facts, digests, done, examined, failed, outcome, write

from caseframe.catalog import detail, evidence, gallery, jobs, lookup, records, tally, work
from caseframe.catalog.database import Catalog
from caseframe.catalog.inserting import insert_rows, upsert
from caseframe.catalog.recording import record
from caseframe.catalog.removal import remove_job
from caseframe.catalog.search.choices import GalleryQuery
from caseframe.catalog.tables import (
    faces,
    files,
    images,
    metadata,
    places,
    problems,
    results,
    tasks,
    texts,
    thumbnails,
)
from caseframe.domain.errors import NotFound
from caseframe.domain.evidence import FileState
from caseframe.domain.facts import Camera, Facts, PerceptualHash, Text
from caseframe.domain.work import JobState, StageOutcome, TaskState


def everything(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    return {table.name: rows(catalog, table) for table in metadata.sorted_tables}


def test_jobs_come_back_as_they_went_in(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        made = jobs.create_job(connection, "Näme", b"/a/\xff\xfe", ("exif", "faces"), "why")
        assert jobs.get_job(connection, made.id) == made
        assert jobs.find_job(connection, b"/a/\xff\xfe") == made
        assert jobs.find_job(connection, b"/a") is None
        with pytest.raises(NotFound):
            jobs.get_job(connection, "nothing")
        started = jobs.start_job(connection, made.id, ("exif", "new"))
        assert (started.state, started.planned, started.stages) == (
            JobState.RUNNING,
            None,
            ("exif", "faces", "new"),
        )
        jobs.end_job(connection, made.id, JobState.FAILED, "no room")
        ended = jobs.get_job(connection, made.id)
    assert (ended.state, ended.reason) == (JobState.FAILED, "no room")
    assert ended.finished_at is not None
    assert ended.finished_at.utcoffset() is not None


def test_a_started_job_goes_before_one_that_only_was_made(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        first, second, third = (jobs.create_job(connection, "a", b"/a", ("exif",)) for _ in "123")
        assert jobs.find_job(connection, b"/a") == third
        jobs.start_job(connection, second.id, ("exif",))
        jobs.start_job(connection, first.id, ("exif",))
        assert jobs.find_or_create_job(connection, "a", b"/a", ("exif",)).id == first.id


def test_a_picture_with_all_its_facts(catalog: Catalog, job: str) -> None:
    write(catalog, job, outcome(b"a.jpg", b"a", done("exif", facts=all_facts(), problems=("odd",))))
    (image,) = rows(catalog, images)
    assert bytes(image["sha256"]) == digests(b"a").sha256
    assert (image["camera_model"], image["captured_at"]) == ("D750", "2016-07-15T06:48:02+02:00")
    assert (bytes(image["pdq"]), image["face_count"]) == (bytes(range(32)), 1)
    (face,) = rows(catalog, faces)
    assert (face["x"], face["y"], face["width"], face["height"]) == (1, 2, 30, 40)
    (place,) = rows(catalog, places)
    assert (place["latitude"], place["country"]) == (45.9, "France")
    assert [row["value"] for row in rows(catalog, texts)] == ["NIKON", "red boat"]
    assert [row["reason"] for row in rows(catalog, problems)] == ["odd"]
    assert [row["payload"] for row in rows(catalog, results)] == ['{"word":"fine"}']
    assert [bytes(row["data"]) for row in rows(catalog, thumbnails)] == [b"\xff\xd8thumb"]


def test_writing_twice_changes_nothing(catalog: Catalog, job: str) -> None:
    batch = [
        outcome(
            b"a.jpg", b"a", done("exif", facts=all_facts(), problems=("odd",)), failed("other")
        ),
        outcome(b"b.txt", b"b", state=FileState.NOT_A_PICTURE, picture=None, thumbnail=None),
        outcome(b"c.jpg", b"c", state=FileState.CORRUPT, reason="cut", notes=("wrong name",)),
    ]
    write(catalog, job, *batch)
    once = everything(catalog)
    write(catalog, job, *batch)
    write(catalog, job, *batch, *batch)
    assert everything(catalog) == once


def test_one_content_at_many_paths_is_one_image(catalog: Catalog, job: str) -> None:
    stage = done("exif", facts=all_facts())
    write(catalog, job, *(outcome(name, b"same", stage) for name in (b"1", b"2", b"3")))
    assert len(rows(catalog, images)) == len(rows(catalog, tasks)) == len(rows(catalog, faces)) == 1
    assert len(rows(catalog, files)) == 3
    with catalog.read() as connection:
        (image,) = lookup.exact_duplicates(connection, job)
        found = lookup.occurrences(connection, [image], job)
    assert [o.path for o in found] == [b"1", b"2", b"3"]


def test_known_content_takes_the_state_of_its_image(catalog: Catalog, job: str) -> None:
    write(catalog, job, outcome(b"a", b"x", state=FileState.CORRUPT, reason="cut short"))
    write(catalog, job, outcome(b"b", b"x", already_known=True, picture=None, thumbnail=None))
    states = {bytes(row["path"]): (row["state"], row["reason"]) for row in rows(catalog, files)}
    assert states == {b"a": ("corrupt", "cut short"), b"b": ("corrupt", "cut short")}
    (image,) = rows(catalog, images)
    assert image["width"] == 64


@pytest.mark.parametrize(
    "path",
    [b"new\nline.jpg", b"-rf", b"\xff\xfe.jpg", "e\u0301.jpg".encode(), "\u00e9.jpg".encode()],
)
def test_paths_are_bytes(catalog: Catalog, job: str, path: bytes) -> None:
    write(catalog, job, outcome(path, b"a"))
    with catalog.read() as connection:
        assert set(evidence.files_at(connection, job, [path, b"other"])) == {path}
        assert lookup.find_by_path(connection, job, path) is not None
        (line,) = records.records(connection, job)
    assert line["path"] == path.decode("utf-8", "replace")
    assert ("path_bytes" in line) is (b"\xff" in path)


def test_text_that_databases_refuse_is_stored_and_shown(catalog: Catalog, job: str) -> None:
    facts = Facts(camera=Camera("a\0b", "c\ud800d"), texts=(Text("title", "\0\udfff"),))
    stage = done("exif", facts=facts, payload=json.dumps({"t": "\0"}), problems=("bad \0",))
    write(catalog, job, outcome(b"a", b"a", stage))
    (image,) = rows(catalog, images)
    assert (image["camera_make"], image["camera_model"]) == ("a\ufffdb", "c\ufffdd")
    (result,) = rows(catalog, results)
    assert json.loads(result["payload"]) == {"t": "\0"}


def test_a_stage_run_again_replaces_what_it_said(catalog: Catalog, job: str) -> None:
    write(catalog, job, outcome(b"a", b"a", done("exif", facts=all_facts(), problems=("odd",))))
    with catalog.read() as connection:
        number = connection.scalar(select(images.c.id))
    again = done("exif", found=False, payload=None, facts=type(all_facts())(), problems=())
    order = {"ingest": False, "image_id": number}
    write(catalog, job, outcome(b"a", b"a", again, order=order))
    for table in (faces, places, texts, problems, results):
        assert rows(catalog, table) == [], table.name
    (image,) = rows(catalog, images)
    assert (image["captured_at"], image["camera_make"]) == (None, None)


def test_what_an_older_version_could_not_do_is_forgotten_when_another_looked(
    catalog: Catalog, job: str
) -> None:
    write(catalog, job, outcome(b"a", b"a", done("exif"), failed("faces")))
    with catalog.read() as connection:
        order = {"ingest": False, "image_id": connection.scalar(select(images.c.id))}
        assert tally.progress(connection, job).has_problems
        assert gallery.count(connection, job, GalleryQuery("is:problem")).number == 1
    write(catalog, job, outcome(b"a", b"a", done("faces", version="2"), order=order))
    with catalog.read() as connection:
        assert not tally.progress(connection, job).has_problems
        assert gallery.count(connection, job, GalleryQuery("is:problem")).number == 0
    stages = [(row["stage"], row["version"]) for row in rows(catalog, tasks)]
    assert sorted(stages) == [("exif", "1"), ("faces", "2")]


def test_nothing_is_left_of_what_a_file_held_before_when_its_job_is_deleted(
    catalog: Catalog, job: str
) -> None:
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/other", ()).id
    write(catalog, other, outcome(b"b", b"kept", done("exif")))
    write(catalog, job, outcome(b"a", b"first", done("exif", facts=all_facts())))
    write(catalog, job, outcome(b"a", b"second", done("exif", facts=all_facts())))
    assert len(rows(catalog, images)) == 3
    remove_job(catalog, job)
    (image,) = rows(catalog, images)
    assert bytes(image["sha256"]) == digests(b"kept").sha256
    for table in (faces, places, texts):
        assert rows(catalog, table) == [], table.name


def test_a_stage_that_cannot_work_takes_nothing_away(catalog: Catalog, job: str) -> None:
    write(catalog, job, outcome(b"a", b"a", done("exif", facts=all_facts(), problems=("odd",))))
    kept = (images, faces, places, texts, problems, results)
    before = {table.name: rows(catalog, table) for table in kept}
    with catalog.read() as connection:
        order = {"ingest": False, "image_id": connection.scalar(select(images.c.id))}
    for version in ("1", "2"):
        away = StageOutcome("exif", version, TaskState.UNAVAILABLE, reason="the service is away")
        write(catalog, job, outcome(b"a", b"a", away, order=order))
        assert {table.name: rows(catalog, table) for table in kept} == before


def test_only_what_is_due_is_due(catalog: Catalog, job: str) -> None:
    versions = {"exif": "1", "place": "1", "faces": "2"}
    needs = {"place": ("exif",)}
    write(
        catalog,
        job,
        outcome(b"a", b"a", done("exif"), done("place"), done("faces", version="1")),
        outcome(b"b", b"b", done("exif", found=False, payload=None), failed("faces")),
    )
    with catalog.begin() as connection:
        for stage, version in versions.items():
            work.plan_tasks(connection, job, stage, version)
            work.plan_tasks(connection, job, stage, version)
        found = work.due_page(connection, job, versions, needs)
        assert work.count_due(connection, job, versions) == 2
    by_path = {due.path: due for due in found}
    assert by_path[b"a"].stages == ("faces",)
    assert by_path[b"b"].stages == ("place", "faces")
    assert by_path[b"b"].given == {"exif": "{}"}
    assert by_path[b"a"].given == {"exif": '{"word":"fine"}'}
    with catalog.read() as connection:
        assert work.due_page(connection, job, versions, needs, after=found[-1].image_id) == []


def test_an_unavailable_stage_is_due_when_it_is_there(catalog: Catalog, job: str) -> None:
    write(catalog, job, outcome(b"a", b"a", done("exif")))
    with catalog.begin() as connection:
        work.plan_tasks(
            connection, job, "faces", "1", state=TaskState.UNAVAILABLE, reason="install it"
        )
        assert work.count_due(connection, job, {"faces": "1"}) == 0
        work.retry_unavailable(connection, {"faces": "1"})
        assert work.count_due(connection, job, {"faces": "1"}) == 1
    assert [row["reason"] for row in rows(catalog, tasks)] == [None, None]


def test_counts_are_queries(catalog: Catalog, job: str) -> None:
    write(
        catalog,
        job,
        outcome(b"a", b"a", done("exif"), failed("faces")),
        outcome(b"b", b"b", done("exif", found=False, payload=None), done("faces")),
        outcome(b"c", b"b", done("exif", found=False, payload=None), done("faces")),
        outcome(b"t", b"t", state=FileState.NOT_A_PICTURE, mime="text/plain", picture=None),
    )
    with catalog.read() as connection:
        assert work.count_files(connection, job) == {
            FileState.PICTURE: 3,
            FileState.NOT_A_PICTURE: 1,
        }
        assert work.count_images(connection, job) == 2
        assert work.count_types(connection, job) == [("image/jpeg", 3, 3), ("text/plain", 1, 1)]
        counted = {
            (row.stage, row.state, row.found): row.count
            for row in work.count_tasks(connection, job, {"exif": "1", "faces": "1"})
        }
    assert counted == {
        ("exif", TaskState.DONE, True): 1,
        ("exif", TaskState.DONE, False): 1,
        ("faces", TaskState.DONE, True): 1,
        ("faces", TaskState.FAILED, None): 1,
    }


def test_problems_of_files_images_and_tasks(catalog: Catalog, job: str) -> None:
    write(
        catalog,
        job,
        outcome(b"b", b"x", done("place", problems=("far away",)), failed("faces", "no pixels")),
        outcome(b"a", b"y", state=FileState.CORRUPT, reason="cut", notes=("wrong extension",)),
    )
    with catalog.read() as connection:
        found = [(p.path, p.stage, p.reason) for p in lookup.list_problems(connection, job)]
        assert lookup.count_problems(connection, job) == {"scan": 2, "place": 1, "faces": 1}
        only = [p.reason for p in lookup.list_problems(connection, job, "faces")]
    assert found == [
        (b"a", "scan", "cut"),
        (b"a", "scan", "wrong extension"),
        (b"b", "faces", "no pixels"),
        (b"b", "place", "far away"),
    ]
    assert only == ["no pixels"]


def test_a_transaction_that_fails_leaves_nothing(catalog: Catalog, job: str) -> None:
    with pytest.raises(IntegrityError), catalog.begin() as connection:  # noqa: PT012
        record(connection, job, [outcome(b"a", b"a", done("exif"))])
        record(connection, "no such job", [outcome(b"b", b"b")])
    assert rows(catalog, files) == rows(catalog, images) == rows(catalog, tasks) == []


def test_deleting_a_job_keeps_what_other_jobs_hold(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/other", ()).id
    write(catalog, job, outcome(b"a", b"a", done("exif")))
    write(catalog, other, outcome(b"a", b"a", done("exif")))
    with catalog.begin() as connection:
        jobs.delete_job(connection, job)
    assert len(rows(catalog, files)) == len(rows(catalog, images)) == 1


def test_examined_without_digests_is_a_file_and_no_image(catalog: Catalog, job: str) -> None:
    lost = examined(state=FileState.UNREADABLE, digests=None, picture=None, reason="gone")
    write(catalog, job, outcome(b"a", b"a").__class__(outcome(b"a").order, lost))
    assert rows(catalog, images) == []
    assert rows(catalog, files)[0]["reason"] == "gone"


def test_what_a_stage_said_under_a_field(catalog: Catalog, job: str) -> None:
    said = Facts(texts=(Text("facts", "A scan."), Text("other", "x"), Text("facts", "B.")))
    write(catalog, job, outcome(b"a", b"a", done("facts", facts=said), done("exif")))
    with catalog.read() as connection:
        (image,) = connection.scalars(select(images.c.id))
        assert lookup.text_of(connection, image, "facts", "facts") == "A scan."
        assert lookup.text_of(connection, image, "exif", "facts") is None
        assert lookup.text_of(connection, image + 1, "facts", "facts") is None


@pytest.mark.parametrize("write", [upsert, insert_rows])
def test_a_value_of_the_wrong_kind_is_refused_as_a_database_refuses(
    catalog: Catalog, write: Callable[[Connection, Table, list[dict[str, Any]]], None]
) -> None:
    """Whoever collects outcomes writes the others of a batch all the same after such an error."""
    naive = datetime(2024, 5, 17, 12, 0)  # noqa: DTZ001
    row = {"sha256": digests(b"x").sha256, "added_at": naive}
    with pytest.raises(StatementError, match="naive"), catalog.begin() as connection:
        write(connection, images, [row])


def test_a_reader_sees_one_state_of_the_catalog(catalog: Catalog, job: str) -> None:
    """Else what goes between two questions of one answer would be an error of ours."""
    write(catalog, job, outcome(b"a.jpg", b"a", done("exif")))
    with catalog.read() as reader:
        there = jobs.get_job(reader, job)
        with catalog.begin() as connection:
            jobs.delete_job(connection, job)
        assert [card.job for card in tally.job_cards(reader, jobs.of_id(job))] == [there]
        assert tally.progress(reader, job).pictures == 1
    with catalog.read() as reader, pytest.raises(NotFound):
        jobs.get_job(reader, job)


def test_near_twins_stand_while_pictures_go(
    catalog: Catalog, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = Facts(perceptual_hash=PerceptualHash(b"\x0f" * 32, 90))
    for name in (b"a", b"b", b"c"):
        write(catalog, job, outcome(name + b".jpg", name, done("similar", facts=hashed)))

    def emptied(reader: Connection, job_id: str, quality: int) -> Iterator[tuple[int, bytes]]:
        yield from list(lookup.hashes(reader, job_id, quality))
        with catalog.begin() as connection:
            jobs.delete_job(connection, job)

    monkeypatch.setattr(detail, "lookup", SimpleNamespace(hashes=emptied))
    with catalog.read() as reader:
        first = gallery.page(reader, job).tiles[0].image_id
        twins = detail.near_twins(reader, job, first)
    assert len(twins) == 2
