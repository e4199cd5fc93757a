"""Collecting: one bad outcome takes no other along, and every task asked for gets a state."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DataError
from tests import makers
from tests.support.outcomes import digests, done, outcome

from caseframe.catalog import jobs, recording
from caseframe.catalog.database import Catalog
from caseframe.catalog.tables import files, images, problems, results, tasks
from caseframe.domain.errors import CatalogRefused
from caseframe.domain.evidence import FileState
from caseframe.domain.work import Outcome
from caseframe.pipeline.collect import Collector
from caseframe.pipeline.progress import Progress
from caseframe.scanner.limits import Limits
from caseframe.scanner.reading import open_root
from caseframe.scanner.scan import scan_file


@pytest.fixture
def job(catalog: Catalog) -> str:
    with catalog.begin() as connection:
        return jobs.create_job(connection, "a job", b"/source", ("exif", "faces")).id


@pytest.fixture
def collector(catalog: Catalog, job: str) -> Collector:
    progress = Progress(stages={"exif": Counter(), "faces": Counter()})
    return Collector(catalog, job, {"exif": "1", "faces": "1"}, [], progress)


def test_a_refused_outcome_takes_no_other_along(
    catalog: Catalog, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recording.record

    def picky(connection: object, job: str, batch: Sequence[Outcome]) -> object:
        for found in batch:
            if any(stage.payload == "poison" for stage in found.stages):
                raise DataError("insert", {}, ValueError("value out of range"))
        return real(connection, job, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "record", picky)
    for number in range(5):
        payload = "poison" if number == 2 else "{}"
        name = f"{number}".encode()
        collector.add(outcome(name, name, done("exif", payload=payload)))
    collector.flush()
    with catalog.read() as connection:
        assert len(connection.execute(select(files.c.id)).all()) == 5
        assert len(connection.execute(select(results.c.payload)).all()) == 4
        states = connection.execute(select(tasks.c.state, tasks.c.reason)).all()
    assert Counter(state for state, _ in states) == {"done": 4, "failed": 1}
    (reason,) = [reason for state, reason in states if state == "failed"]
    assert "could not be stored: value out of range" in reason


@pytest.mark.parametrize("name", ["sides-4g.tif", "height-min.bmp"])
def test_sides_that_no_column_holds_are_over_the_limit(
    catalog: Catalog, collector: Collector, tmp_path: Path, name: str
) -> None:
    """S17: whoever sets `max_pixels` as high as they like reads the claim in the reason."""
    (tmp_path / name).write_bytes(makers.bombs()[name])
    path = name.encode()
    found = scan_file(open_root(os.fsencode(tmp_path)), path, Limits(max_pixels=2**70)).examined
    collector.add(Outcome(outcome(path).order, found))
    collector.add(outcome(b"beside", b"beside"))
    collector.flush()
    with catalog.read() as connection:
        c = images.c
        rows = connection.execute(select(c.state, c.width, c.height, c.reason).order_by(c.id)).all()
    assert [tuple(row[:3]) for row in rows] == [("over-limit", None, None), ("picture", 64, 48)]
    assert re.match(r"(4294967295 x 4294967295|8 x 2147483648): ", rows[0].reason)


@pytest.mark.parametrize(
    "refusal",
    [
        DataError("insert", {}, ValueError("too odd")),
        OverflowError("too odd"),
        CatalogRefused("too odd"),
    ],
)
def test_a_file_that_is_refused_itself_is_unreadable_with_the_reason(
    catalog: Catalog, collector: Collector, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    """R1: it takes no other along, and it counts as what is written."""
    real = recording.record

    def picky(connection: object, job: str, batch: Sequence[Outcome]) -> object:
        if any(o.examined and o.examined.picture and o.order.path == b"odd" for o in batch):
            raise refusal
        return real(connection, job, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "record", picky)
    for name in (b"one", b"odd", b"two"):
        collector.add(outcome(name, name, done("exif")))
    collector.flush()
    with catalog.read() as connection:
        c = files.c
        rows = connection.execute(select(c.path, c.state, c.reason, c.sha256)).all()
    states = {bytes(row.path): row.state for row in rows}
    assert states == {b"one": "picture", b"odd": "unreadable", b"two": "picture"}
    (odd,) = [row for row in rows if row.state == "unreadable"]
    assert "could not be stored: too odd" in odd.reason
    assert bytes(odd.sha256) == digests(b"odd").sha256
    assert collector._progress.states == {FileState.PICTURE: 2, FileState.UNREADABLE: 1}


def test_stages_that_were_not_tried_have_failed_with_the_reason(
    catalog: Catalog, collector: Collector
) -> None:
    made = outcome(b"a", b"a", done("exif"), state=FileState.OVER_LIMIT, reason="too large")
    order = made.order.__class__(**{**vars(made.order), "stages": ("exif", "faces")})
    collector.add(Outcome(order, made.examined, made.stages))
    collector.add(outcome(b"t", b"t", state=FileState.NOT_A_PICTURE, reason="text", picture=None))
    collector.flush()
    with catalog.read() as connection:
        found = connection.execute(select(tasks.c.stage, tasks.c.state, tasks.c.reason)).all()
    assert sorted(map(tuple, found)) == [
        ("exif", "done", None),
        ("faces", "failed", "too large"),
    ]


def test_only_what_was_read_is_counted_as_read(catalog: Catalog, job: str) -> None:
    progress = Progress()
    collector = Collector(catalog, job, {}, [], progress)
    collector.add(outcome(b"a", b"four"))
    left = {"state": FileState.NOT_A_PICTURE, "reason": "not hashed", "picture": None}
    collector.add(outcome(b"movie", b"m", digests=None, size=10**13, **left))
    collector.flush()
    assert progress.bytes_read == 4


def test_a_changed_content_is_noted(catalog: Catalog, collector: Collector) -> None:
    old, new = digests(b"old").sha256, digests(b"new").sha256
    collector.add(outcome(b"a", b"new", order={"before": old}))
    collector.add(outcome(b"b", b"new", order={"before": new}))
    collector.flush()
    with catalog.read() as connection:
        (reason,) = connection.scalars(select(problems.c.reason))
    assert old.hex() in reason


def test_nothing_is_lost_when_a_write_fails(
    catalog: Catalog, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R10: the caller is told, and what waited is still there to be written."""
    real = recording.record

    def broken(*_: object) -> None:
        raise OSError("the disk said no")

    monkeypatch.setattr(recording, "record", broken)
    collector.add(outcome(b"a", b"a"))
    with pytest.raises(OSError, match="said no"):
        collector.flush()
    monkeypatch.setattr(recording, "record", real)
    collector.flush()
    with catalog.read() as connection:
        assert len(connection.execute(select(files.c.id)).all()) == 1
