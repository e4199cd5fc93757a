"""Pictures from the network lie in memory, else on disk; what does not fit leaves no part."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests import makers
from tests.support import queues
from tests.support.queues import FolderPictures
from tests.support.volume import fill, volume
from tests.support.waiting import eventually

from caseframe.domain.errors import ServiceAway
from caseframe.domain.work import TaskState
from caseframe.pipeline.spool import Held, Spool

MIB = 1 << 20


def content(held: Held) -> bytes:
    return Path(os.fsdecode(os.path.join(held.root, held.name))).read_bytes()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def test_what_memory_has_no_room_for_goes_to_disk_and_leaves_no_part(
    tmp_path: Path, disk: Path
) -> None:
    with volume(tmp_path / "memory", "1m") as memory:
        spool = Spool(memory, disk, least_free=-(10 * MIB))  # so that the write itself meets it
        first, second = spool.put(b"a" * 700_000), spool.put(b"b" * 700_000)
        assert (content(first)[:1], content(second)[:1]) == (b"a", b"b")
        assert (len(files(memory)), len(files(disk))) == (1, 1)
        spool.drop(first)
        third = spool.put(b"c" * 700_000)
        assert third.root == first.root
        spool.close()
        assert (files(memory), files(disk)) == ([], [])


def test_room_in_memory_is_looked_at_for_each_picture(tmp_path: Path, disk: Path) -> None:
    with volume(tmp_path / "memory", "4m") as memory:
        spool = Spool(memory, disk, least_free=2 * MIB)
        held = [spool.put(bytes(MIB // 2 + MIB // 4)) for _ in range(4)]
        assert (len(files(memory)), len(files(disk))) == (2, 2)
        for one in held:
            spool.drop(one)
        assert spool.put(b"small").root == held[0].root
        spool.close()


def test_without_room_anywhere_it_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    with volume(tmp_path / "memory", "1m") as memory, volume(tmp_path / "disk", "1m") as disk:
        spool = Spool(memory, disk, least_free=0)
        for _ in range(3):
            with pytest.raises(ServiceAway, match="No space left"):
                spool.put(bytes(2 * MIB))
        assert (files(memory), files(disk)) == ([], [])
        assert content(spool.put(b"small")) == b"small"
        spool.close()


def test_a_folder_that_somebody_tidied_away_is_made_anew(tmp_path: Path, disk: Path) -> None:
    spool = Spool(tmp_path / "none", disk)
    shutil.rmtree(os.fsdecode(spool.put(b"first").root))
    with pytest.raises(ServiceAway, match="No such file"):
        spool.put(b"second")
    assert content(spool.put(b"third")) == b"third"
    spool.close()
    assert files(disk) == []


KILLED = """
import os, sys
from pathlib import Path
from caseframe.pipeline.spool import Spool
Spool(Path("/nowhere"), Path(sys.argv[1])).put(b"left")
os.kill(os.getpid(), 9)
"""


def test_what_killed_workers_left_is_removed_and_nothing_else(disk: Path) -> None:
    living = Spool(disk / "none", disk)
    kept = living.put(b"kept")
    mine = disk / "caseframe-held-mine"
    mine.write_text("a file")
    (disk / "caseframe-held-elsewhere").symlink_to(disk.parent)
    subprocess.run([sys.executable, "-c", KILLED, str(disk)], check=False)
    assert [file.read_bytes() for file in files(disk)].count(b"left") == 1
    spool = Spool(disk / "none", disk)
    spool.put(b"new")
    assert sorted(file.read_bytes() for file in files(disk)) == [b"a file", b"kept", b"new"]
    assert (content(kept), disk.parent.is_dir()) == (b"kept", True)
    for one in (living, spool):
        one.close()
    assert files(disk) == [mine]


def test_a_task_waits_for_room_and_is_done(
    rabbitmq_server: str, tmp_path: Path, cache: Path
) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "a.jpg").write_bytes(makers.photo(96, 64, 1))
    with volume(tmp_path / "full", "1m") as full:
        spool = Spool(full, full, least_free=0)
        ballast = fill(full)
        pictures = FolderPictures(sources)
        order = queues.order(sources, sources / "a.jpg", ("similar",))

        with (
            queues.worker(rabbitmq_server, ["similar"], pictures, cache, spool=spool) as worker,
            queues.runner(rabbitmq_server, sources, queues.stages_of(["similar"])) as runner,
        ):
            counted = worker.registry.get_sample_value

            def make_room() -> None:
                try:
                    eventually(lambda: "No space left" in (worker.station.trouble or ""))
                finally:
                    ballast.unlink()

            with ThreadPoolExecutor(1) as beside:
                made = beside.submit(make_room)
                (outcome,) = runner.run([order])
            made.result()
            assert worker.station.trouble is None
            runner.settled([outcome])
            assert counted("caseframe_worker_retries_total", {"stage": "similar"}) is None
    assert [(stage.state, stage.attempts) for stage in outcome.stages] == [(TaskState.DONE, 1)]
