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
    needless = (
        "structlog", "rich", "httpx", "numpy", "cv2", "alembic", "sqlalchemy.dialects.postgresql",
        "caseframe.domain.people", "caseframe.pipeline.verify", "caseframe.vision.store",
    )  # fmt: skip
    assert _loaded(code, *needless, "sqlalchemy") == ["sqlalchemy"]


def test_workers_load_only_what_most_pictures_need() -> None:
    code = "import caseframe.pipeline.preload"
    assert _loaded(code, "structlog", "pillow_heif", "sqlalchemy", "cv2", "exiv2") == [
        "cv2",
        "exiv2",
    ]


_COPIED = """
import json, os, signal, sys
from caseframe.pipeline import forkserver
signal.signal(signal.SIGTERM, print)
ours = open(json.__file__)
print("once", end=" ")
{before}
forkserver.start_early()
with forkserver.start().Pool(1) as pool:
    found = pool.apply(os.getppid), pool.apply(signal.getsignal, (signal.SIGTERM,))
    of_it = f"/proc/{{found[0]}}"
    files = [os.path.realpath(f"{{of_it}}/fd/{{name}}") for name in os.listdir(f"{{of_it}}/fd")]
    copied = open(f"{{of_it}}/cmdline").read() == open("/proc/self/cmdline").read()
default = found[1] is signal.SIG_DFL
print(json.dumps([default, os.path.realpath(ours.name) in files, copied]))
"""
_THREAD = "import threading; threading.Thread(target=signal.pause, daemon=True).start()"


@pytest.mark.skipif(sys.platform != "linux", reason="a copy is made on Linux only")
@pytest.mark.parametrize(("before", "copied"), [("", True), (_THREAD, False)])
def test_a_fork_server_is_a_copy_that_keeps_no_handler_and_no_file(
    before: str, copied: bool
) -> None:
    said = _in_a_process_of_its_own(_COPIED.format(before=before)).stdout
    assert said.startswith("once [")
    assert json.loads(said.removeprefix("once ")) == [True, False, copied]


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
