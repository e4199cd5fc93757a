"""A worker of the original image scanner, written from its wire format alone, works for us.

Nothing of our own code reads or writes its messages: bytes on the wire are made by hand here.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import aio_pika
import grpc
import pytest
from tests import makers
from tests.support import manager
from tests.support.jobs import messages
from tests.support.web import WAIT

from caseframe.catalog import detail, gallery
from caseframe.catalog.database import Catalog

STAGES = ("exif", "faces", "caption")
HASH = ",".join(f"{number / 128:.8f}" for number in range(128))
KEYS = {"from", "to", "time", "jobId", "filepath", "md5", "errors", "message"}
RECORD = {
    "id", "filename", "mimetype", "filesize", "width", "height", "format", "colorspace",
    "resolution", "depth", "source", "createdAt", "md5", "sha1", "jobIds",
}  # fmt: skip


class OriginalWorker:
    """Declares its queue as the original workers do, fetches by getData, answers JobManager."""

    def __init__(self, url: str, queue: str, address: str, contract: Any, say: Any) -> None:
        self.url, self.queue, self.address, self.contract, self.say = (
            url, queue, address, contract, say,
        )  # fmt: skip
        self.tasks: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.pictures: list[bytes] = []
        self._up, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), daemon=True)

    async def _work(self) -> None:
        connection = await aio_pika.connect(self.url)
        async with connection, connection.channel() as channel:
            await channel.set_qos(prefetch_count=1)
            dead = await channel.declare_exchange(
                "img.dlx", aio_pika.ExchangeType.TOPIC, durable=True
            )
            kept = await channel.declare_queue(f"{self.queue}.dead", durable=True)
            await kept.bind(dead, f"{self.queue}.#")
            queue = await channel.declare_queue(
                self.queue, durable=True,
                arguments={
                    "x-dead-letter-exchange": "img.dlx",
                    "x-dead-letter-routing-key": f"{self.queue}.dead",
                },
            )  # fmt: skip

            async def took(message: Any) -> None:
                await self._task(channel, message)

            tag = await queue.consume(took)
            self._up.set()
            await asyncio.to_thread(self._end.wait)
            await queue.cancel(tag)

    async def _task(self, channel: Any, message: Any) -> None:
        body = json.loads(message.body.decode("utf-8"))
        self.tasks.append((body, dict(message.headers)))
        answer = self.say(self, body)
        if answer is None:
            await message.reject(requeue=False)
            return
        data = await asyncio.to_thread(self._fetch, body["filepath"], dict(message.headers))
        self.pictures.append(data)
        errors = answer if isinstance(answer, Refuses) else []
        reply = {
            "from": self.queue, "to": "JobManager", "time": "2026-01-02T03:04:05.678Z",
            "jobId": body["jobId"], "filepath": body["filepath"], "md5": body["md5"],
            "errors": list(errors), "message": None if errors else answer,
        }  # fmt: skip
        await channel.default_exchange.publish(
            aio_pika.Message(
                json.dumps(reply).encode(), headers=dict(message.headers), delivery_mode=2
            ),
            routing_key="JobManager",
        )
        await message.ack()

    def _fetch(self, filepath: str, headers: dict[str, Any]) -> bytes:
        names = ("x-correlation-id", "authorization")
        metadata = tuple((name, str(headers[name])) for name in names)
        with grpc.insecure_channel(self.address) as channel:
            call = channel.unary_stream(
                "/jobmanager.JobManagerController/getData",
                request_serializer=self.contract("GetDataRequest").SerializeToString,
                response_deserializer=self.contract("GetDataResponse").FromString,
            )
            request = self.contract("GetDataRequest")(filepath=filepath)
            return b"".join(part.data for part in call(request, metadata=metadata, timeout=WAIT))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(WAIT)


class Refuses(list[str]):
    """Reasons instead of a result."""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    root = tmp_path / "sources"
    (root / "trip").mkdir(parents=True)
    for number in range(3):
        (root / "trip" / f"{number} é.jpg").write_bytes(makers.photo(96, 64, number))
    return root


@contextmanager
def running(
    catalog: Catalog, sources: Path, url: str, tmp_path: Path, cache: Path
) -> Iterator[manager.System]:
    with manager.system(
        catalog, sources, url, tmp_path / "case", cache, queue_stages=STAGES, lease_seconds=5,
        vision_address="127.0.0.1:1", describe_with="BLIP",
    ) as made:  # fmt: skip
        yield made


def say_faces(worker: OriginalWorker, body: dict[str, Any]) -> Any:
    return [{"hash": HASH, "coordX": 10, "coordY": 12, "width": 20, "height": 24}]


def say_exif(worker: OriginalWorker, body: dict[str, Any]) -> Any:
    tags = {"Make": "Nikon", "Model": "D90", "DateTimeOriginal": "2016:07:02 10:00:00",
            "FNumber": 5.6, "Keywords": ["boat", "lake"]}  # fmt: skip
    return {"md5": body["md5"], "exifData": tags}


def say_caption(worker: OriginalWorker, body: dict[str, Any]) -> Any:
    return "a red boat on a calm lake"


@pytest.fixture
def contract(tmp_path: Path) -> Any:
    folder = tmp_path / "contract"
    folder.mkdir()
    return messages(folder)


def test_the_original_workers_results_stand_in_the_gallery_like_ours(
    catalog: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    contract: Any,
) -> None:  # fmt: skip
    sayings: dict[str, Callable[..., Any]] = {
        "Faces": say_faces, "ExifExtractor": say_exif, "Classifier": say_caption,
    }  # fmt: skip
    with running(catalog, sources, rabbitmq_server, tmp_path, cache) as made:
        workers = [
            OriginalWorker(rabbitmq_server, queue, made.address, contract, say)
            for queue, say in sayings.items()
        ]
        with workers[0], workers[1], workers[2]:
            job = made.start("trip", STAGES)
            assert made.finish(job).state == "finished"
        with catalog.read() as connection:
            tiles = gallery.page(connection, job).tiles
            shown = [detail.detail(connection, job, tile.image_id) for tile in tiles]
    assert len(shown) == 3
    for one in shown:
        said = {stage.stage: stage for stage in one.stages}
        assert {name: stage.state for name, stage in said.items()} == dict.fromkeys(STAGES, "done")
        (face,) = one.faces
        assert (face.x, face.y, face.width, face.height) == (10, 12, 20, 24)
        assert ("caption", "a red boat on a calm lake") in [(t.field, t.value) for t in one.texts]
    worker = workers[0]
    for body, headers in worker.tasks:
        assert body.keys() >= KEYS
        assert body["message"].keys() >= RECORD
        assert (body["from"], body["to"], body["errors"]) == ("JobManager", "Faces", [])
        assert body["jobId"] == job
        assert body["message"]["jobIds"] == [job]
        assert headers["authorization"].startswith("Bearer ")
        assert headers["x-correlation-id"]
    originals = {file.read_bytes() for file in (sources / "trip").iterdir()}
    assert set(worker.pictures) == originals
    assert {body["filepath"] for body, _ in worker.tasks} == {
        f"/trip/{number} é.jpg" for number in range(3)
    }


def test_errors_and_refusals_of_original_workers_are_failed_tasks_with_reasons(
    catalog: Catalog, sources: Path, rabbitmq_server: str, tmp_path: Path, cache: Path,
    contract: Any,
) -> None:  # fmt: skip
    def say(worker: OriginalWorker, body: dict[str, Any]) -> Any:
        if "/0" in body["filepath"]:
            return Refuses(["model exploded", "twice"])
        if "/1" in body["filepath"]:
            return None  # rejects the message: the broker makes it a dead letter
        return [{"hash": "1,2,3", "coordX": 1, "coordY": 1, "width": 1, "height": 1}]

    with (
        running(catalog, sources, rabbitmq_server, tmp_path, cache) as made,
        OriginalWorker(rabbitmq_server, "Faces", made.address, contract, say),
    ):
        job = made.start("trip", ("faces",))
        assert made.finish(job).state == "finished"
        with catalog.read() as connection:
            tiles = gallery.page(connection, job).tiles
            shown = [detail.detail(connection, job, tile.image_id) for tile in tiles]
    reasons = sorted(str(one.stages[0].reason) for one in shown)
    assert [one.stages[0].state for one in shown] == ["failed"] * 3
    assert any("model exploded; twice" in reason for reason in reasons)
    assert any("dead letter" in reason for reason in reasons)
    assert any("3 numbers" in reason for reason in reasons)
