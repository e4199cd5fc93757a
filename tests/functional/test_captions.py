"""Scans with captions: a tiny model, the vision process, the stage and the rows it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests import makers
from tests.support.cli import command, environment, run
from tests.support.models import tiny_blip

from caseframe.catalog import lookup
from caseframe.catalog.database import open_sqlite

PICTURES = 12


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder of models with a tiny one in it."""
    folder = tmp_path_factory.mktemp("models")
    made = tiny_blip(tmp_path_factory.mktemp("tiny") / "tiny")
    ran = run("models", "import", made, "--name", "tiny", cache=cache, **_models(folder))
    assert ran.status == 0, ran.err
    return folder


def _models(folder: Path) -> dict[str, Any]:
    return {"CASEFRAME_MODELS_DIR": str(folder)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(PICTURES):
        (folder / f"{number:02}.jpg").write_bytes(makers.photo(96, 64, number))
    return folder


def rows(case: Path) -> dict[str, tuple[str | None, dict[str, Any]]]:
    """(caption, its task's row) by path."""
    catalog = open_sqlite(case / "catalog.sqlite")
    found = {}
    try:
        with catalog.read() as connection:
            query = (
                "SELECT f.path_text, t.* FROM files f JOIN tasks t ON t.image_id = f.image_id "
                "WHERE t.stage = 'caption'"
            )
            for row in connection.exec_driver_sql(query).mappings():
                words = lookup.text_of(connection, row["image_id"], "caption", "caption")
                found[row["path_text"]] = words, dict(row)
    finally:
        catalog.close()
    return found


def test_every_picture_gets_the_words_that_describe_gives_it(
    source: Path, tmp_path: Path, models: Path, cache: Path
) -> None:
    """One preparation for all ways in: the same picture gives the same words."""
    case = tmp_path / "case"
    scanned = run("scan", source, "--case", case, cache=cache, **_models(models))
    assert scanned.status == 0, scanned.err
    found = rows(case)
    assert len(found) == PICTURES
    assert {row["state"] for _, row in found.values()} == {"done"}
    assert all(row["model"].startswith("tiny ") for _, row in found.values())
    assert {len(row["model_digest"]) for _, row in found.values()} == {64}
    said = run("describe", source, "--model", "BLIP", "--json", cache=cache, **_models(models))
    described = {Path(line["path"]).name: line["description"] for line in said.lines}
    assert described == {path: words or "" for path, (words, _) in found.items()}
    assert len(set(described.values())) > 1
    record = run("export", "--case", case, "--format", "jsonl", cache=cache).lines[0]
    assert record["stages"]["caption"] == "done"


def test_a_scan_with_nothing_new_starts_no_model(
    source: Path, tmp_path: Path, models: Path, cache: Path
) -> None:
    case = tmp_path / "case"
    said: dict[str, Any] = {"CASEFRAME_LOG_LEVEL": "info"}
    first = ("scan", source, "--case", case, "--stages", "caption")
    once = run(*first, cache=cache, **_models(models), **said)
    assert "model loaded" in once.err
    again = run(*first, cache=cache, **_models(models), **said)
    assert again.status == 0
    assert "model loaded" not in again.err
    assert {row["state"] for _, row in rows(case).values()} == {"done"}


def test_without_a_model_captions_are_unavailable_and_come_when_there_is_one(
    source: Path, tmp_path: Path, models: Path, cache: Path
) -> None:
    case, none = tmp_path / "case", tmp_path / "no-models"
    assert run("scan", source, "--case", case, cache=cache, **_models(none)).status == 0
    found = rows(case)
    assert {row["state"] for _, row in found.values()} == {"unavailable"}
    assert all("caseframe models pull" in row["reason"] for _, row in found.values())
    assert run("scan", source, "--case", case, cache=cache, **_models(models)).status == 0
    found = rows(case)
    assert {row["state"] for _, row in found.values()} == {"done"}
    assert all(words for words, _ in found.values())


def test_a_picture_that_is_corrupt_has_no_caption_and_says_so(
    source: Path, tmp_path: Path, models: Path, cache: Path
) -> None:
    (source / "cut.jpg").write_bytes(makers.photo(96, 64, 99)[:-400])
    case = tmp_path / "case"
    assert run("scan", source, "--case", case, cache=cache, **_models(models)).status == 0
    found = rows(case)
    words, row = found.pop("cut.jpg")
    assert (words, row["state"]) == (None, "failed")
    assert "corrupt" in row["reason"]
    assert {row["state"] for _, row in found.values()} == {"done"}


def test_the_vision_process_may_die_in_mid_scan(
    source: Path, tmp_path: Path, models: Path, cache: Path
) -> None:
    """R6: it is started again, and the scan ends with the rows of an undisturbed one."""
    for number in range(PICTURES, 60):
        (source / f"{number:02}.jpg").write_bytes(makers.photo(96, 64, number))
    undisturbed, case = tmp_path / "undisturbed", tmp_path / "case"
    stages = ("--stages", "caption")
    first = run("scan", source, "--case", undisturbed, *stages, cache=cache, **_models(models))
    assert first.status == 0
    scan = subprocess.Popen(
        command("scan", source, "--case", case, *stages),
        env=environment(cache, **_models(models)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _kill_vision_of(scan.pid)
        assert scan.wait(240) == 0
    finally:
        scan.kill()
        scan.wait()
    expected = {path: words for path, (words, _) in rows(undisturbed).items()}
    assert {path: words for path, (words, _) in rows(case).items()} == expected
    assert len(expected) == 60


def _kill_vision_of(pid: int) -> None:
    parent = psutil.Process(pid)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for child in parent.children(recursive=True):
            if "serve-vision" in " ".join(child.cmdline()):
                time.sleep(2.0)
                os.kill(child.pid, signal.SIGKILL)
                return
        time.sleep(0.05)
    pytest.fail("no vision process was started")
