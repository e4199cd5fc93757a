"""Single requests over gRPC: every status, deadlines, turns, and a service that never dies."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image
from tests import makers
from tests.support.vision import (
    BREAKER,
    EATER,
    HANGER,
    KILLER,
    STUMBLER,
    WAIT,
    Colours,
    Running,
    eventually,
    running,
    socket_address,
)

from caseframe.domain.errors import CaseframeError, ModelUnavailable
from caseframe.vision import computer_vision_pb2 as pb
from caseframe.vision.client import VisionClient
from caseframe.vision.server import serving
from caseframe.vision.service import Models, ServiceOptions

GOOD = makers.photo(64, 48, seed=3)
COMMAND = "run: caseframe models pull BLIP"
BIG = 5_000_000
"""Over the 4 MiB that gRPC takes by default."""


def bmp(width: int, height: int, colour: tuple[int, int, int] = (200, 30, 60)) -> bytes:
    pixels = np.full((height, width, 3), colour, np.uint8)
    return makers.encoded(Image.fromarray(pixels), "BMP")


def ask(
    address: str, data: bytes, model: int = 2, timeout: float | None = WAIT, **options: Any
) -> str:
    """One request by plain gRPC, as a client would make it that knows nothing of ours."""
    with grpc.insecure_channel(address, options=[("grpc.max_send_message_length", -1)]) as channel:
        call = channel.unary_unary(
            "/computer_vision.ComputerVision/ProcessImage",
            pb.ImgProcRequest.SerializeToString,
            pb.ImgProcResponse.FromString,
        )
        request = pb.ImgProcRequest(image=data, model=model)  # type: ignore[arg-type]
        return call(request, timeout=timeout, **options).description


def refused(address: str, data: bytes, model: int = 2, timeout: float = WAIT) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        ask(address, data, model, timeout)
    return caught.value


def outcome(address: str, data: bytes) -> Any:
    try:
        ask(address, data)
    except grpc.RpcError as error:
        return error.code()
    return "described"


@pytest.fixture(scope="module")
def service() -> Any:
    models: Models = {
        "FACTS": Colours(),
        "BLIP": ModelUnavailable(COMMAND),
        "BLIP_QUANTIZED": Colours("BLIP_QUANTIZED"),
    }
    with running(models, image_bytes=20_000_000) as served:
        yield served


def test_a_picture_gets_its_description(service: Running) -> None:
    assert ask(service.address, bmp(8, 8)) == "FACTS sees 200 30 60"


def test_two_models_answer_at_once_each_in_its_own_words(service: Running) -> None:
    with ThreadPoolExecutor(8) as threads:
        said = list(
            threads.map(lambda m: ask(service.address, bmp(8, 8), m), [2, 1] * 20, timeout=WAIT)
        )
    assert said == ["FACTS sees 200 30 60", "BLIP_QUANTIZED sees 200 30 60"] * 20


@pytest.mark.parametrize(
    ("data", "model", "status", "said"),
    [
        (b"", 2, StatusCode.INVALID_ARGUMENT, "empty"),
        (b"", 0, StatusCode.FAILED_PRECONDITION, COMMAND),
        (GOOD, 0, StatusCode.FAILED_PRECONDITION, COMMAND),
        (GOOD, 3, StatusCode.INVALID_ARGUMENT, "no model has the number 3"),
        (GOOD, -1, StatusCode.INVALID_ARGUMENT, "no model has the number -1"),
        (b"no picture at all", 2, StatusCode.INVALID_ARGUMENT, "not a picture: text/plain"),
        (GOOD[: len(GOOD) * 2 // 3], 2, StatusCode.INVALID_ARGUMENT, "corrupt"),
        (makers.png_bilevel(), 2, StatusCode.INVALID_ARGUMENT, "over the limit"),
        (KILLER, 2, StatusCode.INTERNAL, "killed the decoder (signal SIGSEGV)"),
        (EATER, 2, StatusCode.INVALID_ARGUMENT, "more memory"),
        (STUMBLER, 2, StatusCode.INTERNAL, "mistake of the decoder's own over two lines"),
        (bmp(4, 4, BREAKER), 2, StatusCode.INTERNAL, "the model broke on it: ValueError"),
    ],
)
def test_each_bad_request_has_its_status_and_the_service_goes_on(
    service: Running, data: bytes, model: int, status: StatusCode, said: str
) -> None:
    error = refused(service.address, data, model)
    assert error.code() is status
    assert said in error.details()
    assert "\n" not in error.details()
    assert ask(service.address, bmp(8, 8)) == "FACTS sees 200 30 60"


def test_a_hanging_decoder_ends_its_own_request_only() -> None:
    with running({"FACTS": Colours()}, decode_seconds=1.0) as served:
        error = refused(served.address, HANGER)
        assert error.code() is StatusCode.INTERNAL
        assert "longer than 1 s (picture_seconds)" in error.details()
        assert ask(served.address, bmp(8, 8)) == "FACTS sees 200 30 60"


def test_every_bomb_is_answered_and_costs_nothing_but_itself(service: Running) -> None:
    """S17, through the wire."""
    expected = {"described", StatusCode.INVALID_ARGUMENT, StatusCode.INTERNAL}
    for name, bomb in makers.bombs().items():
        if len(bomb) > service.service.options.image_bytes:
            continue
        assert outcome(service.address, bomb) in expected, name
    assert ask(service.address, bmp(8, 8)) == "FACTS sees 200 30 60"


def test_broken_files_by_the_hundred(service: Running) -> None:
    with VisionClient(service.address) as client:
        broken = [data for _, data in makers.broken_files(200, seed=5)]
        answers = list(client.describe_many(broken, "FACTS"))
    assert [a.index for a in answers] == list(range(200))
    assert all((a.description is None) != (a.error is None) for a in answers)
    assert {a.transient for a in answers} == {False}
    assert ask(service.address, bmp(8, 8)) == "FACTS sees 200 30 60"


def test_pictures_over_four_mebibytes_work_up_to_the_limit(service: Running) -> None:
    large = bmp(1400, 1200)
    assert len(large) > BIG
    assert ask(service.address, large) == "FACTS sees 200 30 60"
    error = refused(service.address, bytes(20_000_001))
    assert error.code() is StatusCode.INVALID_ARGUMENT
    assert "over the limit of 20000000 (vision_image_bytes)" in error.details()
    assert refused(service.address, bytes(21_000_000)).code() is StatusCode.RESOURCE_EXHAUSTED


def test_gzip_is_understood(service: Running) -> None:
    large = bmp(1400, 1200)
    said = ask(service.address, large, compression=grpc.Compression.Gzip)
    assert said == "FACTS sees 200 30 60"


def test_what_unpacks_to_more_than_the_limit_is_never_unpacked_whole() -> None:
    with running({"FACTS": Colours()}, image_bytes=1_000_000) as served:
        with pytest.raises(grpc.RpcError) as caught:
            ask(served.address, bytes(80_000_000), compression=grpc.Compression.Gzip)
        assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED
        assert ask(served.address, bmp(8, 8)) == "FACTS sees 200 30 60"


def test_a_socket_of_the_machine_serves_as_well(tmp_path: Path) -> None:
    with running({"FACTS": Colours()}, address=socket_address(tmp_path)) as served:
        assert ask(served.address, bmp(8, 8)) == "FACTS sees 200 30 60"


def test_an_address_that_is_taken_is_one_clear_error(service: Running) -> None:
    async def second() -> None:
        async with serving({"FACTS": Colours()}, ServiceOptions(), service.address):
            raise AssertionError("two services listen at one address")

    with pytest.raises(CaseframeError, match=f"cannot listen at {service.address}; give another"):
        asyncio.run(second())


def health(address: str, name: str = "") -> str:
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(  # type: ignore[attr-defined]
            health_pb2.HealthCheckRequest(service=name), timeout=WAIT
        )
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def test_health_says_serving_once_the_preferred_model_is_loaded(service: Running) -> None:
    assert health(service.address) == "SERVING"
    assert health(service.address, "computer_vision.ComputerVision") == "SERVING"
    with running({"BLIP": Colours("BLIP", no_load=COMMAND), "FACTS": Colours()}) as served:
        assert health(served.address) == "NOT_SERVING"
        assert ask(served.address, bmp(8, 8)) == "FACTS sees 200 30 60"


def test_models_tell_who_they_are_and_why_one_is_missing(service: Running) -> None:
    with VisionClient(service.address) as client:
        found = {info.identity.name: info for info in client.models()}
        assert found["FACTS"].preferred
        assert found["FACTS"].reason is None
        assert found["BLIP"].reason == COMMAND
        assert found["FACTS"].batch == 4
        assert client.identity("FACTS") == Colours().identity
        with pytest.raises(ModelUnavailable, match=COMMAND):
            client.identity("BLIP")


def test_a_model_is_loaded_when_it_is_first_asked_for() -> None:
    other = Colours("BLIP")
    with running({"FACTS": Colours(), "BLIP": other}) as served, VisionClient(served.address) as c:
        assert other.loads == 0
        assert c.identity("BLIP").model == "colours-blip"
        assert other.loads == 1
        assert c.describe(bmp(8, 8), "BLIP") == "BLIP sees 200 30 60"
        assert other.loads == 1


def test_a_model_that_fails_to_load_is_a_failed_precondition() -> None:
    broken = Colours("BLIP", no_load="model blip-base is damaged; " + COMMAND)
    with running({"FACTS": Colours(), "BLIP": broken}) as served:
        error = refused(served.address, GOOD, 0)
        assert error.code() is StatusCode.FAILED_PRECONDITION
        assert COMMAND in error.details()
        with VisionClient(served.address) as client, pytest.raises(ModelUnavailable, match="damag"):
            client.identity("BLIP")


def test_who_gets_no_turn_before_the_deadline_is_told_so() -> None:
    gate = threading.Event()
    model = Colours(gate=gate, batch=2)
    with (
        running({"FACTS": model}, at_work=2) as served,
        ThreadPoolExecutor(2) as threads,
    ):
        first = [threads.submit(ask, served.address, bmp(8, 8)) for _ in range(2)]
        assert eventually(lambda: served.service.turns.at_work == 2)
        error = refused(served.address, bmp(8, 8), timeout=1.0)
        assert error.code() is StatusCode.RESOURCE_EXHAUSTED
        assert "2 pictures are at work" in error.details()
        gate.set()
        assert [f.result(WAIT) for f in first] == ["FACTS sees 200 30 60"] * 2


def test_a_deadline_that_passes_at_work_is_exceeded_and_frees_its_place() -> None:
    gate = threading.Event()
    model = Colours(gate=gate, batch=1)
    with running({"FACTS": model}, at_work=2) as served:
        assert refused(served.address, bmp(8, 8), timeout=1.0).code() is (
            StatusCode.DEADLINE_EXCEEDED
        )
        waiting = refused(served.address, bmp(8, 8), timeout=1.0)  # expires before the model
        assert waiting.code() is StatusCode.DEADLINE_EXCEEDED
        assert eventually(lambda: served.service.turns.at_work == 0)
        gate.set()
        assert ask(served.address, bmp(8, 8)) == "FACTS sees 200 30 60"
    assert model.batches == [1, 1]  # the second one was dropped on the way


def test_a_request_without_a_deadline_gets_the_services() -> None:
    gate = threading.Event()
    with running({"FACTS": Colours(gate=gate)}, seconds=0.5) as served:
        with pytest.raises(grpc.RpcError) as caught:
            ask(served.address, bmp(8, 8), timeout=None)
        assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
        assert "0.5 s" in (caught.value.details() or "")
        gate.set()


def test_a_cancelled_request_is_dropped_before_the_model() -> None:
    gate = threading.Event()
    model = Colours(gate=gate, batch=1)
    with (
        running({"FACTS": model}, at_work=2) as served,
        grpc.insecure_channel(served.address) as channel,
    ):
        call = channel.unary_unary(
            "/computer_vision.ComputerVision/ProcessImage",
            pb.ImgProcRequest.SerializeToString,
            pb.ImgProcResponse.FromString,
        )
        request = pb.ImgProcRequest(image=bmp(8, 8), model=pb.FACTS)
        first = call.future(request, timeout=WAIT)
        assert model.begun.wait(WAIT)
        others = [call.future(request, timeout=WAIT) for _ in range(5)]
        assert eventually(lambda: served.service.turns.waiting == 4)
        for other in others:
            other.cancel()
        assert eventually(lambda: served.service.turns.at_work == 1)
        assert served.service.turns.waiting == 0
        gate.set()
        assert first.result(WAIT).description == "FACTS sees 200 30 60"
    assert sum(model.batches) == 1


def test_a_thousand_clients_are_served_or_told_that_it_is_busy() -> None:
    model = Colours(batch=8, seconds=0.01)
    with running({"FACTS": model}) as served:
        path = "/computer_vision.ComputerVision/ProcessImage"
        request = pb.ImgProcRequest(image=bmp(8, 8), model=pb.FACTS)
        own = [("grpc.use_local_subchannel_pool", 1)]  # a connection each
        channels = [grpc.insecure_channel(served.address, options=own) for _ in range(1000)]
        calls = [
            channel.unary_unary(
                path, pb.ImgProcRequest.SerializeToString, pb.ImgProcResponse.FromString
            ).future(request, timeout=1.0 if number % 4 == 0 else 120.0)
            for number, channel in enumerate(channels)
        ]
        ended: list[Any] = [call.exception() for call in calls]
        for channel in channels:
            channel.close()
        patient = [error for number, error in enumerate(ended) if number % 4]
        assert patient == [None] * 750
        told = {error.code() for error in ended if error is not None}
        assert told <= {StatusCode.RESOURCE_EXHAUSTED, StatusCode.DEADLINE_EXCEEDED}
        assert eventually(lambda: served.service.turns.at_work == 0)
        assert ask(served.address, bmp(8, 8)) == "FACTS sees 200 30 60"
    assert max(model.batches) <= 8


def test_a_stop_finishes_what_is_at_work_and_sends_the_others_away() -> None:
    gate = threading.Event()
    model = Colours(gate=gate, batch=1)
    with running({"FACTS": model}, at_work=1) as served, ThreadPoolExecutor(4) as threads:
        first = threads.submit(ask, served.address, bmp(8, 8))
        assert model.begun.wait(WAIT)
        waiting = threads.submit(refused, served.address, bmp(8, 8))
        assert eventually(lambda: served.service.turns.waiting == 1)
        served.begin_stop()
        assert waiting.result(WAIT).code() is StatusCode.UNAVAILABLE
        assert refused(served.address, bmp(8, 8)).code() is StatusCode.UNAVAILABLE
        gate.set()
        assert first.result(WAIT) == "FACTS sees 200 30 60"
        served.stop()


def test_who_watches_our_health_sees_the_stop_and_does_not_hold_it_up() -> None:
    gate = threading.Event()
    model = Colours(gate=gate)
    with (
        running({"FACTS": model}) as served,
        ThreadPoolExecutor(1) as one,
        grpc.insecure_channel(served.address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        seen = stub.Watch(health_pb2.HealthCheckRequest(), timeout=WAIT)  # type: ignore[attr-defined]
        assert next(seen).status == health_pb2.HealthCheckResponse.SERVING
        first = one.submit(ask, served.address, bmp(8, 8))
        assert model.begun.wait(WAIT)
        served.begin_stop()
        assert next(seen).status == health_pb2.HealthCheckResponse.NOT_SERVING
        gate.set()
        assert first.result(WAIT) == "FACTS sees 200 30 60"
        served.stop()  # well before its grace of a minute, which the test does not wait for
        with pytest.raises(grpc.RpcError):
            next(seen)


def test_a_stop_does_not_wait_longer_than_its_grace() -> None:
    gate = threading.Event()
    with running({"FACTS": Colours(gate=gate)}, grace=0.2) as served, ThreadPoolExecutor(1) as one:
        first = one.submit(refused, served.address, bmp(8, 8))
        assert eventually(lambda: served.service.turns.at_work == 1)
        served.begin_stop()
        assert first.result(WAIT).code() in {StatusCode.UNAVAILABLE, StatusCode.CANCELLED}
        gate.set()
        served.stop()
