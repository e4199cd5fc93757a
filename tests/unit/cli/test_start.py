"""What a command loads before it works: the start of a scan is half a second of imports."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def _in_a_process_of_its_own(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def _loaded(code: str, *names: str) -> list[str]:
    """Which of these modules are loaded after the code."""
    end = f"\nimport sys, json; print(json.dumps([n for n in {names!r} if n in sys.modules]))"
    found: list[str] = json.loads(_in_a_process_of_its_own(code + end).stdout)
    return found


def test_the_fork_server_starts_before_anything_else_is_loaded() -> None:
    heavy = ("typer", "pydantic", "sqlalchemy", "structlog", "numpy")
    assert _loaded("import caseframe.cli.main", *heavy) == []


def test_a_scan_loads_only_what_every_scan_needs() -> None:
    code = "from caseframe.cli.main import build; build(['scan'])"
    needless = ("structlog", "rich", "httpx", "numpy", "cv2", "alembic")
    assert _loaded(code, *needless, "sqlalchemy") == ["sqlalchemy"]


def test_workers_load_only_what_most_pictures_need() -> None:
    code = "import caseframe.pipeline.preload"
    assert _loaded(code, "structlog", "pillow_heif", "sqlalchemy", "cv2", "exiv2") == [
        "cv2",
        "exiv2",
    ]


_LOG = """
from caseframe.logs import configure
{before}
configure("warning", as_json=True)
import structlog
structlog.get_logger("x").info("quiet")
structlog.get_logger("x").warning("loud", path="a\\nb")
"""


@pytest.mark.parametrize("before", ["", "import structlog", 'configure("debug", as_json=False)'])
def test_logging_is_set_up_whenever_its_library_is_loaded(before: str) -> None:
    said = _in_a_process_of_its_own(_LOG.format(before=before))
    assert said.stdout == ""
    (line,) = said.stderr.splitlines()
    record = json.loads(line)
    assert (record["event"], record["path"], record["level"]) == ("loud", "a\\nb", "warning")
