"""Workers whose stage cannot work now, or not at all, or only on a few pictures at once."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import makers
from tests.support import manager, queues, vision
from tests.support.queues import FolderPictures
from tests.support.waiting import eventually
from tests.support.web import clean_settings
from tests.support.workers import stage_worker

from caseframe.catalog import tally
from caseframe.catalog.database import open_sqlite
from caseframe.cli.captions import UNWANTED
from caseframe.cli.stage_queues import services_registry
from caseframe.domain.work import Order, TaskState
from caseframe.stages.stage import StageContext, VisionAccess


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "sources" / "trip"
    root.mkdir(parents=True)
    for number in range(6):
        (root / f"{number}.jpg").write_bytes(makers.photo(96, 64, number))
    return root


def orders(folder: Path, stage: str) -> list[Order]:
    files = sorted(folder.iterdir())
    return [queues.order(folder, file, (stage,), n) for n, file in enumerate(files, 1)]


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"


def captioning(cache: Path, address: str) -> dict[str, Any]:
    return {"context": StageContext(cache, VisionAccess(address)), "together": 8}


def test_captions_wait_while_the_vision_service_is_away(
    rabbitmq_server: str, folder: Path, cache: Path
) -> None:
    """Its restart costs no caption, even when the first one falls into it."""
    address = free_address()
    with (
        queues.worker(rabbitmq_server, ["caption"], FolderPictures(folder.parent), cache,
                      local=captioning(cache, address)) as worker,
        queues.runner(rabbitmq_server, folder.parent, queues.stages_of(["caption"])) as runner,
        ThreadPoolExecutor(1) as beside,
    ):  # fmt: skip
        found = beside.submit(lambda: list(runner.run(orders(folder, "caption"))))
        eventually(lambda: "caption: the vision service" in (worker.station.trouble or ""))
        assert not found.done()
        with vision.running({"BLIP": vision.Colours("BLIP")}, address=address):
            outcomes = found.result(120)
        assert worker.station.trouble is None
    assert [stage.state for one in outcomes for stage in one.stages] == [TaskState.DONE] * 6


def test_a_wait_ends_before_the_job_manager_takes_the_worker_for_gone(
    rabbitmq_server: str, folder: Path, cache: Path
) -> None:
    with (
        queues.worker(rabbitmq_server, ["caption"], FolderPictures(folder.parent), cache,
                      local=captioning(cache, free_address()), away_seconds=1.0),
        queues.runner(rabbitmq_server, folder.parent, queues.stages_of(["caption"])) as runner,
    ):  # fmt: skip
        stages = [stage for one in runner.run(orders(folder, "caption")) for stage in one.stages]
    assert {stage.state for stage in stages} == {TaskState.UNAVAILABLE}
    assert all("does not answer" in (stage.reason or "") for stage in stages)


class Counting(FolderPictures):
    """Counts how many pictures are fetched at once, each some time under way."""

    now = most = 0

    async def fetch(self, path: bytes, token: str, correlation_id: str) -> bytes:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.05)
        self.now -= 1
        return await super().fetch(path, token, correlation_id)


@pytest.mark.parametrize(("held", "together"), [(1, 1), (10**9, 6)])
def test_pictures_are_fetched_as_far_as_they_fit(
    rabbitmq_server: str, folder: Path, cache: Path, held: int, together: int
) -> None:
    pictures = Counting(folder.parent)
    with (
        queues.worker(rabbitmq_server, ["similar"], pictures, cache, held_bytes=held) as worker,
        queues.runner(rabbitmq_server, folder.parent, queues.stages_of(["similar"])) as runner,
    ):
        stages = [stage for one in runner.run(orders(folder, "similar")) for stage in one.stages]
        assert worker.station._budget.held == 0
    assert [stage.state for stage in stages] == [TaskState.DONE] * 6
    assert pictures.most == together


@pytest.mark.parametrize(("model", "reason"), [("FACTS", UNWANTED), ("BLIP", None), ("auto", None)])
def test_captions_that_nobody_wants_are_not_sent(
    cache: Path, model: str, reason: str | None
) -> None:
    settings = clean_settings(cache, describe_with=model, vision_address="127.0.0.1:1")
    found = services_registry(settings)
    assert (found.get("caption").reason, found.get("faces").reason) == (reason, None)


def test_without_captions_their_worker_idles_and_jobs_end(
    rabbitmq_server: str, folder: Path, tmp_path: Path, cache: Path
) -> None:
    catalog = open_sqlite(tmp_path / "catalog.sqlite")
    given: dict[str, Any] = {"describe_with": "FACTS", "queue_stages": ("caption",)}
    said: dict[str, Any] = {
        "CASEFRAME_DESCRIBE_WITH": "FACTS",
        "CASEFRAME_VISION_ADDRESS": "127.0.0.1:1",
    }
    try:
        with (
            manager.system(catalog, folder.parent, rabbitmq_server, tmp_path / "case", cache,
                           **given) as made,
            stage_worker(rabbitmq_server, made.address, cache, "caption", **said) as worker,
        ):  # fmt: skip
            job = made.start("trip", ("caption",))
            assert made.finish(job).state == "finished"
            assert httpx.get(f"{worker.door}/ready").status_code == 200
            assert worker.end() == 0
            assert UNWANTED in "".join(worker.lines)
        with catalog.read() as connection:
            states = Counter(tally.task_states(connection))
        assert states == {("caption", "unavailable"): 6}
    finally:
        catalog.close()


def test_a_worker_of_several_stages_leaves_captions_out(rabbitmq_server: str, cache: Path) -> None:
    said: dict[str, Any] = {"CASEFRAME_DESCRIBE_WITH": "FACTS"}
    names = ("caption", "similar")
    with stage_worker(rabbitmq_server, "127.0.0.1:1", cache, *names, **said) as worker:
        eventually(lambda: httpx.get(f"{worker.door}/ready").status_code == 200)
        assert worker.end() == 0
