"""One part after the other fails while a job is at work; what it finds in the end is the same.

A few of the disturbances come with every run of the tests. `make chaos TIMES=10` runs all of them,
ten times, at other moments each time.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import chaos, disturbances, leaks
from tests.support.rows import Rows, differences
from tests.support.services import arranged, joined

TIMES = int(os.environ.get("CASEFRAME_CHAOS_TIMES", "0"))
NAMES = [*disturbances.DISTURBANCES] if TIMES else [*disturbances.SHORT]


@pytest.fixture(scope="module")
def command_lines() -> Iterator[leaks.CommandLines]:
    with leaks.CommandLines().watched() as seen:
        yield seen


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, cache: Path, command_lines: leaks.CommandLines
) -> Iterator[chaos.Scene]:
    """All parts, started in an order in which nobody finds what it needs at first."""
    sources = chaos.make_sources(tmp_path_factory.mktemp("chaos"))
    with arranged(sources, cache, chaos.SETTINGS, chaos.WORKERS) as made:
        order = [*reversed(made.services), "epmd", "redis", "rabbitmq", "postgresql"]
        for name in order:
            made.start(name)
        for name in made.names:
            made.wait_ready(name)
        with joined(made) as web:
            yield chaos.Scene(made, web)


@pytest.fixture(scope="module")
def undisturbed(scene: chaos.Scene) -> Rows:
    found = scene.run()
    states = {row[4] for row in found["tasks"]}
    assert states <= {"done", "failed"}, states
    assert len(found["tasks"]) == len(found["images"]) * len(chaos.STAGES)
    assert len(found["faces"]) > 5
    assert len(found["places"]) > 5
    return found


@pytest.mark.parametrize("turn", range(max(1, TIMES)))
@pytest.mark.parametrize("name", NAMES)
def test_the_same_is_found_when(
    scene: chaos.Scene, undisturbed: Rows, name: str, turn: int
) -> None:
    scene.dice = random.Random(f"{name} {turn}")
    found = scene.run(disturbances.DISTURBANCES[name])
    assert differences(undisturbed, found) == []


def test_no_secret_was_given_away(
    scene: chaos.Scene, undisturbed: Rows, command_lines: leaks.CommandLines
) -> None:
    """Stands last, so that it sees what all the others left."""
    seen = [(f"a command line: {line[:60]}", line) for line in command_lines.seen]
    texts = [*leaks.spoken(scene.made), *leaks.dead_bodies(scene)]
    assert seen
    assert leaks.given_away(scene.made, texts) == []
    # Only our own secrets: others on this machine may show tokens of theirs.
    ours = leaks.given_away(scene.made, seen)
    assert [one for one in ours if not one.startswith("a token")] == []
