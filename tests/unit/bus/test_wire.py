"""What comes in over queues is either whole, and fit for every database, or a BadMessage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caseframe.bus import wire

GOOD: dict[str, Any] = {
    "from": "Faces", "to": "JobManager", "jobId": "job-1", "filepath": "/trip/a.jpg",
    "md5": "0" * 32, "errors": [], "stage": "faces", "stageVersion": "1",
    "outcome": {"state": "done", "found": True, "model": "m", "modelDigest": "d"},
}  # fmt: skip
LONE = "\ud800"


def answer(**keys: Any) -> bytes:
    return json.dumps({**GOOD, **keys}).encode()


def outcome(**keys: Any) -> bytes:
    return answer(outcome={**GOOD["outcome"], **keys})


@pytest.mark.parametrize("text", [LONE, "a\x00b"])
@pytest.mark.parametrize("name", ["from", "jobId", "filepath", "stage", "stageVersion"])
def test_names_that_no_database_takes_are_refused(name: str, text: str) -> None:
    with pytest.raises(wire.BadMessage, match=rf"{name} of the message is no valid text"):
        wire.read_result(answer(**{name: text}))


@pytest.mark.parametrize("text", [LONE, "a\x00b"])
@pytest.mark.parametrize("name", ["state", "model", "modelDigest"])
def test_so_are_those_of_the_outcome(name: str, text: str) -> None:
    with pytest.raises(wire.BadMessage, match=rf"{name} of the message is no valid text"):
        wire.read_result(outcome(**{name: text}))


def test_a_reason_is_put_right_and_its_answer_counts() -> None:
    verdict = wire.read_result(outcome(reason=f"bad {LONE}\x00")).verdict
    assert verdict is not None
    assert verdict.reason == "bad \ufffd\ufffd"
    with pytest.raises(wire.BadMessage, match="wrong kind"):
        wire.read_result(outcome(reason=7))


@pytest.mark.parametrize("number", [-1, 2**31, 10**400], ids=["-1", "2**31", "10**400"])
def test_numbers_that_no_column_holds_are_refused(number: int) -> None:
    for body in (answer(attempt=number), outcome(attempts=number), outcome(seconds=number)):
        with pytest.raises(wire.BadMessage, match="out of range"):
            wire.read_result(body)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e300])
def test_a_time_is_finite(seconds: float) -> None:
    with pytest.raises(wire.BadMessage, match="out of range"):
        wire.read_result(outcome(seconds=seconds))


def test_what_is_sound_passes() -> None:
    found = wire.read_result(outcome(attempts=3, seconds=0.5))
    assert found.verdict == wire.Verdict("done", True, None, "m", "d", 0.5, 3)
