"""Opening evidence: nothing outside the source, nothing changed, every path reached (S1, R15)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caseframe.domain.errors import ReadError
from caseframe.scanner.reading import Standing, open_root, opened, read_all, standing_beneath


@pytest.fixture
def root(tmp_path: Path) -> int:
    source = tmp_path / "source"
    (source / "in").mkdir(parents=True)
    (source / "in" / "a.txt").write_bytes(b"inside")
    (tmp_path / "secret.txt").write_bytes(b"outside")
    (source / "link.txt").symlink_to(tmp_path / "secret.txt")
    (source / "linked").symlink_to(tmp_path)
    os.mkfifo(source / "pipe")
    return open_root(os.fsencode(source))


def test_a_file_inside_is_read(root: int) -> None:
    with opened(root, b"in/a.txt") as (descriptor, status):
        assert read_all(descriptor, status.st_size) == b"inside"


@pytest.mark.parametrize(
    "path",
    [
        b"../secret.txt",
        b"in/../../secret.txt",
        b"/etc/passwd",
        b"link.txt",
        b"linked/secret.txt",
        b"in/a.txt\0.jpg",
        b"",
        b".",
        b"in//a.txt",
        b"in/",
        b"in",
        b"pipe",
        b"missing",
    ],
)
def test_nothing_else_is(root: int, path: bytes) -> None:
    with pytest.raises(ReadError), opened(root, path):
        pass


@pytest.mark.parametrize(
    ("path", "standing"),
    [
        (b"link.txt", Standing.NAME),
        (b"linked", Standing.NAME),
        (b"pipe", Standing.NAME),
        (b"in/a.txt", Standing.NAME),
        (b"in", Standing.FOLDER),
        (b".", Standing.FOLDER),
        (b"in/b.txt", Standing.NOTHING),
        (b"in/a.txt/b.txt", Standing.NOTHING),
        (b"linked/secret.txt", Standing.NOTHING),
        (b"nowhere/b.txt", Standing.NOTHING),
    ],
)
def test_what_stands_at_a_path(root: int, path: bytes, standing: Standing) -> None:
    assert standing_beneath(root, path) is standing


def test_access_times_stay_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"x" * 10)
    os.utime(file, ns=(1_000_000_000, 2_000_000_000))
    before = file.stat()
    with opened(open_root(os.fsencode(tmp_path)), b"a.jpg") as (descriptor, status):
        read_all(descriptor, status.st_size)
    after = file.stat()
    assert (after.st_atime_ns, after.st_mtime_ns) == (before.st_atime_ns, before.st_mtime_ns)


def test_paths_longer_than_the_system_takes_in_one_call(tmp_path: Path) -> None:
    name = b"d" * 200
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(40):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    descriptor = os.open(b"deep.bin", os.O_WRONLY | os.O_CREAT, dir_fd=at)
    os.write(descriptor, b"deep")
    os.close(descriptor)
    path = b"/".join([name] * 40 + [b"deep.bin"])
    assert len(path) > 8000
    with opened(open_root(os.fsencode(tmp_path)), path) as (descriptor, status):
        assert read_all(descriptor, status.st_size) == b"deep"
