"""Streamed batches: order, errors in their places, back-pressure, clients that vanish."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import psutil
import pytest
from grpc import StatusCode
from PIL import Image
from tests import makers
from tests.support.vision import (
    BREAKER,
    KILLER,
    WAIT,
    Colours,
    Running,
    eventually,
    running,
)

from caseframe.domain.errors import ModelUnavailable
from caseframe.vision import computer_vision_pb2 as pb
from caseframe.vision.protocol import WINDOW
from caseframe.vision.service import Models

COMMAND = "run: caseframe models pull BLIP"


def picture(number: int, side: int = 4) -> bytes:
    """A picture whose colour is its number, below 256^3."""
    colour = (number >> 16 & 255, number >> 8 & 255, number & 255)
    return makers.encoded(Image.new("RGB", (side, side), colour), "BMP")


def words(number: int) -> str:
    return f"FACTS sees {number >> 16 & 255} {number >> 8 & 255} {number & 255}"


def stream(
    address: str, requests: Iterator[pb.ImgProcRequest], **options: Any
) -> tuple[grpc.Channel, Any]:
    """A batch by plain gRPC."""
    channel = grpc.insecure_channel(address)
    call = channel.stream_stream(
        "/computer_vision.ComputerVision/ProcessImageBatch",
        pb.ImgProcRequest.SerializeToString,
        pb.ImgProcResponse.FromString,
    )
    return channel, call(requests, **options)


def requests(data: Iterator[bytes], model: int = 2) -> Iterator[pb.ImgProcRequest]:
    return (pb.ImgProcRequest(image=one, model=model) for one in data)  # type: ignore[arg-type]


def answers(address: str, data: list[bytes], **options: Any) -> list[pb.ImgProcResponse]:
    channel, call = stream(address, requests(iter(data)), **options)
    with channel:
        return list(call)


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    models: Models = {"FACTS": Colours(), "BLIP": ModelUnavailable(COMMAND)}
    with running(models) as served:
        yield served


def test_answers_come_in_the_order_of_the_requests(service: Running) -> None:
    found = answers(service.address, [picture(i) for i in range(100)])
    assert [(a.index, a.description, a.error) for a in found] == [
        (i, words(i), "") for i in range(100)
    ]


def test_an_empty_batch_ends_well(service: Running) -> None:
    assert answers(service.address, []) == []


def test_bad_ones_get_their_errors_and_the_stream_goes_on(service: Running) -> None:
    breaker = makers.encoded(Image.new("RGB", (4, 4), BREAKER), "BMP")
    data = [picture(0), b"", picture(2), b"text", KILLER, breaker, makers.png_bilevel(), picture(7)]
    found = answers(service.address, data)
    assert [a.index for a in found] == list(range(8))
    assert [bool(a.error) for a in found] == [False, True, False, True, True, True, True, False]
    said = [a.error for a in found if a.error]
    for error, wanted in zip(
        said, ("empty", "not a picture", "SIGSEGV", "broke on it", "limit"), strict=True
    ):
        assert wanted in error
    invalid, internal = StatusCode.INVALID_ARGUMENT.value[0], StatusCode.INTERNAL.value[0]
    assert [a.code for a in found] == [0, invalid, 0, invalid, internal, internal, invalid, 0]
    assert (found[0].description, found[7].description) == (words(0), words(7))


def test_models_may_be_mixed_and_one_that_is_missing_is_its_own_error(service: Running) -> None:
    mixed = [(picture(1), 2), (picture(2), 0), (picture(3), 9), (picture(4), 2)]
    made = (pb.ImgProcRequest(image=d, model=m) for d, m in mixed)  # type: ignore[arg-type]
    channel, call = stream(service.address, made)
    with channel:
        found = list(call)
    assert [a.description for a in found] == [words(1), "", "", words(4)]
    assert found[1].error == COMMAND
    assert found[1].code == StatusCode.FAILED_PRECONDITION.value[0]
    assert "no model has the number 9" in found[2].error


def test_gzip_is_understood_in_a_batch(service: Running) -> None:
    found = answers(service.address, [picture(5)] * 3, compression=grpc.Compression.Gzip)
    assert [a.description for a in found] == [words(5)] * 3


def test_several_batches_and_single_requests_share_the_service(service: Running) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(
            threads.map(
                lambda base: answers(service.address, [picture(base + i) for i in range(40)]),
                (0, 1000, 2000, 3000),
            )
        )
    for base, some in zip((0, 1000, 2000, 3000), found, strict=True):
        assert [a.description for a in some] == [words(base + i) for i in range(40)]


class Counting:
    """An endless source of pictures that counts how many were taken from it."""

    def __init__(self, side: int) -> None:
        self.taken = 0
        self.side = side

    def __iter__(self) -> Iterator[bytes]:
        for number in itertools.count():
            self.taken += 1
            yield picture(number, self.side)


def test_the_service_reads_no_further_ahead_than_its_window() -> None:
    gate = threading.Event()
    model = Colours(gate=gate, batch=1)
    source = Counting(600)  # a megabyte each: the network's own buffers take a few
    with running({"FACTS": model}, at_work=4) as served:
        channel, call = stream(served.address, requests(iter(source)))
        with channel:
            turns = served.service.turns
            assert model.begun.wait(WAIT)
            assert eventually(lambda: turns.at_work + turns.waiting == WINDOW)
            before = -1
            while before != source.taken:  # until nothing moves any more
                before = source.taken
                threading.Event().wait(0.5)
            assert turns.at_work + turns.waiting == WINDOW
            assert source.taken <= WINDOW + 16
            gate.set()
            assert [next(call).index for _ in range(30)] == list(range(30))
            call.cancel()
        assert eventually(lambda: turns.at_work + turns.waiting == 0)


def test_large_pictures_are_read_ahead_by_their_bytes() -> None:
    gate = threading.Event()
    model = Colours(gate=gate, batch=1)
    with running({"FACTS": model}, image_bytes=2_500_000) as served:
        channel, call = stream(served.address, requests(iter(Counting(600))))
        with channel:
            turns = served.service.turns
            assert model.begun.wait(WAIT)
            assert eventually(lambda: turns.at_work == 3)
            threading.Event().wait(0.3)
            assert turns.at_work == 3  # the third one brings them over the bound
            call.cancel()
            gate.set()


def test_memory_stays_flat_however_long_the_stream_is() -> None:
    """10,000 pictures, 1.2 GB in all, through one stream."""
    me = psutil.Process()
    with running({"FACTS": Colours(batch=16)}) as served:
        data = makers.encoded(Image.new("RGB", (200, 200), (1, 2, 3)), "BMP")
        channel, call = stream(served.address, requests(itertools.repeat(data, 10_000)))
        with channel:
            peak, start = 0, 0
            for index, answer in enumerate(call):
                assert answer.index == index
                if index == 1000:
                    start = me.memory_info().rss
                if index > 1000 and index % 500 == 0:
                    peak = max(peak, me.memory_info().rss)
            assert index == 9_999
    assert peak - start < 50_000_000


def test_a_client_that_cancels_in_the_middle_frees_everything() -> None:
    gate = threading.Event()
    model = Colours(gate=gate, batch=1)
    with running({"FACTS": model}, at_work=4) as served:
        channel, call = stream(served.address, requests(iter(Counting(8))))
        assert model.begun.wait(WAIT)
        turns = served.service.turns
        assert eventually(lambda: turns.at_work + turns.waiting == WINDOW)
        call.cancel()
        channel.close()
        assert eventually(lambda: turns.at_work + turns.waiting == 0)
        gate.set()
        assert answers(served.address, [picture(9)])[0].description == words(9)
    assert sum(model.batches) == 2


VANISHING = """
import itertools, sys
import grpc
from caseframe.vision import computer_vision_pb2 as pb
picture = open(sys.argv[2], "rb").read()
channel = grpc.insecure_channel(sys.argv[1])
call = channel.stream_stream("/computer_vision.ComputerVision/ProcessImageBatch",
    pb.ImgProcRequest.SerializeToString, pb.ImgProcResponse.FromString)
requests = (pb.ImgProcRequest(image=picture, model=2) for _ in itertools.count())
for answer in call(requests):
    print(answer.index, flush=True)
"""


def test_a_client_that_is_killed_in_the_middle_frees_everything(tmp_path: Any) -> None:
    file = tmp_path / "picture.bmp"
    file.write_bytes(picture(3))
    model = Colours(batch=2, seconds=0.02)
    with running({"FACTS": model}) as served:
        client = subprocess.Popen(
            [sys.executable, "-c", VANISHING, served.address, file], stdout=subprocess.PIPE
        )
        with client:
            assert client.stdout is not None
            assert [int(client.stdout.readline()) for _ in range(5)] == list(range(5))
            os.kill(client.pid, signal.SIGKILL)
        turns = served.service.turns
        assert eventually(lambda: turns.at_work + turns.waiting == 0)
        assert answers(served.address, [picture(9)])[0].description == words(9)


def test_a_stop_answers_what_is_at_work_and_ends_the_stream() -> None:
    gate = threading.Event()
    model = Colours(gate=gate, batch=1)
    with running({"FACTS": model}, at_work=2) as served:
        channel, call = stream(served.address, requests(iter(Counting(8))))
        with channel:
            assert model.begun.wait(WAIT)
            assert eventually(lambda: served.service.turns.at_work == 2)
            served.begin_stop()
            assert eventually(lambda: served.service.turns.waiting == 0)
            gate.set()
            assert [next(call).description for _ in range(2)] == [words(0), words(1)]
            with pytest.raises(grpc.RpcError) as caught:
                next(call)
            assert caught.value.code() is StatusCode.UNAVAILABLE
        served.stop()


def test_a_stop_ends_a_stream_whose_client_says_nothing() -> None:
    with running({"FACTS": Colours()}) as served:
        silence = threading.Event()

        def say_one() -> Iterator[pb.ImgProcRequest]:
            yield pb.ImgProcRequest(image=picture(1), model=pb.FACTS)
            silence.wait(WAIT)

        channel, call = stream(served.address, say_one())
        with channel:
            assert next(call).description == words(1)
            served.stop()
            with pytest.raises(grpc.RpcError) as caught:
                next(call)
            assert caught.value.code() is StatusCode.UNAVAILABLE
            silence.set()


def test_a_picture_over_the_message_limit_ends_only_its_own_stream(service: Running) -> None:
    with running({"FACTS": Colours()}, image_bytes=1_000_000) as served:
        with pytest.raises(grpc.RpcError) as caught:
            answers(served.address, [picture(1), bytes(2_000_000)])
        assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED
        assert answers(served.address, [picture(1)])[0].description == words(1)
