"""One thread for one model: batches as large as what waits, and nothing for those who left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from tests.support.vision import BREAKER, WAIT, Colours, eventually

from caseframe.domain.errors import ModelUnavailable, VisionAway, VisionFailed
from caseframe.vision.batching import Batcher, linger


@pytest.fixture
def gated() -> Iterator[tuple[Colours, Batcher, threading.Event]]:
    gate = threading.Event()
    model = Colours(gate=gate)
    batcher = Batcher(model)
    yield model, batcher, gate
    gate.set()
    assert batcher.close(WAIT)


def held(model: Colours, batcher: Batcher) -> Future[str]:
    """A picture that is at the model, which waits for its gate."""
    first = batcher.submit((0, 0, 0))
    assert model.begun.wait(WAIT)
    return first


def test_what_waits_is_taken_together(gated: tuple[Colours, Batcher, threading.Event]) -> None:
    model, batcher, gate = gated
    first = held(model, batcher)
    futures = [batcher.submit((i, i, i)) for i in range(10)]
    gate.set()
    assert first.result(WAIT) == "FACTS sees 0 0 0"
    assert [f.result(WAIT) for f in futures] == [f"FACTS sees {i} {i} {i}" for i in range(10)]
    assert model.batches == [1, 4, 4, 2]
    assert model.loads == 1


def test_cancelled_work_never_reaches_the_model(
    gated: tuple[Colours, Batcher, threading.Event],
) -> None:
    model, batcher, gate = gated
    first = held(model, batcher)
    futures = [batcher.submit((i, i, i)) for i in range(6)]
    assert all(f.cancel() for f in futures[:5])
    gate.set()
    assert futures[5].result(WAIT) == "FACTS sees 5 5 5"
    assert first.done()
    assert sum(model.batches) == 2


def test_a_picture_that_breaks_the_model_takes_no_neighbour_along(
    gated: tuple[Colours, Batcher, threading.Event],
) -> None:
    model, batcher, gate = gated
    held(model, batcher)
    futures = [batcher.submit(colour) for colour in ((1, 1, 1), BREAKER, (2, 2, 2))]
    gate.set()
    assert futures[0].result(WAIT) == "FACTS sees 1 1 1"
    with pytest.raises(VisionFailed, match="ValueError: this colour breaks the model"):
        futures[1].result(WAIT)
    assert futures[2].result(WAIT) == "FACTS sees 2 2 2"


def test_it_waits_a_moment_for_a_picture_that_is_on_its_way() -> None:
    model = Colours(batch=2)
    batcher = Batcher(model)
    batcher.coming = 1
    first = batcher.submit((1, 1, 1))
    assert first.result(WAIT) == "FACTS sees 1 1 1"  # however long the other one takes
    assert batcher.close(WAIT)


def test_a_model_that_cannot_load_says_why_and_is_tried_again() -> None:
    model = Colours(no_load="weights are damaged; run: caseframe models pull BLIP")
    batcher = Batcher(model)
    with pytest.raises(ModelUnavailable, match="caseframe models pull"):
        batcher.load().result(WAIT)
    with pytest.raises(ModelUnavailable, match="caseframe models pull"):
        batcher.submit((1, 1, 1)).result(WAIT)
    assert batcher.reason is not None
    assert "damaged" in batcher.reason
    model.no_load = None
    assert batcher.submit((1, 1, 1)).result(WAIT) == "FACTS sees 1 1 1"
    assert batcher.loaded
    assert [batcher.reason] == [None]
    assert batcher.close(WAIT)


def test_waiting_for_company_is_a_small_part_of_the_work() -> None:
    for took in (0.0, 0.01, 0.5, 2.0, 60.0):
        assert linger(took) <= max(0.005, took / 20)
        assert 0.005 <= linger(took) <= 0.1


class Breaks(Colours):
    def load(self) -> None:
        raise OSError("no such device")

    def describe(self, prepared: object) -> list[str]:
        return []


def test_any_error_of_loading_makes_it_unavailable() -> None:
    batcher = Batcher(Breaks())
    with pytest.raises(ModelUnavailable, match="cannot be loaded: OSError: no such device"):
        batcher.load().result(WAIT)
    assert batcher.close(WAIT)


class Silent(Colours):
    def describe(self, prepared: object) -> list[str]:
        return []


def test_a_model_that_gives_too_few_answers_is_an_error_not_a_shift() -> None:
    batcher = Batcher(Silent())
    with pytest.raises(VisionFailed, match="0 answers for 1 pictures"):
        batcher.submit((1, 1, 1)).result(WAIT)
    assert batcher.close(WAIT)


def test_after_the_end_nothing_is_taken() -> None:
    batcher = Batcher(Colours())
    assert batcher.close(WAIT)
    assert batcher.close(WAIT)
    with pytest.raises(VisionAway, match="stopping"):
        batcher.submit((1, 1, 1)).result(WAIT)
    with pytest.raises(VisionAway, match="stopping"):
        batcher.load().result(WAIT)


def test_a_model_that_does_not_end_is_left() -> None:
    gate = threading.Event()
    model = Colours(gate=gate)
    batcher = Batcher(model)
    held(model, batcher)
    assert not batcher.close(0.01)
    gate.set()
    assert eventually(lambda: batcher.close(0.1))
