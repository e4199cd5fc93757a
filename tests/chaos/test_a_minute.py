"""R11, R12: a minute without the database or the broker, with all times as they are shipped.

The other tests shorten both the outage and what waits for it. A minute is longer than what waits
less: heartbeats (20 s), confirmations and the making of a connection (60 s), a browser's patience.
So these come with `make chaos`, which takes its time.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests import makers
from tests.conftest import Cli
from tests.support import chaos
from tests.support.cli import command, environment
from tests.support.disturbances import Disturbance
from tests.support.rows import Rows, differences
from tests.support.scans import FAST
from tests.support.services import arranged, joined

from caseframe.domain.work import JobState

AWAY_SECONDS = 62.0
_SHORTENED = {"CASEFRAME_LEASE_SECONDS", "CASEFRAME_BUSY_SECONDS"}
_BUSY = 503
pytestmark = [
    pytest.mark.skipif(
        "CASEFRAME_CHAOS_TIMES" not in os.environ, reason="takes minutes: run by make chaos"
    ),
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[chaos.Scene]:
    settings = {name: value for name, value in chaos.SETTINGS.items() if name not in _SHORTENED}
    sources = chaos.make_sources(tmp_path_factory.mktemp("minute"))
    with arranged(sources, cache, settings, chaos.WORKERS) as made:
        made.up()
        with joined(made) as web:
            yield chaos.Scene(made, web)


@pytest.fixture(scope="module")
def undisturbed(scene: chaos.Scene) -> Rows:
    return scene.run()


def database_away(scene: chaos.Scene) -> None:
    scene.made.stop("postgresql")
    time.sleep(AWAY_SECONDS / 2)
    answer = scene.web.client(scene.web.administrator).get("/api/v1/jobs", timeout=300)
    assert answer.status_code == _BUSY, answer.text
    time.sleep(AWAY_SECONDS / 2)
    scene.restart("postgresql")


def broker_away(scene: chaos.Scene) -> None:
    (job,) = scene.active()
    assert scene.made.stop("rabbitmq")
    time.sleep(AWAY_SECONDS)
    assert scene.job(job).state is JobState.RUNNING, scene.job(job)
    scene.restart("rabbitmq")


def broker_full(scene: chaos.Scene) -> None:
    """A memory alarm: the broker reads from nobody who publishes, and is silent to them."""
    (job,) = scene.active()
    for name in chaos.WORKERS:  # so that the job is not over before the alarm is there
        scene.made.kill(name)
    scene.made.control("set_vm_memory_high_watermark", "0.00001")
    for name in chaos.WORKERS:
        scene.made.start(name)
    time.sleep(AWAY_SECONDS)
    assert scene.job(job).state is JobState.RUNNING, (scene.job(job), scene.state())
    scene.made.control("set_vm_memory_high_watermark", "0.6")


@pytest.mark.parametrize("away", [database_away, broker_away, broker_full])
def test_the_same_is_found_after_a_minute_without(
    scene: chaos.Scene, undisturbed: Rows, away: Disturbance
) -> None:
    assert differences(undisturbed, scene.run(away)) == []


def test_a_scan_waits_a_minute_for_a_held_catalog(cli: Cli, tmp_path: Path, cache: Path) -> None:
    """R11 for SQLite: another process holds the write lock; nothing is lost."""
    folder, case = tmp_path / "pictures", tmp_path / "case"
    folder.mkdir()
    for number in range(400):
        data = makers.photo(400, 300, number % 40) + b"%d" % number
        (folder / f"{number:03}.jpg").write_bytes(data)
    process = subprocess.Popen(
        command("scan", folder, "--case", case, "--stages", FAST),
        env={**environment(cache), "CASEFRAME_WORKERS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    with closing(_begun(case / "catalog.sqlite")) as other:
        time.sleep(AWAY_SECONDS)
        assert process.poll() is None, "the scan ended without its catalog"
        other.execute("ROLLBACK")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err.decode()
    assert cli("scan", folder, "--case", tmp_path / "other", "--stages", FAST).status == 0
    found, expected = (cli("export", "--case", tmp_path / name).out for name in ("case", "other"))
    assert sorted(found.splitlines()) == sorted(expected.splitlines())


def _begun(file: Path) -> sqlite3.Connection:
    """A connection that holds the write lock of a catalog in which some files stand."""
    until = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < until, "the scan made no catalog"
        time.sleep(0.05)
    other = sqlite3.connect(file, isolation_level=None, timeout=30)
    while not _some(other):
        assert time.monotonic() < until, "the scan wrote nothing"
        time.sleep(0.02)
    other.execute("BEGIN IMMEDIATE")
    return other


def _some(other: sqlite3.Connection) -> bool:
    try:
        return bool(other.execute("SELECT count(*) FROM files").fetchone()[0])
    except sqlite3.OperationalError:
        return False  # the tables are still to be made
