"""A case with several folders: which one is looked at, and that none is written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests import makers
from tests.conftest import Cli
from tests.support.cli import run
from tests.support.scans import some_pictures

from caseframe.catalog import jobs
from caseframe.catalog.database import open_sqlite
from caseframe.domain.work import JobState


@pytest.fixture(scope="module")
def two(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `case` holds `old`, with a damaged picture, and then `new`, without."""
    base = tmp_path_factory.mktemp("two")
    for name in ("old", "new"):
        some_pictures(base / name)
    (base / "old" / "cut.jpg").write_bytes(makers.cut(makers.photo(96, 64, 1), 50))
    for name in ("old", "new"):
        done = run("scan", name, "--stages", "exif", cache=cache, cwd=base)
        assert done.status == 0, done.err
    return base


def test_one_line_says_which_folder_was_taken(cli: Cli, two: Path) -> None:
    line = f"caseframe: looking at {two / 'new'}, one of 2 folders; another with --source\n"
    for words in (["problems"], ["duplicates"], ["show", "note.txt"], ["export"], ["verify"]):
        assert cli(*words, cwd=two).err == line, words
    newest = cli("problems", "--json", cwd=two)
    assert (newest.out, newest.err) == ("", line)
    chosen = cli("problems", "--source", "old", cwd=two)
    assert chosen.err == ""
    assert "cut.jpg" in chosen.out


def test_a_case_of_one_folder_says_nothing_of_folders(cli: Cli, tmp_path: Path) -> None:
    some_pictures(tmp_path / "pictures")
    assert cli("scan", "pictures", "--stages", "exif", cwd=tmp_path).status == 0
    assert cli("problems", cwd=tmp_path).err == ""
    assert "--source" not in cli("status", cwd=tmp_path).out


def test_the_hint_of_status_names_the_folder(cli: Cli, two: Path) -> None:
    hint = f"List them with: caseframe problems --source {two / 'old'}\n"
    assert hint in cli("status", cwd=two).out


def test_show_finds_the_folder_of_an_absolute_path(cli: Cli, two: Path) -> None:
    shown = cli("show", two / "old" / "cut.jpg", cwd=two)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith("cut.jpg\n")


def _made(case: Path, source: Path) -> str:
    """A job over a folder that was not started; its id."""
    catalog = open_sqlite(case / "catalog.sqlite")
    try:
        with catalog.begin() as connection:
            return jobs.create_job(connection, "made", os.fsencode(source), ("exif",)).id
    finally:
        catalog.close()


def test_a_job_that_only_was_made_hides_no_scan(cli: Cli, tmp_path: Path) -> None:
    pictures = some_pictures(tmp_path / "pictures")
    assert cli("scan", "pictures", "--stages", "exif", cwd=tmp_path).status == 0
    made = _made(tmp_path / "case", pictures)
    for words in ([], ["--source", "pictures"]):
        assert cli("show", "sub/1.jpg", *words, cwd=tmp_path).status == 0
    again = cli("scan", "pictures", "--stages", "exif", "--json", cwd=tmp_path).json
    assert again["job"] != made


def test_status_of_a_job_that_only_was_made(cli: Cli, tmp_path: Path) -> None:
    some_pictures(tmp_path / "scanned")
    assert cli("scan", "scanned", "--stages", "exif", cwd=tmp_path).status == 0
    _made(tmp_path / "case", some_pictures(tmp_path / "made"))
    said = cli("status", cwd=tmp_path).out
    assert f"Not scanned yet. Scan it with: caseframe scan {tmp_path / 'made'}\n" in said
    assert "holds no files" not in said


def test_the_export_goes_into_no_folder_of_the_case(cli: Cli, two: Path) -> None:
    outside = two / "outside.csv"
    (two / "new" / "link.csv").symlink_to(outside)
    before = sorted(os.listdir(two / "old")), sorted(os.listdir(two / "new"))
    for place in ("old/x.csv", "old/sub/x.csv", "new/x.csv", "new/link.csv"):
        done = cli("export", "-o", place, cwd=two)
        assert done.status == 1, place
        assert "lies inside the source" in done.err
    assert (sorted(os.listdir(two / "old")), sorted(os.listdir(two / "new"))) == before
    assert not outside.exists()
    (two / "new" / "link.csv").unlink()


def test_no_scan_writes_to_a_case_within_any_of_its_folders(cli: Cli, tmp_path: Path) -> None:
    old, new = some_pictures(tmp_path / "old"), some_pictures(tmp_path / "new")
    case = tmp_path / "case"
    assert cli("scan", old, "--case", case, "--stages", "exif").status == 0
    case.rename(old / "case")
    done = cli("scan", new, "--case", old / "case", "--stages", "exif")
    assert done.status == 1
    assert f"lies inside the source {old}" in done.err
    (held,) = cli("status", "--case", old / "case", "--json").lines
    assert held["source"] == str(old)


@pytest.mark.parametrize(
    ("state", "words"),
    [(JobState.STOPPED, "Stopped before"), (JobState.FAILED, "Failed before")],
)
def test_a_scan_that_did_not_come_to_its_end(
    cli: Cli, tmp_path: Path, state: JobState, words: str
) -> None:
    pictures = some_pictures(tmp_path / "pictures")
    job = cli("scan", "pictures", "--stages", "exif", "--json", cwd=tmp_path).json["job"]
    (pictures / "unmet.jpg").write_bytes(makers.photo(96, 64, 99))
    catalog = open_sqlite(tmp_path / "case" / "catalog.sqlite")
    with catalog.begin() as connection:
        jobs.end_job(connection, job, state)
    catalog.close()
    go_on = (
        f"the end. {'Go on' if words[0] == 'S' else 'Try again'} with: caseframe scan {pictures}"
    )
    assert f"{words} {go_on}\n" in cli("status", cwd=tmp_path).out
    head, line, counts = cli("verify", cwd=tmp_path).out.splitlines()
    assert head == f"{pictures}: {words} {go_on}"
    assert line == "not scanned unmet.jpg: not scanned yet"
    assert counts == "1 not scanned, 13 same."
    found = cli("verify", "--json", cwd=tmp_path).lines
    assert [one.get("verdict") for one in found] == ["not scanned", None]
    assert cli("scan", "pictures", "--stages", "exif", cwd=tmp_path).status == 0
    assert cli("verify", cwd=tmp_path).out == "14 same.\n"
