"""What a scan survives: stops, kills, full disks, servers that go away, two at once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from tests import makers
from tests.conftest import Cli
from tests.support import postgresql
from tests.support.cli import Ran, command, environment
from tests.support.scans import FAST, rows, some_pictures
from tests.support.volume import volume


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return some_pictures(tmp_path / "pictures")


def test_a_catalog_in_postgresql(
    cli: Cli, pictures: Path, tmp_path: Path, postgresql_server: str
) -> None:
    with postgresql.database(postgresql_server) as url:
        for _ in range(2):
            done = cli(
                "scan", pictures, "--case", tmp_path / "pg", "--stages", FAST, "--json",
                CASEFRAME_CATALOG_URL=url,
            )  # fmt: skip
            assert done.status == 0, done.err
            assert done.json["states"]["picture"] == 12
        there = cli("export", "--case", tmp_path / "pg", CASEFRAME_CATALOG_URL=url).out
    cli("scan", pictures, "--case", tmp_path / "lite", "--stages", FAST)
    here = cli("export", "--case", tmp_path / "lite").out
    assert sorted(there.splitlines()) == sorted(here.splitlines())
    assert not (tmp_path / "pg" / "catalog.sqlite").exists()


def _until_some_rows(url: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(psycopg.Error), psycopg.connect(url) as connection:
            (count,) = connection.execute("SELECT count(*) FROM files").fetchone() or (0,)
            if count:
                return
        time.sleep(0.02)
    raise AssertionError("the scan wrote nothing")


def test_a_database_server_that_goes_away_for_a_while(
    cli: Cli, many: Path, tmp_path: Path, cache: Path
) -> None:
    """R11: nothing is lost; the scan waits and goes on. For a minute in `make chaos`."""
    with postgresql.private_server() as server:
        if server is None:
            if os.environ.get("CI"):
                pytest.fail("no PostgreSQL is installed here")
            pytest.skip("no PostgreSQL is installed here")
        env = {"CASEFRAME_CATALOG_URL": server.url, "CASEFRAME_WORKERS": "1"}
        process = subprocess.Popen(
            command("scan", many, "--case", tmp_path / "pg", "--stages", FAST, "--json"),
            env={**environment(cache), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _until_some_rows(server.url)
        server.stop()
        time.sleep(3)
        server.start()
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
        assert b"catalog.away" in err
        assert json.loads(out)["states"]["picture"] == 400
        done = cli("export", "--case", tmp_path / "pg", **env)
    assert cli("scan", many, "--case", tmp_path / "lite", "--stages", FAST).status == 0
    here = cli("export", "--case", tmp_path / "lite")
    assert sorted(done.out.splitlines()) == sorted(here.out.splitlines())


def interrupt(pictures: Path, case: Path, cache: Path, after: float, number: int) -> Ran:
    process = subprocess.Popen(
        command("scan", pictures, "--case", case, "--stages", FAST),
        env=environment(cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(after)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, out.decode(), err.decode())


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number:03}.jpg").write_bytes(
            makers.photo(400, 300, number % 40) + b"%d" % number
        )
    (folder / "cut.jpg").write_bytes(makers.cut(makers.photo(96, 64, 1), 50))
    return folder


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    cli: Cli, many: Path, tmp_path: Path, cache: Path
) -> None:
    assert cli("scan", many, "--case", tmp_path / "whole", "--stages", FAST).status == 0
    stopped = interrupt(many, tmp_path / "case", cache, 1.6, signal.SIGINT)
    if stopped.status != 0:  # a fast machine may have finished
        assert stopped.status == 1
        assert "the same command goes on where it stopped" in stopped.err
        assert "Traceback" not in stopped.err
    assert cli("scan", many, "--case", tmp_path / "case", "--stages", FAST).status == 0
    assert rows(cli, tmp_path / "case") == rows(cli, tmp_path / "whole")


def test_kill_9_at_any_moment_changes_nothing_in_the_end(
    cli: Cli, many: Path, tmp_path: Path, cache: Path
) -> None:
    """R6: killed again and again, then run once to its end."""
    assert cli("scan", many, "--case", tmp_path / "whole", "--stages", FAST).status == 0
    for moment in (0.3, 0.7, 0.9, 1.1, 1.3, 1.5, 1.8, 2.2):
        interrupt(many, tmp_path / "case", cache, moment, signal.SIGKILL)
    assert cli("scan", many, "--case", tmp_path / "case", "--stages", FAST).status == 0
    assert rows(cli, tmp_path / "case") == rows(cli, tmp_path / "whole")


def test_two_scans_at_once_give_one_row_a_task(
    cli: Cli, many: Path, tmp_path: Path, cache: Path
) -> None:
    """R8."""
    words = command("scan", many, "--case", tmp_path / "case", "--stages", FAST, "--json")
    both = [
        subprocess.Popen(words, env=environment(cache), stdout=subprocess.PIPE) for _ in range(2)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    for process in both:
        assert process.stdout is not None
        process.stdout.close()
    assert cli("scan", many, "--case", tmp_path / "alone", "--stages", FAST).status == 0
    assert rows(cli, tmp_path / "case") == rows(cli, tmp_path / "alone")
    status = cli("status", "--case", tmp_path / "case", "--json")
    assert status.json["stages"]["similar"]["found"] == 401


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def test_a_read_only_case_folder_is_one_line(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    with volume(tmp_path / "volume", "30m") as small:
        assert cli("scan", pictures, "--case", small / "case", "--stages", FAST).status == 0
        remount(small, "ro")
        for case in (small / "case", small / "other"):
            done = cli("scan", pictures, "--case", case, "--stages", FAST)
            assert done.status == 1
            assert len(done.err.splitlines()) == 1
            assert "cannot be" in done.err


def test_a_read_only_source(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    """R15: evidence on a medium that cannot be written is scanned like any other."""
    with volume(tmp_path / "volume", "30m") as medium:
        shutil.copytree(pictures, medium / "pictures")
        remount(medium, "ro")
        done = cli("scan", medium / "pictures", "--case", tmp_path / "case", "--json")
        assert done.json["states"]["picture"] == 12
        assert cli("verify", "--case", tmp_path / "case", "--strict").status == 0


def test_a_full_disk_is_said_and_the_scan_goes_on_when_there_is_room(
    cli: Cli, many: Path, tmp_path: Path
) -> None:
    """R9, on a volume of three megabytes."""
    with volume(tmp_path / "small", "3m") as small:
        full = cli("scan", many, "--case", small / "case", "--stages", FAST)
        assert full.status == 1
        assert "no room left" in full.err
        assert len([line for line in full.err.splitlines() if "caseframe:" in line]) == 1
        remount(small, "size=60m")
        assert cli("scan", many, "--case", small / "case", "--stages", FAST).status == 0
        cli("scan", many, "--case", tmp_path / "whole", "--stages", FAST)
        assert rows(cli, small / "case") == rows(cli, tmp_path / "whole")


def test_a_case_folder_that_cannot_be_written_is_one_line(
    cli: Cli, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    done = cli("scan", pictures, "--case", tmp_path / "file" / "case")
    assert done.status == 1
    assert "cannot be made" in done.err
    assert len(done.err.splitlines()) == 1


def test_the_source_is_untouched(cli: Cli, tmp_path: Path) -> None:
    """R15: every byte, name and time of source and folders, over all commands that read it."""
    folder = tmp_path / "evidence"
    assert cli("demo", folder).status == 0

    paths = [folder, *folder.rglob("*")]
    for path in paths:
        os.utime(path, ns=(10**18, 10**18), follow_symlinks=False)

    def state() -> dict[Path, object]:
        """By the paths that there were: who lists a folder changes its access time."""
        return {path: _stamp(path) for path in paths}

    def _stamp(path: Path) -> object:
        status = path.lstat()
        times = (status.st_mtime_ns, status.st_atime_ns, status.st_ctime_ns)
        return status.st_size, status.st_mode, times, _digest(path) if path.is_file() else b""

    def _digest(path: Path) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOATIME)
        with os.fdopen(descriptor, "rb") as file:
            return hashlib.sha256(file.read()).digest()

    before = state()
    case = tmp_path / "case"
    assert cli("scan", folder, "--case", case, "--stages", f"{FAST},faces").status == 0
    assert cli("verify", "--case", case).status == 0
    assert cli("rerun", "--stage", "similar", "--case", case).status == 0
    assert cli("duplicates", "--case", case).status == 0
    assert state() == before
    assert set(folder.rglob("*")) == set(paths[1:])


def test_nothing_is_left_behind_in_temporary_files(
    cli: Cli, pictures: Path, tmp_path: Path
) -> None:
    temporary = Path(tempfile.mkdtemp(prefix="cf-"))  # short: sockets lie below it
    assert cli("scan", pictures, "--case", tmp_path / "c", TMPDIR=str(temporary)).status == 0
    assert list(temporary.iterdir()) == []
    shutil.rmtree(temporary)
