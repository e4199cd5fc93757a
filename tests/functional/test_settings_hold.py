"""What some settings do, as those who set them meet it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import aio_pika
import jwt
import pytest
from tests import makers
from tests.conftest import Cli
from tests.support import manager, plugins
from tests.support.models import tiny_blip
from tests.support.vision import WAIT, Colours, eventually, running
from tests.support.web import WebServer, clean_settings
from tests.support.workers import WorkerProcess, stage_worker

from caseframe.bus import wire
from caseframe.catalog.database import open_sqlite
from caseframe.cli.vision import describers, service_options
from caseframe.domain.errors import ModelUnavailable
from caseframe.vision.blip import BlipDescriber
from caseframe.vision.client import VisionClient
from caseframe.vision.store import ModelStore


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("blip")
    ModelStore(root / "models").import_folder(tiny_blip(root / "made"), "tiny")
    return root / "models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    for number in range(4):
        (made / f"{number}.jpg").write_bytes(makers.photo(96, 64, number))
    return made


def test_caption_beams_search_wider(models: Path, cache: Path) -> None:
    def said(beams: int) -> list[str]:
        blip = describers(clean_settings(cache, models_dir=models, caption_beams=beams))["BLIP"]
        assert not isinstance(blip, ModelUnavailable)
        return blip.describe([blip.prepare(makers.photo(96, 64, seed)) for seed in range(4)])

    greedy = said(1)
    assert greedy == said(1)
    assert greedy != said(4)


@pytest.mark.parametrize("most", [1, 3])
def test_caption_batch_is_how_many_pictures_the_model_takes(
    models: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    settings = clean_settings(cache, models_dir=models, caption_batch=most)
    blip = describers(settings)["BLIP"]
    assert not isinstance(blip, ModelUnavailable)
    taken: list[int] = []
    describe = blip.describe

    def counted(prepared: Sequence[Any]) -> list[str]:
        taken.append(len(prepared))
        return describe(prepared)

    monkeypatch.setattr(blip, "describe", counted)
    with running({"BLIP": blip}) as served, VisionClient(served.address, seconds=WAIT) as client:
        pictures = [makers.photo(96, 64, number) for number in range(12)]
        assert all(answer.description for answer in client.describe_many(pictures, "BLIP"))
    assert sum(taken) == 12
    assert max(taken) <= most


def test_vision_seconds_is_how_long_a_picture_is_waited_for(
    cli: Cli, folder: Path, cache: Path
) -> None:
    gate = threading.Event()
    options = service_options(clean_settings(cache, vision_seconds=1.5), "BLIP")
    with running({"BLIP": Colours("BLIP", gate=gate)}, seconds=options.seconds) as served:
        where = {"CASEFRAME_VISION_ADDRESS": served.address}
        late = cli("describe", folder / "1.jpg", **where)
        gate.set()
        done = cli("describe", folder / "1.jpg", **where)
    assert late.status == 1
    assert "it was not described within 1.5 s" in late.err
    assert (done.status, "BLIP sees" in done.out) == (0, True)


def test_worker_memory_is_what_a_picture_may_take(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """A picture of 144 MB decoded: one limit is too small for it, 0 is none."""
    (folder / "large.png").write_bytes(makers.bombs()["grey-12000.png"])
    states = {}
    for megabytes in ("100", "0"):
        case = tmp_path / megabytes
        scan = ("scan", folder, "--case", case, "--stages", "similar")
        assert cli(*scan, CASEFRAME_WORKER_MEMORY_MB=megabytes).status == 0
        lines = {line["path"]: line for line in cli("export", "--case", case).lines}
        states[megabytes] = {path: line["state"] for path, line in lines.items()}
        said = lines["large.png"]["reason"] or ""
        assert ("worker_memory_mb" in said) == (megabytes == "100")
    assert states["0"] == dict.fromkeys(states["0"], "picture")
    assert states["100"] == states["0"] | {"large.png": "over-limit"}


def test_mail_from_is_the_sender(fresh_web: Callable[..., WebServer]) -> None:
    web = fresh_web(mail_from="The Archive <archive@example.org>")
    invited = {"email": "anna@example.org", "role": "viewer"}
    browser = web.browser_like(web.administrator)
    assert browser.post("/users/invite", data=invited).status_code == 303
    web.mails("anna@example.org")  # waits until it is there
    senders = {
        line
        for file in (web.case / "outbox").glob("*.eml")
        for line in file.read_text().splitlines()
        if line.startswith("From:")
    }
    assert senders == {"From: The Archive <archive@example.org>"}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    root = tmp_path / "sources"
    (root / "trip").mkdir(parents=True)
    (root / "trip" / "1.jpg").write_bytes(makers.photo(96, 64, 1))
    return root


def test_task_token_hours_is_how_long_a_worker_may_read(
    sources: Path, tmp_path: Path, cache: Path, rabbitmq_server: str
) -> None:
    """That a token which is too old reads nothing is tested where tokens are."""
    store = open_sqlite(tmp_path / "catalog.sqlite")
    stage = {"name": "plates", "title": "Plates"}
    given = {"external_stages": (stage,), "queue_stages": (), "task_token_hours": 3}
    with manager.system(
        store, sources, rabbitmq_server, tmp_path / "case", cache, **given
    ) as made:  # fmt: skip
        job = made.start("trip", ("plates",))
        token = wire.token(asyncio.run(_first_headers(rabbitmq_server, "plates")))
        made.manager.stop(job)
    store.close()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 3 * 3600


async def _first_headers(url: str, queue: str) -> Any:
    """The headers of the first message that comes to a queue, which stays there."""
    async with await aio_pika.connect(url) as connection:
        taken = await (await connection.channel()).get_queue(queue)
        async with asyncio.timeout(WAIT), taken.iterator() as messages:
            return (await anext(aiter(messages))).headers


def test_deliveries_is_how_often_whole_workers_may_end_over_a_task(
    sources: Path, tmp_path: Path, cache: Path, rabbitmq_server: str
) -> None:
    packages = tmp_path / "packages"
    plugins.install(packages, "stuck", f"open({str(tmp_path / 'at-work')!r}, 'w')\ntime.sleep(600)")
    store = open_sqlite(tmp_path / "catalog.sqlite")
    stage = {"name": "stuck", "title": "Stuck"}
    given = {"external_stages": (stage,), "queue_stages": ()}
    with manager.system(
        store, sources, rabbitmq_server, tmp_path / "case", cache, **given
    ) as made:  # fmt: skip

        def worker() -> AbstractContextManager[WorkerProcess]:
            return stage_worker(
                rabbitmq_server, made.address, cache, "stuck", packages=packages,
                CASEFRAME_DELIVERIES="1",
            )  # fmt: skip

        job = made.start("trip", ("stuck",))
        with worker() as first:
            assert eventually((tmp_path / "at-work").exists)
            first.kill()
        with worker():
            assert made.finish(job).state == "finished"
    with store.read() as connection:
        reasons = connection.exec_driver_sql("SELECT state, reason FROM tasks").all()
    store.close()
    assert [state for state, _ in reasons] == ["failed"]
    assert "ended" in reasons[0][1]


def test_worker_bundles_is_when_a_worker_is_replaced(cli: Cli, tmp_path: Path) -> None:
    """For each limit, the numbers of the processes that did the work of one worker."""
    packages, folder = tmp_path / "packages", tmp_path / "many"
    seen = tmp_path / "seen"
    plugins.install(packages, "seen", f"print(os.getpid(), file=open({str(seen)!r}, 'a'))")
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}.jpg").write_bytes(makers.photo(32, 24, number))
    found = {}
    for most in ("0", "1"):
        done = cli(
            "scan", folder, "--case", tmp_path / most, "--stages", "seen",
            PYTHONPATH=f"{packages}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            CASEFRAME_WORKERS="1", CASEFRAME_WORKER_BUNDLES=most,
        )  # fmt: skip
        assert done.status == 0, done.err
        found[most] = len(set(seen.read_text().split()))
        seen.unlink()
    assert found["0"] == 1
    assert found["1"] > 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vision_precision_and_threads_reach_the_model(
    models: Path, cache: Path, precision: str
) -> None:
    """In this process; nobody else computes in it, but the number is put back all the same."""
    import torch  # noqa: PLC0415 - an extra

    before = torch.get_num_threads()
    settings = clean_settings(
        cache, models_dir=models, vision_precision=precision, vision_threads=1
    )
    blip = describers(settings)["BLIP"]
    assert isinstance(blip, BlipDescriber)
    try:
        assert len(blip.describe([blip.prepare(makers.photo(96, 64, 1))])) == 1
        assert torch.get_num_threads() == 1
        assert blip.place.precision == precision
    finally:
        torch.set_num_threads(before)


def test_tile_url_opens_the_pages_to_that_server_alone(
    fresh_web: Callable[..., WebServer],
) -> None:
    web = fresh_web(tile_url="https://tiles.example.org/{z}/{x}/{y}.png")
    policy = web.browser_like().get("/sign-in").headers["content-security-policy"]
    assert "img-src 'self' data: blob: https://tiles.example.org;" in policy
    assert policy.count("example.org") == 1
