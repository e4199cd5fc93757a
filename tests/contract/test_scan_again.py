"""What a second scan and `verify` say of names that changed their kind or cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests import makers

from caseframe.catalog import evidence, jobs, lookup, records
from caseframe.catalog.database import Catalog
from caseframe.catalog.tables import tasks
from caseframe.domain.work import Order, TaskState
from caseframe.pipeline.jobs import JobRun
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.verify import Verdict, Verification
from caseframe.scanner import reading, walk
from caseframe.scanner.reading import open_beneath
from caseframe.stages.registry import load_stages


class Scanned:
    """A source folder with a job over it."""

    def __init__(self, catalog: Catalog, runner: LocalRunner, folder: Path) -> None:
        self.catalog, self.runner, self.folder = catalog, runner, folder
        with catalog.begin() as connection:
            self.job = jobs.create_job(connection, "a job", os.fsencode(folder), ())

    def scan(self) -> dict[str, dict[str, Any]]:
        """Scan; the lines of the export by path."""
        JobRun(self.catalog, self.runner, load_stages().select(["similar"])).scan(self.job.id)
        return self.export()

    def export(self) -> dict[str, dict[str, Any]]:
        with self.catalog.read() as connection:
            return {line["path"]: line for line in records.records(connection, self.job.id)}

    def problems(self) -> list[tuple[bytes, str]]:
        with self.catalog.read() as connection:
            return [(p.path, p.reason) for p in lookup.list_problems(connection, self.job.id)]

    def rows(self) -> int:
        with self.catalog.read() as connection:
            return evidence.count_rows(connection, self.job.id)

    def verify(self) -> tuple[dict[bytes, Verdict], dict[Verdict, int]]:
        """(verdicts of what is not the same, counts)."""
        with self.catalog.read() as connection:
            job = jobs.get_job(connection, self.job.id)
        verification = Verification(self.catalog, self.runner)
        found = {finding.path: finding.verdict for finding in verification.run(job)}
        return found, dict(verification.counts)


@pytest.fixture
def scanned(catalog: Catalog, runner: LocalRunner, tmp_path: Path) -> Scanned:
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.jpg", "sub/c.jpg")):
        (folder / name).write_bytes(makers.photo(64, 48, number))
    return Scanned(catalog, runner, folder)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """`closed(name)` has us refused that folder: permissions keep nothing from root."""

    def close(name: bytes) -> None:
        def refuse(root: int, path: bytes, *, folder: bool = False) -> int:
            if path == name:
                raise PermissionError(13, "Permission denied")
            return open_beneath(root, path, folder=folder)

        for module in (walk, reading):
            monkeypatch.setattr(module, "open_beneath", refuse)

    return close


def test_a_file_whose_name_is_a_folder_now_is_missing(scanned: Scanned) -> None:
    assert not any("missing" in line for line in scanned.scan().values())
    (scanned.folder / "a.jpg").unlink()
    (scanned.folder / "a.jpg").mkdir()
    found, counts = scanned.verify()
    assert found == {b"a.jpg": Verdict.MISSING}
    assert counts == {Verdict.SAME: 2, Verdict.MISSING: 1}
    missing = {path: line.get("missing", False) for path, line in scanned.scan().items()}
    assert missing == {"a.jpg": True, "b.jpg": False, "sub/c.jpg": False}


def test_a_folder_that_can_be_read_again_is_no_problem(
    scanned: Scanned, closed: Callable[[bytes], None]
) -> None:
    closed(b"sub")
    assert set(scanned.scan()) == {"a.jpg", "b.jpg", "sub"}
    (scanned.folder / "b.jpg").unlink()
    again = scanned.scan()
    assert "missing" in again["b.jpg"]
    assert "missing" not in again["sub"]
    assert scanned.verify()[0] == {b"b.jpg": Verdict.MISSING}
    ((path, reason),) = scanned.problems()
    assert (path, reason.partition(":")[0]) == (b"sub", "folder cannot be read")
    closed(b"nothing")
    assert scanned.verify()[0] == {
        b"sub": Verdict.CHANGED, b"sub/c.jpg": Verdict.NEW, b"b.jpg": Verdict.MISSING,
    }  # fmt: skip
    assert set(scanned.scan()) == {"a.jpg", "b.jpg", "sub/c.jpg"}
    assert scanned.problems() == []


def test_nothing_is_missing_where_nobody_could_look(
    scanned: Scanned, closed: Callable[[bytes], None]
) -> None:
    before = scanned.scan()
    closed(b"sub")
    unread = {b"sub": Verdict.UNREADABLE, b"sub/c.jpg": Verdict.UNREADABLE}
    assert scanned.verify()[0] == unread
    again = scanned.scan()
    assert not any("missing" in line for line in again.values())
    assert again["sub"]["state"] == "unreadable"
    assert scanned.verify()[0] == {b"sub/c.jpg": Verdict.UNREADABLE}
    closed(b"nothing")
    assert scanned.scan() == before


def test_a_folder_that_could_not_be_read_and_is_gone_is_missing(
    scanned: Scanned, closed: Callable[[bytes], None]
) -> None:
    closed(b"sub")
    scanned.scan()
    (scanned.folder / "sub" / "c.jpg").unlink()
    (scanned.folder / "sub").rmdir()
    assert scanned.verify()[0] == {b"sub": Verdict.MISSING}
    assert scanned.scan()["sub"]["missing"] is True
    assert scanned.rows() == 3


@pytest.fixture
def vanishing(scanned: Scanned, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`vanishing(name)` scans while that file is away as soon as the walk met it."""

    def scan(name: str) -> None:
        file, aside = scanned.folder / name, scanned.folder.parent / "aside"

        def walked(source: bytes) -> Iterator[walk.Entry]:
            found = list(walk.walk(source))
            file.rename(aside)
            for entry in found:
                touched = entry._replace(modified_ns=entry.modified_ns + 1)
                yield touched if entry.path == os.fsencode(name) else entry

        with monkeypatch.context() as patched:
            patched.setattr("caseframe.pipeline.jobs.walk", walked)
            scanned.scan()
        aside.rename(file)

    return scan


def test_another_content_is_noted_also_when_it_could_not_be_read_in_between(
    scanned: Scanned, vanishing: Callable[[str], None]
) -> None:
    before = scanned.scan()
    for _ in range(2):
        vanishing("a.jpg")
        (unread,) = (line for line in scanned.export().values() if line["state"] == "unreadable")
        assert unread["sha256"] == before["a.jpg"]["sha256"]
        assert unread["md5"] == before["a.jpg"]["md5"]
        assert unread["reason"].endswith("; its digests are of an earlier scan")
        assert unread["reason"].count("earlier scan") == 1
    assert scanned.verify()[0] == {b"a.jpg": Verdict.CHANGED}
    (scanned.folder / "a.jpg").write_bytes(makers.photo(64, 48, 99))
    after = scanned.scan()["a.jpg"]
    assert after["state"] == "picture"
    (problem,) = after["problems"]
    assert problem["reason"] == (
        f"the content changed since the last scan; its SHA-256 was {before['a.jpg']['sha256']}"
    )


def test_the_same_content_that_can_be_read_again_is_as_it_was(
    scanned: Scanned, vanishing: Callable[[str], None]
) -> None:
    before = scanned.scan()
    vanishing("a.jpg")
    assert scanned.export() != before
    assert scanned.scan() == before
    assert scanned.verify()[0] == {}


def test_a_file_in_whose_place_a_link_stands_is_noted(scanned: Scanned) -> None:
    before = scanned.scan()["a.jpg"]["sha256"]
    (scanned.folder / "a.jpg").unlink()
    (scanned.folder / "a.jpg").symlink_to("b.jpg")
    line = scanned.scan()["a.jpg"]
    assert (line["state"], line["sha256"]) == ("not-a-picture", None)
    (problem,) = line["problems"]
    assert problem["reason"].endswith(f"its SHA-256 was {before}")
    assert scanned.verify()[0] == {}


def test_what_is_due_tells_its_size_for_time_is_given_by_it(
    scanned: Scanned, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned.scan()
    with scanned.catalog.begin() as connection:
        connection.execute(update(tasks).values(state=TaskState.PENDING))
    sizes, run = dict[bytes, int](), scanned.runner.run

    def noted(orders: Iterable[Order | None]) -> Iterator[Order | None]:
        for order in orders:
            sizes.update({} if order is None else {order.path: order.size})
            yield order

    monkeypatch.setattr(scanned.runner, "run", lambda orders: run(noted(orders)))
    scanned.scan()
    pictures = ("a.jpg", "b.jpg", "sub/c.jpg")
    assert sizes == {os.fsencode(p): (scanned.folder / p).stat().st_size for p in pictures}
