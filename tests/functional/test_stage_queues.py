"""Stages over RabbitMQ: a runner on one side, workers on the other, a real broker between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import makers
from tests.support import queues
from tests.support.queues import FolderPictures

from caseframe.domain.errors import Stopped
from caseframe.domain.work import Order, Outcome, TaskState

STAGES = ("exif", "place", "similar")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "sources" / "trip"
    root.mkdir(parents=True)
    for number in range(12):
        (root / f"{number:02}.jpg").write_bytes(makers.photo(96, 64, number))
    return root


def orders(folder: Path, stages: tuple[str, ...] = STAGES) -> Iterator[Order]:
    for number, file in enumerate(sorted(folder.iterdir()), 1):
        yield queues.order(folder, file, stages, number)


def states(outcome: Outcome) -> dict[str, TaskState]:
    return {stage.stage: stage.state for stage in outcome.stages}


def test_every_order_has_one_outcome_with_all_its_stages(
    rabbitmq_server: str, folder: Path, cache: Path
) -> None:
    pictures = FolderPictures(folder.parent)
    with (
        queues.worker(rabbitmq_server, STAGES, pictures, cache),
        queues.runner(rabbitmq_server, folder.parent, queues.stages_of(STAGES),
                      correlation_id="case-7") as runner,
    ):  # fmt: skip
        outcomes = list(runner.run(orders(folder)))
        runner.settled(outcomes)
    assert sorted(outcome.order.path for outcome in outcomes) == sorted(
        file.name.encode() for file in folder.iterdir()
    )
    for outcome in outcomes:
        assert states(outcome) == dict.fromkeys(STAGES, TaskState.DONE)
        similar = next(stage for stage in outcome.stages if stage.stage == "similar")
        assert similar.facts is not None
        assert similar.facts.perceptual_hash is not None
    assert {(token, correlation) for _, token, correlation in pictures.asked} == {
        ("token of job-1", "case-7")
    }


def test_what_has_no_worker_waits_and_says_so(
    rabbitmq_server: str, folder: Path, cache: Path
) -> None:
    notes: list[str] = []
    said = threading.Event()

    def note(text: str) -> None:
        notes.append(text)
        if "no worker" in text:
            said.set()

    with (
        queues.runner(
            rabbitmq_server,
            folder.parent,
            queues.stages_of(["similar"]),
            note=note,
            stop=said.is_set,
        ) as runner,
        pytest.raises(Stopped),
    ):
        list(runner.run(orders(folder, ("similar",))))
    assert any("similar" in text and "no worker" in text for text in notes)


def test_a_file_that_is_gone_fails_with_the_reason(
    rabbitmq_server: str, folder: Path, cache: Path
) -> None:
    given = list(orders(folder, ("similar",)))
    (folder / "03.jpg").unlink()
    (folder / "04.jpg").write_bytes(makers.photo(96, 64, 999))
    with (
        queues.worker(rabbitmq_server, ["similar"], FolderPictures(folder.parent), cache),
        queues.runner(rabbitmq_server, folder.parent, queues.stages_of(["similar"])) as runner,
    ):
        found = {outcome.order.path: outcome.stages[0] for outcome in runner.run(given)}
    assert found[b"03.jpg"].state is TaskState.FAILED
    assert "no such file" in (found[b"03.jpg"].reason or "")
    assert found[b"04.jpg"].state is TaskState.FAILED
    assert "changed" in (found[b"04.jpg"].reason or "")
    assert sum(stage.state is TaskState.DONE for stage in found.values()) == 10
