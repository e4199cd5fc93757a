"""`caseframe serve-vision` in a process of its own, and clients that know nothing of ours."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from tests import makers
from tests.conftest import Cli
from tests.support.cli import command, environment
from tests.support.vision import WAIT, eventually

from caseframe.vision.client import VisionClient


@dataclass(frozen=True)
class Service:
    """A running `caseframe serve-vision`."""

    process: subprocess.Popen[str]
    address: str
    said: str


@contextmanager
def serve(cache: Path, folder: Path, address: str = "127.0.0.1:0", **env: str) -> Iterator[Service]:
    settings = environment(cache, CASEFRAME_MODELS_DIR=str(folder / "none"), **env)
    with subprocess.Popen(
        command("serve-vision", "--address", address),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"listening at (\S+?)(?: with TLS)?;", said)
        try:
            assert found, (said, process.poll() is not None and process.communicate())
            yield Service(process, found[1], said)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def service(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serve(cache, tmp_path_factory.mktemp("serve")) as started:
        yield started


# A grpcurl in a few lines: it learns all it knows from the server.
BY_REFLECTION = """
import sys, grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)
channel = grpc.insecure_channel(sys.argv[1])
database = ProtoReflectionDescriptorDatabase(channel)
print(*sorted(database.get_services()), sep=" ")
service = DescriptorPool(database).FindServiceByName("computer_vision.ComputerVision")
method = service.FindMethodByName("ProcessImage")
Request, Response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
call = channel.unary_unary("/computer_vision.ComputerVision/ProcessImage",
    Request.SerializeToString, Response.FromString)
picture = open(sys.argv[2], "rb").read()
print(call(Request(image=picture, model="FACTS"), timeout=60).description)
many = channel.stream_stream("/computer_vision.ComputerVision/ProcessImageBatch",
    Request.SerializeToString, Response.FromString)
batch = [Request(image=picture, model="FACTS"), Request(image=b"?", model="FACTS")]
for answer in many(iter(batch), timeout=60):
    print(answer.index, bool(answer.description), answer.error)
try:
    call(Request(image=picture), timeout=60)
except grpc.RpcError as error:
    print(error.code().name, error.details())
assert not [name for name in sys.modules if name.startswith("caseframe")]
"""


def test_a_client_that_knows_no_proto_of_ours_finds_and_calls_everything(
    service: Service, tmp_path: Path
) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(makers.photo(seed=3))
    done = subprocess.run(
        [sys.executable, "-c", BY_REFLECTION, service.address, picture],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    services, said, first, second, refusal = done.stdout.splitlines()
    assert services == (
        "computer_vision.ComputerVision grpc.health.v1.Health "
        "grpc.reflection.v1alpha.ServerReflection"
    )
    assert said.endswith(".")
    assert first == "0 True "
    assert second.startswith("1 False not a picture")
    assert refusal.startswith("FAILED_PRECONDITION")
    assert "run: caseframe models pull BLIP" in refusal or "pip install" in refusal


def test_it_says_where_it_listens_and_which_models_it_has(service: Service) -> None:
    assert service.said == f"listening at {service.address}; models: FACTS (rules 1)\n"


def test_hostile_pictures_do_not_end_it(service: Service) -> None:
    with VisionClient(service.address, seconds=WAIT) as client:
        bad = [
            *makers.bombs().values(),
            *makers.corrupt_pictures().values(),
            *(data for _, data in makers.broken_files(40, seed=2)),
            *makers.delegates().values(),
        ]
        answers = list(client.describe_many(bad, "FACTS"))
        assert len(answers) == len(bad)
        assert all((a.error is None) != (a.description is None) for a in answers)
        assert client.describe(makers.photo(), "FACTS")
    assert service.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well_and_what_was_at_work_is_answered(
    cache: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with serve(cache, tmp_path) as service, ThreadPoolExecutor(1) as one:
        with VisionClient(service.address, patience=0.0) as client:
            assert client.describe(makers.photo(64, 48), "FACTS")  # the decoders are warm
            children = psutil.Process(service.process.pid).children(recursive=True)
            large = makers.photo(3000, 2000, format="PNG")
            under_way = one.submit(client.describe, large, "FACTS")
            assert eventually(lambda: _working(children) or under_way.done())
            service.process.send_signal(number)
            assert under_way.result(WAIT).endswith(".")
        out, err = service.process.communicate(timeout=60)
        assert service.process.returncode == 0
        assert (out, err) == ("", "")
        assert all(eventually(partial(_gone, child)) for child in children)


def _working(processes: list[psutil.Process]) -> bool:
    return any(p.is_running() and p.status() == psutil.STATUS_RUNNING for p in processes)


def _gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_killed_without_warning_it_leaves_no_process(cache: Path, tmp_path: Path) -> None:
    with serve(cache, tmp_path) as service:
        children = psutil.Process(service.process.pid).children(recursive=True)
        assert children
        os.kill(service.process.pid, signal.SIGKILL)
        assert all(eventually(partial(_gone, child)) for child in children)


def test_a_socket_of_the_machine(cache: Path, tmp_path: Path) -> None:
    with (
        serve(cache, tmp_path, f"unix:{tmp_path / 's'}") as service,
        VisionClient(service.address) as client,
    ):
        assert client.describe(makers.photo(64, 48), "FACTS")


@pytest.mark.parametrize("address", ["127.0.0.1:notaport", "256.0.0.1:1", "unix:/nonexistent/s"])
def test_an_address_that_cannot_be_is_one_line(cli: Cli, address: str) -> None:
    done = cli("serve-vision", "--address", address)
    assert done.status == 1
    assert done.err == f"caseframe: cannot listen at {address}; give another with --address\n"


def test_an_address_that_is_taken_is_one_line(cli: Cli, service: Service) -> None:
    done = cli("serve-vision", "--address", service.address)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(f"caseframe: cannot listen at {service.address}; give another")


def test_tls_that_is_half_configured_is_refused(cli: Cli, tmp_path: Path) -> None:
    done = cli("serve-vision", "--address", "127.0.0.1:0", CASEFRAME_VISION_TLS_CERT=__file__)
    assert done.status == 2
    assert "both vision_tls_cert and vision_tls_key" in done.err
    gone = str(tmp_path / "gone.pem")
    done = cli("serve-vision", "--address", "127.0.0.1:0", CASEFRAME_VISION_TLS_KEY=gone)
    assert done.status == 2
    assert "gone.pem cannot be read" in done.err


def test_a_default_model_that_is_missing_is_said_and_the_others_serve(
    cache: Path, tmp_path: Path
) -> None:
    with serve(cache, tmp_path, CASEFRAME_DESCRIBE_WITH="BLIP") as service:
        with VisionClient(service.address) as client:
            assert client.describe(makers.photo(64, 48), "FACTS")
        service.process.terminate()
        _, err = service.process.communicate(timeout=60)
        assert err.startswith("caseframe: BLIP cannot be used: ")
        assert "run: " in err


def test_hundreds_of_clients_are_served_or_told_that_it_is_busy(
    cache: Path, tmp_path: Path
) -> None:
    with serve(cache, tmp_path, CASEFRAME_VISION_AT_WORK="4") as service:
        picture = makers.photo(64, 48)

        def ask(number: int) -> str:
            options = [("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(service.address, options=options) as channel:
                call: Any = channel.unary_unary("/computer_vision.ComputerVision/ProcessImage")
                body = b"\x0a" + _varint(len(picture)) + picture + b"\x10\x02"
                try:
                    call(body, timeout=2.0 if number % 3 == 0 else 100.0)
                except grpc.RpcError as error:
                    return str(error.code())
            return "described"

        with ThreadPoolExecutor(150) as threads:
            ended = list(threads.map(ask, range(300)))
        assert set(ended) <= {
            "described", "StatusCode.RESOURCE_EXHAUSTED", "StatusCode.DEADLINE_EXCEEDED",
        }  # fmt: skip
        assert {ended[i] for i in range(300) if i % 3} == {"described"}
        assert service.process.poll() is None


def _varint(number: int) -> bytes:
    """The variable-length integers of protocol buffers."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
