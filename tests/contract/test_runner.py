"""What any runner of stage work must do; here the process pool with real processes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import makers
from tests.support import plugins
from tests.support.cli import environment

from caseframe.domain.evidence import FileState
from caseframe.domain.work import Order, Outcome, TaskState
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.runner import Runner

STAGES = ("exif", "place", "similar")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(30):
        (tmp_path / f"{number:02}.jpg").write_bytes(makers.photo(96, 64, number))
    return tmp_path


def orders(folder: Path, **more: object) -> Iterator[Order]:
    for file in sorted(folder.iterdir()):
        yield Order(
            root=os.fsencode(folder),
            path=os.fsencode(file.name),
            stages=STAGES,
            **more,  # type: ignore[arg-type]
        )


def by_path(outcomes: list[Outcome]) -> dict[bytes, Outcome]:
    return {outcome.order.path: outcome for outcome in outcomes}


def test_every_order_has_one_outcome(runner: Runner, folder: Path) -> None:
    outcomes = list(runner.run(orders(folder)))
    assert len(outcomes) == 30
    assert len(by_path(outcomes)) == 30
    for path, outcome in by_path(outcomes).items():
        data = (folder / os.fsdecode(path)).read_bytes()
        assert outcome.examined is not None
        assert outcome.examined.digests is not None
        assert outcome.examined.digests.sha256 == hashlib.sha256(data).digest()
        assert [(s.stage, s.state) for s in outcome.stages] == [
            (name, TaskState.DONE) for name in STAGES
        ]


def test_no_orders_no_outcomes(runner: Runner) -> None:
    assert list(runner.run([])) == []


def test_orders_are_taken_only_as_there_is_room(runner: Runner, folder: Path) -> None:
    taken = 0

    def many() -> Iterator[Order]:
        nonlocal taken
        while True:
            for order in orders(folder):
                taken += 1
                yield order

    work = runner.run(many())
    for _ in range(20):
        next(work)
    assert taken < 300
    work.close()


def test_closing_early_leaves_the_runner_fit_for_more(runner: Runner, folder: Path) -> None:
    work = runner.run(orders(folder))
    next(work)
    work.close()
    assert len(list(runner.run(orders(folder)))) == 30


def test_known_content_is_hashed_and_left(runner: Runner, folder: Path) -> None:
    known = frozenset(hashlib.sha256(f.read_bytes()).digest() for f in folder.iterdir())
    outcomes = list(runner.run(orders(folder, known=known)))
    assert all(outcome.already_known and not outcome.stages for outcome in outcomes)


def test_known_content_is_examined_anew_without_its_stages(runner: Runner, folder: Path) -> None:
    anew = frozenset(hashlib.sha256(f.read_bytes()).digest() for f in folder.iterdir())
    outcomes = list(runner.run(orders(folder, anew=anew)))
    assert all(outcome.already_known and not outcome.stages for outcome in outcomes)
    assert all(outcome.examined and outcome.examined.thumbnail for outcome in outcomes)


def test_stage_work_on_a_file_that_changed_is_refused(runner: Runner, folder: Path) -> None:
    outcomes = list(runner.run(orders(folder, ingest=False, sha256=b"\0" * 32)))
    assert all(not outcome.stages for outcome in outcomes)
    assert all("changed" in (o.examined.reason or "") for o in outcomes if o.examined)


def test_a_file_that_vanished_is_unreadable(runner: Runner, tmp_path: Path) -> None:
    order = Order(os.fsencode(tmp_path), b"gone.jpg", STAGES, size=40 << 30, modified_ns=7)
    (outcome,) = runner.run([order])
    assert outcome.examined is not None
    assert outcome.examined.state is FileState.UNREADABLE
    assert (outcome.examined.size, outcome.examined.modified_ns) == (40 << 30, 7)
    (outcome,) = runner.run([Order(os.fsencode(tmp_path / "no"), b"gone.jpg", STAGES)])
    assert outcome.examined is not None
    assert "source folder" in (outcome.examined.reason or "")


def test_a_stage_that_needs_no_picture_has_the_file_left_alone(
    runner: Runner, tmp_path: Path
) -> None:
    """From the results it is given it answers even where the file cannot be had any more."""
    gps = {"gps": {"latitude": 45.92, "longitude": 6.87}}
    order = Order(os.fsencode(tmp_path), b"gone.jpg", ("place",), ingest=False,
                  given={"exif": json.dumps(gps)})  # fmt: skip
    (outcome,) = runner.run([order])
    assert outcome.examined is None
    (said,) = outcome.stages
    assert (said.stage, said.state) == ("place", TaskState.DONE)
    assert json.loads(said.payload or "")["place"]["town"].startswith("Chamonix")


HARNESS = """
import os, sys, json
from pathlib import Path
from caseframe.domain.work import Order
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.process import LocalOptions
from caseframe.stages.stage import StageContext

if __name__ == "__main__":
    folder, stages = Path(sys.argv[1]), tuple(sys.argv[2].split(","))
    runner = LocalRunner(LocalOptions(workers=2, picture_seconds=2.0,
                                      context=StageContext(Path(sys.argv[3])),
                                      together=int(sys.argv[4]),
                                      worker_memory=600_000_000))
    orders = [Order(os.fsencode(folder), os.fsencode(f.name), stages)
              for f in sorted(folder.iterdir())]
    for outcome in runner.run(orders):
        print(json.dumps({"path": os.fsdecode(outcome.order.path),
                          "state": outcome.examined.state,
                          "stages": {s.stage: [s.state, s.reason, s.attempts, s.payload]
                                     for s in outcome.stages}}))
    runner.close()
"""


def harness(
    folder: Path, stages: str, cache: Path, packages: Path, together: int = 1
) -> dict[str, dict[str, list]]:  # type: ignore[type-arg]
    """Run a pool with plug-in stages in a process of its own; results by path."""
    script = packages / "harness.py"
    script.write_text(textwrap.dedent(HARNESS))
    done = subprocess.run(
        [sys.executable, str(script), str(folder), stages, str(cache), str(together)],
        capture_output=True,
        text=True,
        env=environment(cache, PYTHONPATH=str(packages)),
        timeout=240,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(list(folder.iterdir()))
    return {line["path"]: line["stages"] for line in lines}


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("segfault", "os.kill(os.getpid(), signal.SIGSEGV)", "signal SIGSEGV"),
        ("leave", "os._exit(7)", "exit status 7"),
        (
            "hang",
            "time.sleep(600)",
            "longer than 2 s",
        ),
    ],
)
def test_a_stage_that_kills_or_hangs_costs_that_picture_alone(
    folder: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory,
    name: str, body: str, words: str,
) -> None:  # fmt: skip
    """R2, R4: tried three times, then failed with its reason; neighbours and stages complete."""
    packages = tmp_path_factory.mktemp("packages")
    plugins.install(packages, name, f"if b'poison' in frame.data:\n    {body}")
    victim = folder / "13.jpg"
    victim.write_bytes(victim.read_bytes() + b"poison")
    found = harness(folder, f"exif,similar,{name}", cache, packages)
    state, reason, attempts, _ = found["13.jpg"].pop(name)
    assert (state, attempts) == ("failed", 3)
    assert words in reason
    assert "3 times" in reason
    others = [s for stages in found.values() for s in stages.values()]
    assert len(others) == 30 * 3 - 1
    assert {state for state, *_ in others} == {"done"}


@pytest.mark.parametrize(
    ("name", "body", "state", "words"),
    [
        ("raises", "raise KeyError('what')", "failed", "KeyError: 'what'"),
        ("greedy", "bytearray(4_000_000_000)", "failed", "more memory"),
        ("picky", "raise NotApplicable('no text')", "done", "not applicable: no text"),
        ("wrong", "return 'not a result'", "failed", "AttributeError"),
    ],
)
def test_what_a_stage_may_answer(
    folder: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory,
    name: str, body: str, state: str, words: str,
) -> None:  # fmt: skip
    packages = tmp_path_factory.mktemp("packages")
    plugins.install(packages, name, body)
    found = harness(folder, name, cache, packages)
    assert {answer[name][0] for answer in found.values()} == {state}
    assert all(words in answer[name][1] for answer in found.values())


def test_two_runners_at_once_do_not_meet(folder: Path, cache: Path, runner: LocalRunner) -> None:
    from caseframe.pipeline.process import LocalOptions  # noqa: PLC0415
    from caseframe.stages.stage import StageContext  # noqa: PLC0415

    other = LocalRunner(LocalOptions(workers=1, context=StageContext(cache)))
    try:
        first, second = runner.run(orders(folder)), other.run(orders(folder))
        pairs = list(zip(first, second, strict=True))
    finally:
        other.close()
    assert len(pairs) == 30


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal SIGSEGV"),
        ("time.sleep(600)", "longer than 2 s"),
    ],
)
def test_a_batch_that_dies_of_one_picture_costs_that_picture_alone(
    folder: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory, body: str, words: str
) -> None:
    packages = tmp_path_factory.mktemp("packages")
    plugins.install_batch(packages, "many", f"if b'poison' in data:\n    {body}")
    victim = folder / "13.jpg"
    victim.write_bytes(victim.read_bytes() + b"poison")
    found = harness(folder, "similar,many", cache, packages, together=4)
    state, reason, attempts, _ = found["13.jpg"].pop("many")
    assert (state, attempts) == ("failed", 3)
    assert words in reason
    others = [s for stages in found.values() for s in stages.values()]
    assert len(others) == 30 * 2 - 1
    assert {state for state, *_ in others} == {"done"}


def test_a_batch_stage_sees_pictures_together_and_each_keeps_its_own_answer(
    folder: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packages = tmp_path_factory.mktemp("packages")
    plugins.install_batch(packages, "many", "pass")
    found = harness(folder, "exif,many", cache, packages, together=5)
    for name, stages in found.items():
        size = (folder / name).stat().st_size
        assert f"{size} bytes" in stages["many"][3]
    together = {stages["many"][3].split(",")[0] for stages in found.values()}
    assert any("one of 5" in words for words in together)


def test_a_stage_that_says_it_needs_no_picture_gets_none(tmp_path: Path, cache: Path) -> None:
    """Also where the picture is at hand: it is to learn of it here, not on another machine."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "one.jpg").write_bytes(makers.photo(96, 64, 1))
    looks = {"data": "frame.data", "header": "frame.info", "pixels": "frame.pixels(64)"}
    for name, body in {**looks, "blind": "assert not earlier"}.items():
        plugins.install(tmp_path / "packages", name, body, needs_picture=False)
    found = harness(folder, ",".join([*looks, "blind"]), cache, tmp_path / "packages")
    stages = found["one.jpg"]
    assert stages["blind"][0] == "done"
    for name in looks:
        assert stages[name][0] == "failed"
        assert "needs_picture = False" in stages[name][1]
