"""The example of a stage in Node.js, run for real: RabbitMQ, gRPC and the worker's own process."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import shutil
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import aio_pika
import grpc
import pytest
from tests import makers

from caseframe.bus import wire
from caseframe.domain.errors import NotFound
from caseframe.domain.external import ExternalStage
from caseframe.domain.facts import Text
from caseframe.domain.work import StageOutcome
from caseframe.jobmanager import jobmanager_pb2 as pb
from caseframe.jobmanager.data import asked_path, open_file
from caseframe.pipeline.answers import is_of, outcome_of
from caseframe.stages.external import QueuedStage

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "stage-node"
TOKEN = "Bearer a.token.of.this.task"
ODD_NAME = b"odd \xff name.jpg"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with its packages, as its README installs them."""
    if not shutil.which("node") or not shutil.which("npm"):
        _without("Node.js and npm are needed to run the example in Node.js")
    folder = tmp_path_factory.mktemp("node") / "stage-node"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    installed = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if installed.returncode:
        _without(f"npm cannot install the example's packages: {installed.stderr[-500:]}")
    return folder


def _without(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class Worker:
    """A running worker and what it works with."""

    queue: str
    folder: Path
    broker: str
    asked: list[dict[str, str]]
    """The metadata of each call for a picture."""
    process: subprocess.Popen[str]

    def task(self, name: bytes) -> wire.Task:
        """A task for a file of the source, as the job manager makes them."""
        data = Path(os.fsdecode(os.path.join(os.fsencode(self.folder), name))).read_bytes()
        return wire.Task(
            self.queue, "job-1", b"source/" + name, md5(data).hexdigest(),
            stage="entropy", version="1", sha256=sha256(data).hexdigest(),
        )  # fmt: skip

    def ask(self, *bodies: bytes) -> list[bytes]:
        """Send messages; what the worker answers, in its order."""
        return asyncio.run(_exchange(self.broker, self.queue, bodies))

    def result(self, task: wire.Task) -> wire.Result:
        """Its answer to one task."""
        (answer,) = self.ask(task.encode())
        return wire.read_result(answer)

    def outcome(self, task: wire.Task) -> StageOutcome:
        """What the job manager makes of its answer."""
        result = self.result(task)
        assert task.sha256 is not None
        assert is_of(_registered(), result, task.sha256, task.md5)
        return outcome_of(_registered(), result)


def _registered() -> QueuedStage:
    """The stage as the line in the README registers it."""
    found = re.search(r"CASEFRAME_EXTERNAL_STAGES='(.*)'", (EXAMPLE / "README.md").read_text())
    assert found is not None
    (given,) = json.loads(found.group(1))
    given["schema_file"] = EXAMPLE / given["schema_file"]
    return QueuedStage(ExternalStage(**given))


@pytest.fixture
def worker(example: Path, rabbitmq_server: str, tmp_path: Path) -> Iterator[Worker]:
    """A worker that waits for tasks, over pictures of its own."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(makers.photo(320, 240, 1))
    (folder / "empty.png").write_bytes(b"\0" * 3_000_000)
    Path(os.fsdecode(os.path.join(os.fsencode(folder), ODD_NAME))).write_bytes(b"plain text " * 9)
    queue = f"entropy-{uuid.uuid4().hex[:12]}"
    asked: list[dict[str, str]] = []
    with _pictures(tmp_path, asked) as address:
        process = subprocess.Popen(
            ["node", "worker.mjs"], cwd=example, text=True, stdout=subprocess.PIPE,
            env={**os.environ, "STAGE_QUEUE": queue, "CASEFRAME_AMQP_URL": rabbitmq_server,
                 "CASEFRAME_JOBS_ADDRESS": address,
                 "JOBMANAGER_PROTO": str(ROOT / "proto" / "jobmanager.proto")},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{queue}: waiting for tasks\n"
            yield Worker(queue, folder, rabbitmq_server, asked, process)
        finally:
            process.terminate()
            status = process.wait(30)
            process.communicate()
            asyncio.run(_tidy(rabbitmq_server, queue))
        assert status == 0


@contextmanager
def _pictures(root: Path, asked: list[dict[str, str]]) -> Iterator[str]:
    """The one method of the job manager that workers call, over a folder."""

    def get_data(request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
        metadata = context.invocation_metadata()
        asked.append({key: str(value) for key, value in metadata})
        try:
            opened = open_file(os.fsencode(root), asked_path(request.filepath, request.path))
        except NotFound as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        yield from opened.messages()
        opened.close()

    method: Any = grpc.unary_stream_rpc_method_handler(
        get_data, request_deserializer=pb.GetDataRequest.FromString
    )
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("jobmanager.JobManagerController",
                                              {"getData": method})]
    )  # fmt: skip
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


async def _exchange(broker: str, queue: str, bodies: tuple[bytes, ...]) -> list[bytes]:
    """Publish to the worker's queue; as many answers as there are messages."""
    async with await aio_pika.connect(broker) as connection:
        channel = await connection.channel()
        answers = await channel.get_queue(wire.JOB_MANAGER)
        headers = wire.headers(TOKEN.removeprefix("Bearer "), "correlation-1")
        for body in bodies:
            task = aio_pika.Message(body, headers=dict(headers))
            await channel.default_exchange.publish(task, queue)
        found = []
        async with asyncio.timeout(60), answers.iterator() as messages:
            async for message in messages:
                await message.ack()
                assert message.headers["x-correlation-id"] == "correlation-1"
                assert message.headers["authorization"] == TOKEN
                found.append(message.body)
                if len(found) == len(bodies):
                    break
        return found


async def _dead_letter(broker: str, queue: str, body: bytes) -> bytes:
    async with await aio_pika.connect(broker) as connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(body), queue)
        dead = await channel.get_queue(wire.dead(queue))
        async with asyncio.timeout(60), dead.iterator() as messages:
            async for message in messages:
                await message.ack()
                return message.body
    raise AssertionError("no dead letter came")


async def _tidy(broker: str, queue: str) -> None:
    async with await aio_pika.connect(broker) as connection:
        channel = await connection.channel()
        await wire.declare(channel, queue)  # as the job manager does: the arguments are the same
        for name in (queue, wire.dead(queue), wire.JOB_MANAGER):
            await channel.queue_delete(name)


def entropy(data: bytes) -> float:
    """Bits a byte."""
    shares = [count / len(data) for count in Counter(data).values()]
    return -sum(share * math.log2(share) for share in shares)


def test_it_measures_what_the_job_manager_streams(worker: Worker) -> None:
    data = (worker.folder / "photo.jpg").read_bytes()
    result = worker.result(worker.task(b"photo.jpg"))
    assert result.errors == ()
    assert result.result == {
        "bytes": len(data),
        "bitsPerByte": pytest.approx(entropy(data), abs=1e-4),
        "looks": "compressed or encrypted",
    }
    assert (result.queue, result.job_id) == (worker.queue, "job-1")
    assert (result.stage, result.version, result.attempt) == ("entropy", "1", 1)
    (metadata,) = worker.asked
    assert metadata["authorization"] == TOKEN
    assert metadata["x-correlation-id"] == "correlation-1"


def test_the_job_manager_takes_its_answer_as_the_readme_registers_it(worker: Worker) -> None:
    outcome = worker.outcome(worker.task(b"empty.png"))
    assert (outcome.state, outcome.found, outcome.reason) == ("done", True, None)
    assert outcome.facts is not None
    assert outcome.facts.texts == (Text("entropy", "sparse"),)


def test_a_name_that_is_no_utf8_reaches_the_right_file(worker: Worker) -> None:
    result = worker.result(worker.task(ODD_NAME))
    assert result.result["bytes"] == len(b"plain text " * 9)
    assert result.path == b"source/" + ODD_NAME


def test_failures_are_answered_with_the_reason(worker: Worker) -> None:
    task = worker.task(b"photo.jpg")
    gone = worker.outcome(replace(task, path=b"source/gone.jpg"))
    assert (gone.state, gone.reason) == ("failed", "there is no such file")
    changed = worker.outcome(replace(task, sha256="0" * 64))
    assert (changed.state, changed.reason) == ("failed", "the file changed since it was scanned")


def test_many_tasks_get_one_answer_each(worker: Worker) -> None:
    task = worker.task(b"photo.jpg")
    answers = worker.ask(*(replace(task, job_id=f"job-{n}").encode() for n in range(50)))
    assert sorted(wire.read_result(answer).job_id for answer in answers) == sorted(
        f"job-{n}" for n in range(50)
    )


def test_what_is_no_task_becomes_a_dead_letter(worker: Worker) -> None:
    assert asyncio.run(_dead_letter(worker.broker, worker.queue, b"{no json")) == b"{no json"
