"""Walking: every name once, as its bytes; special files and folders without permission said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests import makers

from caseframe.domain.errors import SourceError
from caseframe.scanner.walk import walk


def test_odd_names_come_back_exactly(tmp_path: Path) -> None:
    written = makers.write_odd_names(tmp_path, b"data")
    assert {entry.path for entry in walk(os.fsencode(tmp_path))} == set(written)


def test_depth_has_no_limit(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(600):
        os.mkdir(b"deeper-and-deeper", dir_fd=at)
        below = os.open(b"deeper-and-deeper", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open(b"x.bin", os.O_WRONLY | os.O_CREAT, dir_fd=at))
    (found,) = walk(os.fsencode(tmp_path))
    assert found.path.count(b"/") == 600
    assert found.skipped is None


def test_links_and_special_files_are_said_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "to-file").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    found = {entry.path: entry for entry in walk(os.fsencode(tmp_path))}
    assert set(found) == {b"loop", b"to-file", b"pipe"}
    assert "not followed" in (found[b"loop"].skipped or "")
    assert found[b"to-file"].mime == "inode/symlink"
    assert "named pipe" in (found[b"pipe"].skipped or "")


@pytest.mark.parametrize(
    ("name", "words"), [("missing", "no folder"), ("file", "is a file, not a folder")]
)
def test_a_source_that_is_no_folder_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(SourceError, match=words):
        list(walk(os.fsencode(tmp_path / name)))


def test_a_folder_without_permission_is_an_entry_with_its_reason(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "hidden.jpg").write_bytes(b"x")
    (tmp_path / "open.jpg").write_bytes(b"x")
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(0o755)
    closed.chmod(0)
    code = (
        "import os, sys\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "from caseframe.scanner.walk import walk\n"
        "for e in walk(os.fsencode(sys.argv[1])): print(e.path, e.unreadable, e.skipped)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import caseframe.scanner.walk\n" + code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    closed.chmod(0o755)
    lines = sorted(done.stdout.splitlines())
    assert lines[0].startswith("b'closed' True folder cannot be read: Permission denied")
    assert lines[1] == "b'open.jpg' False None"
