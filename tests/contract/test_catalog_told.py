"""What the catalog tells of its files: which stand, which are missing, what is exported."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from tests.support.catalogs import rows
from tests.support.outcomes import all_facts, digests, done, failed, outcome, write

from caseframe.catalog import evidence, lookup, records, work
from caseframe.catalog.database import Catalog
from caseframe.catalog.recording import record_skipped
from caseframe.catalog.search import conditions
from caseframe.catalog.tables import (
    files,
    images,
    tasks,
)
from caseframe.domain.errors import UsageError
from caseframe.domain.evidence import CONTENT_STATES, PICTURE_STATES, FileState


def test_unchanged_seen_and_missing_files(catalog: Catalog, job: str) -> None:
    write(catalog, job, outcome(b"a", b"a"), outcome(b"b", b"b"))
    with catalog.begin() as connection:
        known = evidence.files_at(connection, job, [b"a", b"b"])
        assert known[b"a"].modified_ns == 1_700_000_000_123_456_789
        assert evidence.count_rows(connection, job) == 2
        evidence.mark_missing(connection, [known[b"b"].id], missing=True)
        assert work.count_missing(connection, job) == 1
        page = evidence.files_page(connection, job)
        assert [(file.path, file.missing) for file in page] == [(b"a", False), (b"b", True)]
        assert evidence.files_page(connection, job, after=page[0].id) == page[1:]


def test_content_whose_work_is_all_done_is_known_by_size(catalog: Catalog, job: str) -> None:
    write(catalog, job, outcome(b"a", b"aa", done("exif"), failed("faces")))
    write(catalog, job, outcome(b"b", b"bb", done("exif")))
    with catalog.read() as connection:
        both = evidence.settled_by_size(connection, {2, 3}, {"exif": "1", "faces": "1"}, most=9)
        one = evidence.settled_by_size(connection, {2}, {"exif": "1"}, most=9)
        newer = evidence.settled_by_size(connection, {2}, {"exif": "2"}, most=9)
    assert both == {2: frozenset({digests(b"aa").sha256})}
    assert one == {2: frozenset({digests(b"aa").sha256, digests(b"bb").sha256})}
    assert newer == {}


def test_over_a_limit_is_known_only_to_the_run_that_said_so(catalog: Catalog, job: str) -> None:
    seen = done("exif")
    write(catalog, job, outcome(b"a", b"a", seen))
    write(catalog, job, outcome(b"b", b"b", seen, state=FileState.CORRUPT, reason="cut"))
    write(catalog, job, outcome(b"c", b"c", seen, state=FileState.OVER_LIMIT, reason="large"))
    a, b, c = (digests(content).sha256 for content in (b"a", b"b", b"c"))
    start, end = datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
    for states, since, expected in (
        (PICTURE_STATES, end, {a, b, c}),
        (CONTENT_STATES, end, {a, b}),
        (CONTENT_STATES, start, {a, b, c}),
        ((), end, set()),
        ((), start, {a, b, c}),
    ):
        with catalog.read() as connection:
            found = evidence.settled_by_size(
                connection, {1}, {"exif": "1"}, most=9, states=states, run=(job, since)
            )
        assert found.get(1, frozenset()) == expected


def test_another_verdict_reaches_every_copy_and_makes_what_failed_due(
    catalog: Catalog, job: str
) -> None:
    slow = {"state": FileState.OVER_LIMIT, "reason": "too slow"}
    stages = (done("exif"), failed("faces", "too slow"))
    write(catalog, job, outcome(b"a", b"x", *stages, **slow), outcome(b"b", b"x", *stages, **slow))
    again = outcome(b"b", b"x", already_known=True, order={"anew": {digests(b"x").sha256}})
    write(catalog, job, again)
    states = {row["path"]: (row["state"], row["reason"]) for row in rows(catalog, files)}
    assert states == {b"a": ("picture", None), b"b": ("picture", None)}
    found = {row["stage"]: (row["state"], row["reason"]) for row in rows(catalog, tasks)}
    assert found == {"exif": ("done", None), "faces": ("pending", None)}


def test_the_same_verdict_leaves_what_failed(catalog: Catalog, job: str) -> None:
    write(catalog, job, outcome(b"a", b"x", done("exif"), failed("faces")))
    again = outcome(b"a", b"x", already_known=True, order={"anew": {digests(b"x").sha256}})
    write(catalog, job, again)
    assert {row["state"] for row in rows(catalog, tasks)} == {"done", "failed"}


def test_skipped_names_are_files_with_a_reason(catalog: Catalog, job: str) -> None:
    row = {
        "path": b"link",
        "size": 5,
        "modified_ns": 7,
        "state": FileState.NOT_A_PICTURE,
        "reason": "symbolic link, not followed",
        "mime": "inode/symlink",
    }
    with catalog.begin() as connection:
        record_skipped(connection, job, [row])
        record_skipped(connection, job, [row])
    (found,) = rows(catalog, files)
    assert (found["state"], found["mime"]) == ("not-a-picture", "inode/symlink")


@pytest.mark.parametrize("end", [2**63 - 1, -(2**63)])
def test_the_first_and_last_times_are_held_and_exported(
    catalog: Catalog, job: str, end: int
) -> None:
    write(catalog, job, outcome(b"a.jpg", b"a", modified_ns=end))
    with catalog.read() as connection:
        assert evidence.files_at(connection, job, [b"a.jpg"])[b"a.jpg"].modified_ns == end
        (line,) = records.records(connection, job)
    assert line["modified"][:10] == ("2262-04-11" if end > 0 else "1677-09-21")


def test_the_export_line(catalog: Catalog, job: str) -> None:
    stages = (
        done("exif", facts=all_facts(), payload=json.dumps({"metadata": {"Exif": {"ISO": 100}}})),
        failed("faces", "no luck"),
    )
    write(catalog, job, outcome(b"dir/a.jpg", b"a", *stages))
    with catalog.read() as connection:
        (line,) = records.records(connection, job)
        (same,) = records.records_of(
            connection, lookup.find_by_digest(connection, job, digests(b"a").md5)
        )
    assert same == line
    assert line["modified"] == "2023-11-14T22:13:20.123456Z"
    assert line["sha256"] == digests(b"a").sha256.hex()
    assert line["camera"] == {"make": "NIKON", "model": "D750", "lens": "24-120mm"}
    assert line["place"]["altitude_m"] == 1035.0
    assert line["metadata"] == {"Exif": {"ISO": 100}}
    assert line["faces"][0]["descriptor"][7] == pytest.approx(0.007)
    assert line["stages"] == {"exif": "done", "faces": "failed"}
    assert line["problems"] == [{"stage": "faces", "reason": "no luck"}]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("path=holiday/*", {b"holiday/a.jpg"}),
        ("path=*.JPG", {b"holiday/a.jpg", b"100%_b.jpg"}),
        ("path=100%_*", {b"100%_b.jpg"}),
        ("format=jpeg", {b"holiday/a.jpg", b"100%_b.jpg"}),
        ("state=corrupt", {b"100%_b.jpg"}),
        ("task=failed", {b"100%_b.jpg"}),
        ("camera=nikon", {b"holiday/a.jpg"}),
        ("place=chamo", {b"holiday/a.jpg"}),
        (f"sha256={digests(b'a').sha256.hex()}", {b"holiday/a.jpg"}),
    ],
)
def test_choosing_pictures(catalog: Catalog, job: str, term: str, expected: set[bytes]) -> None:
    write(
        catalog,
        job,
        outcome(b"holiday/a.jpg", b"a", done("exif", facts=all_facts()), done("faces")),
        outcome(b"100%_b.jpg", b"b", failed("faces"), state=FileState.CORRUPT, reason="cut"),
    )
    with catalog.read() as connection:
        query = select(files.c.path).join(images).where(*conditions([term], "faces"))
        assert {bytes(path) for path in connection.scalars(query)} == expected


@pytest.mark.parametrize(
    "term", ["nonsense", "colour=red", "state=fine", "task=running", "sha256=zz", "sha256=abcd"]
)
def test_a_condition_that_cannot_be_read_is_explained(term: str) -> None:
    with pytest.raises(UsageError):
        conditions([term])
