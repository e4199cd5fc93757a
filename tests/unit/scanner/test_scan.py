"""Examining one file: its state, its reason, what was kept of it (R16, R17, S17)."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import makers

from caseframe.domain.evidence import Examined, FileState, held_time
from caseframe.scanner import reading
from caseframe.scanner.limits import Limits
from caseframe.scanner.reading import open_root
from caseframe.scanner.scan import scan_file


def examined(folder: Path, data: bytes, name: str = "x", limits: Limits | None = None) -> Examined:
    (folder / name).write_bytes(data)
    root = open_root(os.fsencode(folder))
    return scan_file(root, os.fsencode(name), limits or Limits()).examined


@pytest.mark.parametrize("kind", makers.FORMATS)
def test_a_sound_picture_of_every_format(tmp_path: Path, kind: str) -> None:
    data = makers.photo(300, 200, 1, format=kind)
    found = examined(tmp_path, data)
    assert (found.state, found.reason) == (FileState.PICTURE, None)
    assert found.picture is not None
    assert (found.picture.width, found.picture.height) == (300, 200)
    assert found.thumbnail is not None
    assert (found.thumbnail.width, found.thumbnail.height) == (256, 171)
    assert found.digests is not None
    assert found.digests.sha256 == hashlib.sha256(data).digest()
    assert found.digests.sha1 == hashlib.sha1(data).digest()
    assert found.digests.md5 == hashlib.md5(data).digest()


_CORRUPT = makers.corrupt_pictures()
_NO_PICTURE_LEFT = {"blanked.jpg", "empty.jpg", "one-byte.png"}


@pytest.mark.parametrize("name", sorted(_CORRUPT))
def test_a_damaged_picture_is_never_taken_for_good(tmp_path: Path, name: str) -> None:
    found = examined(tmp_path, _CORRUPT[name], name)
    expected = FileState.NOT_A_PICTURE if name in _NO_PICTURE_LEFT else FileState.CORRUPT
    assert found.state is expected
    assert found.reason
    assert found.digests is not None
    assert found.digests.md5 == hashlib.md5(_CORRUPT[name]).digest()


def test_a_jpeg_cut_at_99_percent_keeps_its_pixels(tmp_path: Path) -> None:
    found = examined(tmp_path, makers.cut(makers.photo(320, 240, 1), 99))
    assert found.state is FileState.CORRUPT
    assert found.thumbnail is not None
    assert found.picture is not None
    assert found.picture.width == 320


_BOUNDED = {
    "chunk-flood.png", "deflate-12000.tif", "frames-20000.gif", "grey-12000.png",
    "promises-less.png",
}  # fmt: skip
_BROKEN = {
    "canvas-16m.webp", "claims-65535.avif", "claims-65535.heic", "pages-in-pages.tif",
    "pages-share-strips.tif", "pages-shift-strips.tif", "strips-2g.tif",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(makers.bombs()))
def test_bombs_are_over_the_limit_or_bounded(tmp_path: Path, name: str) -> None:
    """S17: less than 1 GiB, and less than 5 s with loading the program."""
    (tmp_path / name).write_bytes(makers.bombs()[name])
    code = (
        "import os, re, resource, sys\n"
        # Set here and not by preexec_fn, which forks a process of many threads (gRPC aborts it).
        "resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
        "from caseframe.scanner.scan import scan_file\n"
        "from caseframe.scanner.limits import Limits\n"
        "from caseframe.scanner.reading import open_root\n"
        "root = open_root(os.fsencode(sys.argv[1]))\n"
        "found = scan_file(root, os.fsencode(sys.argv[2]), Limits()).examined\n"
        # Not ru_maxrss: it starts with the peak of the process that started this one.
        "status = open('/proc/self/status').read()\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+) kB', status).group(1)\n"
        # Processor time, not the clock: it is the same however much else is going on.
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(found.state, peak, used.ru_utime + used.ru_stime)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), name],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    state, peak, seconds = done.stdout.split()
    assert int(peak) < 1_000_000  # kilobytes
    assert float(seconds) < 5
    if name in _BOUNDED:
        assert state == "picture"
    else:
        assert state == ("corrupt" if name in _BROKEN else "over-limit")


@pytest.mark.parametrize("given_up", ["header", "decode"])
def test_what_a_worker_died_of_is_no_damage(tmp_path: Path, given_up: str) -> None:
    """R2: neither a time limit nor a worker's end says anything of the content."""
    (tmp_path / "a.jpg").write_bytes(makers.photo(64, 48, 1))

    def step(name: str) -> str | None:
        return "it took longer than 60 s" if name == given_up else None

    found = scan_file(open_root(os.fsencode(tmp_path)), b"a.jpg", Limits(), step=step).examined
    assert (found.state, found.reason) == (FileState.OVER_LIMIT, "it took longer than 60 s")
    assert (found.picture is None) == (given_up == "header")


def test_an_empty_file_and_a_text(tmp_path: Path) -> None:
    assert examined(tmp_path, b"").reason == "empty file"
    found = examined(tmp_path, b"just text", "picture.jpg")
    assert found.state is FileState.NOT_A_PICTURE
    assert found.mime == "text/plain"
    assert found.notes == ("the extension .jpg is wrong: the content is text/plain",)
    assert found.digests is not None


def test_a_picture_without_extension_and_one_with_a_wrong_one(tmp_path: Path) -> None:
    data = makers.photo(64, 48, 1, format="PNG")
    assert examined(tmp_path, data, "no extension").notes == ()
    (note,) = examined(tmp_path, data, "wrong.jpg").notes
    assert "content is PNG" in note


def test_limits_on_file_size(tmp_path: Path) -> None:
    data = makers.photo(320, 240, 1)
    small = examined(tmp_path, data, limits=Limits(min_file_bytes=len(data) + 1))
    large = examined(tmp_path, data, limits=Limits(max_file_bytes=len(data) - 1))
    for found, setting in ((small, "min_file_bytes"), (large, "max_file_bytes")):
        assert found.state is FileState.OVER_LIMIT
        assert setting in (found.reason or "")
        assert found.digests is not None
        assert found.digests.sha256 == hashlib.sha256(data).digest()


def test_large_files_that_are_no_pictures_are_left_alone(tmp_path: Path) -> None:
    movie = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(5000)
    found = examined(tmp_path, movie, limits=Limits(other_hash_bytes=1000))
    assert found.state is FileState.NOT_A_PICTURE
    assert found.digests is None
    assert "not hashed" in (found.reason or "")
    assert examined(tmp_path, movie).digests is not None


@pytest.mark.parametrize("nanoseconds", [2**63, 2**80, -(2**63) - 1, -(2**80)])
def test_times_beyond_64_bits_are_held_at_their_end_with_a_note(nanoseconds: int) -> None:
    held, note = held_time(nanoseconds)
    assert held == (2**63 - 1 if nanoseconds > 0 else -(2**63))
    assert note is not None
    assert f" {nanoseconds // 10**9} s " in note


@pytest.mark.parametrize("nanoseconds", [2**63 - 1, 0, -1, -(2**63)])
def test_all_other_times_are_held_as_they_are(nanoseconds: int) -> None:
    assert held_time(nanoseconds) == (nanoseconds, None)


def test_known_content_is_only_hashed(tmp_path: Path) -> None:
    data = makers.photo(64, 48, 1)
    (tmp_path / "a").write_bytes(data)
    known = frozenset({hashlib.sha256(data).digest()})
    found = scan_file(open_root(os.fsencode(tmp_path)), b"a", Limits(), known=known)
    assert found.picture is None
    assert found.examined.digests is not None
    assert found.examined.digests.sha256 in known


def test_pictures_followed_by_pages_or_archives_are_pictures(tmp_path: Path) -> None:
    for make in (makers.page_and_jpeg, makers.archive_and_jpeg):
        assert examined(tmp_path, make()).picture is not None


def _scan(folder: Path, limits: Limits, told: list[str]) -> Examined:
    def step(name: str) -> str | None:
        told.append(name)
        return None

    return scan_file(open_root(os.fsencode(folder)), b"a", limits, step=step).examined


@pytest.mark.parametrize("most", [1_000_000, 100_000_000])
def test_each_piece_of_a_large_file_is_told(tmp_path: Path, most: int) -> None:
    """Progress is no hang: whoever watches the time counts it from the last piece."""
    data = makers.photo(64, 48, 1) + bytes(20 << 20)
    (tmp_path / "a").write_bytes(data)
    told: list[str] = []
    found = _scan(tmp_path, Limits(max_file_bytes=most), told)
    assert found.digests is not None
    assert found.digests.sha256 == hashlib.sha256(data).digest()
    assert told.count("open") == (3 if most > len(data) else 21)


class _Disturbed:
    """`os.read` by which something else happens to the file after its first piece."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens: Callable[[], object] | None = happens

    def __call__(self, descriptor: int, most: int) -> bytes:
        piece = os.read(descriptor, most)
        if self._happens is not None:
            self._happens()
            self._happens = None
        return piece


@pytest.mark.parametrize("data", [makers.photo(320, 240, 1), b"text" * 4096])
@pytest.mark.parametrize("how", ["shrinks", "rewritten"])
def test_a_file_that_changes_meanwhile(
    tmp_path: Path, data: bytes, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when whoever rewrote it has put its modification time back."""
    file = tmp_path / "a"
    file.write_bytes(data)
    os.utime(file, ns=(1, 1))

    def change() -> None:
        file.write_bytes(data[:1000] if how == "shrinks" else data[::-1])
        os.utime(file, ns=(1, 1))

    monkeypatch.setattr(reading, "os", _System(read=_Disturbed(change)))
    found = _scan(tmp_path, Limits(), [])
    assert found.state is FileState.UNREADABLE
    assert "changed while" in (found.reason or "")


class _System:
    """The module `os` with other calls."""

    def __init__(self, **calls: object) -> None:
        vars(self).update(calls)

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


def test_a_file_that_holds_less_than_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of sysfs do: 4096 bytes by its size, a line when it is read."""
    (tmp_path / "a").write_bytes(b"x" * 4096)

    pieces = iter([b"line"])
    monkeypatch.setattr(reading, "os", _System(read=lambda _at, _most: next(pieces, b"")))
    found = _scan(tmp_path, Limits(), [])
    assert found.state is FileState.UNREADABLE
    assert found.reason == "is said to hold 4096 bytes, and 4 came when it was read"


def test_a_disk_that_fails_at_the_first_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(bytes(5000))

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(reading, "os", _System(pread=broken))
    found = _scan(tmp_path, Limits(other_hash_bytes=1000), [])
    assert (found.state, found.reason) == (
        FileState.UNREADABLE, "cannot be read: Input/output error",
    )  # fmt: skip
