"""Collecting: one bad outcome takes no other along, and every task asked for gets a state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DataError
from tests.support.outcomes import digests, done, outcome

from caseframe.catalog import jobs, recording
from caseframe.catalog.database import Catalog
from caseframe.catalog.tables import files, problems, results, tasks
from caseframe.domain.evidence import FileState
from caseframe.domain.work import Outcome
from caseframe.pipeline.collect import Collector
from caseframe.pipeline.progress import Progress


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
