"""The vision process of our own: private, restarted when it dies, gone when we are."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from PIL import Image
from tests import makers
from tests.support.cli import environment
from tests.support.vision import WAIT, eventually

from caseframe.domain.errors import VisionAway
from caseframe.vision.client import VisionClient
from caseframe.vision.embedded import EmbeddedVision

PICTURE = makers.encoded(Image.new("RGB", (64, 48), (250, 10, 10)), "PNG")


@pytest.fixture
def settings(cache: Path, tmp_path: Path) -> dict[str, str]:
    """Settings of a child that has no captioning model."""
    return {
        "CASEFRAME_CACHE_DIR": str(cache),
        "CASEFRAME_WORKERS": "1",
        "CASEFRAME_MODELS_DIR": str(tmp_path / "models"),
    }


@pytest.fixture
def embedded(settings: dict[str, str]) -> Iterator[EmbeddedVision]:
    with EmbeddedVision(settings) as made:
        yield made


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def family(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def test_nothing_runs_before_the_start(embedded: EmbeddedVision) -> None:
    assert embedded.address.startswith("unix:/")
    assert embedded.pid is None


def test_it_describes_and_leaves_nothing_behind(settings: dict[str, str]) -> None:
    with EmbeddedVision(settings) as embedded:
        embedded.start()
        embedded.start()  # a second one changes nothing
        folder = Path(embedded.address.removeprefix("unix:")).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with VisionClient(embedded.address) as client:
            assert client.describe(PICTURE, "FACTS").endswith(".")
        assert embedded.pid is not None
        processes = family(embedded.pid)
    assert all(eventually(partial(gone, pid)) for pid in processes)
    assert not folder.exists()
    embedded.start()  # a closed one stays closed
    assert embedded.pid is None


def test_no_secret_and_no_setting_stands_on_its_command_line(settings: dict[str, str]) -> None:
    secret = {**settings, "CASEFRAME_VISION_TLS_KEY": "/secret/key.pem"}
    with EmbeddedVision(secret) as embedded:
        embedded.start()
        assert embedded.pid is not None
        words = psutil.Process(embedded.pid).cmdline()
    assert [word for word in words if "secret" in word or "CASEFRAME" in word] == []


def test_settings_of_our_own_environment_do_not_reach_it(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASEFRAME_VISION_IMAGE_BYTES", "10")
    monkeypatch.setenv("CASEFRAME_CONFIG", "/nonexistent.toml")
    with EmbeddedVision(settings) as embedded:
        embedded.start()
        with VisionClient(embedded.address) as client:
            assert client.describe(PICTURE, "FACTS")


def test_a_killed_child_is_started_again_and_a_batch_goes_on(embedded: EmbeddedVision) -> None:
    embedded.start()
    with VisionClient(embedded.address) as client:
        answers = client.describe_many((PICTURE for _ in range(40)), "FACTS")
        first = next(answers)
        pid = embedded.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        rest = list(answers)
    assert [answer.index for answer in rest] == list(range(1, 40))
    assert {answer.description for answer in rest} == {first.description}
    assert embedded.pid not in {pid, None}


def test_a_child_that_dies_every_time_is_given_up(settings: dict[str, str]) -> None:
    dies = (sys.executable, "-c", "raise SystemExit(7)")
    with EmbeddedVision(settings, command=dies) as embedded:
        embedded.start()
        assert eventually(partial(_refuses, embedded))
        with pytest.raises(VisionAway, match=r"ended 5 times .*status 7.*serve-vision"):
            embedded.start()


def _refuses(embedded: EmbeddedVision) -> bool:
    try:
        embedded.start()
    except VisionAway:
        return True
    return False


def test_a_program_that_is_not_there_is_said_at_once(settings: dict[str, str]) -> None:
    with (
        EmbeddedVision(settings, command=("/nonexistent/caseframe",)) as embedded,
        pytest.raises(VisionAway, match="cannot be started: No such file"),
    ):
        embedded.start()


PARENT = """
import sys, time
from caseframe.vision.client import VisionClient
from caseframe.vision.embedded import EmbeddedVision
if __name__ == "__main__":
    settings = dict(word.split("=", 1) for word in sys.argv[1:])
    embedded = EmbeddedVision(settings)
    embedded.start()
    with VisionClient(embedded.address) as client:
        client.models()
    print(embedded.pid, embedded.address, flush=True)
    time.sleep(600)
"""


def test_it_ends_when_its_parent_is_killed(settings: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    words = [f"{name}={value}" for name, value in settings.items()]
    parent = subprocess.Popen(
        [sys.executable, script, *words],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    with parent:
        assert parent.stdout is not None
        pid, address = parent.stdout.readline().split()
        processes = family(int(pid))
        parent.kill()
    assert all(eventually(partial(gone, one), WAIT) for one in processes)
    assert not Path(address.removeprefix("unix:")).parent.exists()
