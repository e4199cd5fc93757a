"""What a process that is ended while it starts says, and what it does not."""

from __future__ import annotations

import subprocess
import sys

import pytest


def said(error: str) -> str:
    code = f"import caseframe.scanner.start_quietly\nraise {error}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("error", ["EOFError", "FileNotFoundError(2, 'x')", "BrokenPipeError(32)"])
def test_nothing_where_whoever_asked_for_it_is_gone(error: str) -> None:
    assert said(error) == ""


@pytest.mark.parametrize("error", ["ImportError('no module')", "ValueError('bad')", "MemoryError"])
def test_everything_else_is_shown(error: str) -> None:
    assert error.partition("(")[0] in said(error)
