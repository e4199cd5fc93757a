"""The client: our own errors, lazy reading, several services, one that goes and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from tests import makers
from tests.support.vision import KILLER, WAIT, Colours, eventually, running, socket_address

from caseframe.domain.errors import (
    CaseframeError,
    ModelUnavailable,
    PictureError,
    PictureRefused,
    UsageError,
    VisionAway,
    VisionBusy,
    VisionFailed,
    VisionLate,
)
from caseframe.vision.client import Answer, VisionClient
from caseframe.vision.protocol import WINDOW
from caseframe.vision.service import Models

COMMAND = "run: caseframe models pull BLIP"


def picture(number: int, side: int = 4) -> bytes:
    return makers.encoded(Image.new("RGB", (side, side), (0, number >> 8, number & 255)), "BMP")


def words(number: int) -> str:
    return f"FACTS sees 0 {number >> 8} {number & 255}"


@pytest.fixture(scope="module")
def client() -> Iterator[VisionClient]:
    models: Models = {"FACTS": Colours(), "BLIP": ModelUnavailable(COMMAND)}
    with running(models, image_bytes=1_000_000) as served, VisionClient(served.address) as made:
        yield made


@pytest.mark.parametrize(
    ("data", "model", "error", "said"),
    [
        (b"", "FACTS", PictureRefused, "empty"),
        (b"text", "FACTS", PictureError, "not a picture"),
        (KILLER, "FACTS", VisionFailed, "SIGSEGV"),
        (b"any", "BLIP", ModelUnavailable, COMMAND),
        (b"any", "LLAVA", UsageError, "no model is called LLAVA; there are: BLIP, BLIP_QUANTIZED"),
        (b"any", "", UsageError, "no model is called"),
    ],
)
def test_every_failure_is_an_error_of_ours_on_one_line(
    client: VisionClient, data: bytes, model: str, error: type[CaseframeError], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        client.describe(data, model)
    assert "\n" not in str(caught.value)
    assert client.describe(picture(7), "FACTS") == words(7)


def test_a_batch_in_order_with_errors_in_their_places(client: VisionClient) -> None:
    data = [picture(0), b"", KILLER, bytes(1_000_001), bytes(3_000_000), picture(5)]
    found = list(client.describe_many(data, "FACTS"))
    assert [answer.index for answer in found] == list(range(6))
    assert found[0] == Answer(0, words(0), None)
    assert found[5] == Answer(5, words(5), None)
    assert [bool(answer.error) for answer in found] == [False, True, True, True, True, False]
    assert all("over the limit of 1000000" in (found[i].error or "") for i in (3, 4))
    assert not any(answer.transient for answer in found)


def test_a_batch_for_a_missing_model_ends_with_that_error(client: VisionClient) -> None:
    with pytest.raises(ModelUnavailable, match=COMMAND):
        list(client.describe_many([picture(1)], "BLIP"))


def test_an_empty_batch_is_empty(client: VisionClient) -> None:
    assert list(client.describe_many([], "FACTS")) == []


def test_the_source_is_read_in_our_thread_and_as_far_as_the_window(client: VisionClient) -> None:
    taken: list[int] = []
    threads = set()

    def source() -> Iterator[bytes]:
        for number in range(100):
            taken.append(number)
            threads.add(threading.get_ident())
            yield picture(number)

    for answer in client.describe_many(source(), "FACTS"):
        assert answer.description == words(answer.index)
        assert len(taken) <= answer.index + WINDOW
    assert len(taken) == 100
    assert threads == {threading.get_ident()}


def test_an_error_of_the_source_is_the_callers(client: VisionClient) -> None:
    def source() -> Iterator[bytes]:
        yield picture(1)
        raise LookupError("the source broke")

    with pytest.raises(LookupError, match="the source broke"):
        list(client.describe_many(source(), "FACTS"))
    assert client.describe(picture(7), "FACTS") == words(7)


def test_leaving_a_batch_early_leaves_nothing_at_work() -> None:
    with running({"FACTS": Colours()}) as served, VisionClient(served.address) as client:
        answers = client.describe_many((picture(i) for i in range(1000)), "FACTS")
        assert next(answers).description == words(0)
        answers.close()
        assert eventually(lambda: served.service.turns.at_work == 0)


def test_threads_may_share_a_client(client: VisionClient) -> None:
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda i: client.describe(picture(i), "FACTS"), range(100)))
    assert said == [words(i) for i in range(100)]


def test_busy_and_late_are_told_apart() -> None:
    gate = threading.Event()
    with (
        running({"FACTS": Colours(gate=gate)}, at_work=1) as served,
        VisionClient(served.address) as client,
        ThreadPoolExecutor(1) as other,
    ):
        first = other.submit(client.describe, picture(1), "FACTS")
        assert eventually(lambda: served.service.turns.at_work == 1)
        with pytest.raises(VisionBusy, match="1 pictures are at work"):
            client.describe(picture(2), "FACTS", seconds=1.0)
        gate.set()
        assert first.result(WAIT) == words(1)
        gate.clear()
        with pytest.raises(VisionLate, match="did not answer in time"):
            client.describe(picture(2), "FACTS", seconds=1.0)
        gate.set()


def test_nobody_at_the_address_is_an_error_that_names_it() -> None:
    with (
        VisionClient("127.0.0.1:1", patience=0.3) as client,
        pytest.raises(VisionAway, match=r"at 127\.0\.0\.1:1 does not answer"),
    ):
        client.describe(picture(1), "FACTS")
    with (
        VisionClient("unix:/nonexistent/socket", patience=0.3) as client,
        pytest.raises(VisionAway, match="does not answer"),
    ):
        list(client.describe_many([picture(1)], "FACTS"))
    with pytest.raises(UsageError, match="empty; give host:port"):
        VisionClient(" , ")


def test_a_closed_client_says_so() -> None:
    with running({"FACTS": Colours()}) as served:
        client = VisionClient(served.address)
        assert client.describe(picture(1), "FACTS") == words(1)
        client.close()
        with pytest.raises(VisionAway, match="closed"):
            client.describe(picture(1), "FACTS")


def test_a_service_that_starts_late_is_waited_for(tmp_path: Path) -> None:
    address = socket_address(tmp_path)
    with VisionClient(address) as client, ThreadPoolExecutor(1) as other:
        early = other.submit(client.describe, picture(1), "FACTS")
        batch = other.submit(lambda: list(client.describe_many([picture(2)], "FACTS")))
        with running({"FACTS": Colours()}, address=address):
            assert early.result(WAIT) == words(1)
            assert batch.result(WAIT) == [Answer(0, words(2), None)]


def test_a_batch_goes_on_after_the_service_was_restarted(tmp_path: Path) -> None:
    address = socket_address(tmp_path)
    with VisionClient(address) as client:
        with running({"FACTS": Colours()}, address=address, grace=0.0) as first:
            answers = client.describe_many((picture(i) for i in range(60)), "FACTS")
            found = [next(answers) for _ in range(20)]
            first.stop()
        with running({"FACTS": Colours()}, address=address):
            found += list(answers)
    assert [a.index for a in found] == list(range(60))
    assert [a.description for a in found] == [words(i) for i in range(60)]


def test_several_services_share_the_work_and_a_dead_one_is_left_out() -> None:
    one, two = Colours(), Colours()
    with running({"FACTS": one}) as first, running({"FACTS": two}) as second:
        both = f"{first.address}, 127.0.0.1:1,{second.address}"
        with VisionClient(both, patience=WAIT) as client:
            assert [client.describe(picture(i), "FACTS") for i in range(30)] == [
                words(i) for i in range(30)
            ]
            assert sum(one.batches) > 5
            assert sum(two.batches) > 5
            second.stop()
            for start in (0, 100):
                found = list(client.describe_many(map(picture, range(start, start + 20)), "FACTS"))
                assert [a.description for a in found] == [words(start + i) for i in range(20)]
