"""Ctrl-C while a command is still loading: what was not begun needs no words about where it ended.

A terminal sends it to every process of the command at once. The moments are those at which modules
were imported, here and in the fork server, which Python itself tells.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.cli import environment, run
from tests.support.scans import some_pictures

# What the processes of a command say may stand in one line, for all of them write there at once.
_STOPPED = "caseframe: stopped"


@pytest.fixture(scope="module")
def folder(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with pictures and a case over them."""
    made = tmp_path_factory.mktemp("interrupts")
    some_pictures(made / "pictures")
    assert run("scan", "pictures", cache=cache, cwd=made).status == 0
    return made


def _interrupted(words: list[str], module: str, folder: Path, cache: Path) -> tuple[int, str]:
    """Status and words of a command whose group got SIGINT when `module` had been imported."""
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "caseframe", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env=environment(cache), cwd=folder, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        seen = False
        for line in process.stdout:
            seen = line.endswith(f" {module}\n")
            if seen or line.startswith("Caseframe is at"):
                break
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=120)
    assert seen, f"{module} is not imported any more; name another moment"
    return process.returncode, rest


SCAN = ["scan", "pictures"]
VERIFY = ["verify"]
SERVE = ["serve", "--port", "0"]


@pytest.mark.parametrize(
    ("words", "module"),
    [
        *((SCAN, name) for name in (
            "signal", "multiprocessing", "caseframe.pipeline.forkserver", "typer", "pydantic",
            "numpy", "cv2", "caseframe.pipeline.preload", "sqlalchemy", "caseframe.cli.summary",
            "caseframe.pipeline.jobs",
        )),
        *((VERIFY, name) for name in ("typer", "cv2", "caseframe.pipeline.jobs")),
        *((SERVE, name) for name in ("uvicorn", "cv2", "starlette", "caseframe.web.app")),
        (["status"], "sqlalchemy"),
    ],
)  # fmt: skip
def test_ctrl_c_while_loading_prints_no_traceback(
    folder: Path, cache: Path, words: list[str], module: str
) -> None:
    status, said = _interrupted(words, module, folder, cache)
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    # What was almost done may be done all the same.
    assert _STOPPED in said or status in {0, -signal.SIGINT}, said


@pytest.mark.parametrize(
    ("words", "goes_on"), [(SCAN, True), (SERVE, False), (["describe", "pictures"], False)]
)
def test_only_what_goes_on_says_that_it_goes_on(
    folder: Path, cache: Path, words: list[str], goes_on: bool
) -> None:
    status, said = _interrupted(words, "pydantic", folder, cache)
    assert _STOPPED in said or status in {0, -signal.SIGINT}, said
    assert ("the same command goes on" in said) == (goes_on and _STOPPED in said)


def test_a_child_of_ours_leaves_the_words_to_its_parent(folder: Path, cache: Path) -> None:
    words = ["serve-vision", "--with-parent", "--address", "unix:socket"]
    _, said = _interrupted(words, "typer", folder, cache)
    assert "stopped" not in said
    assert "Traceback" not in said
