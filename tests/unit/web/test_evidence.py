"""Evidence on its way out: only what was scanned, under a name that can do no harm."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from tests.makers import UPLOAD_NAMES, odd_names

from caseframe.catalog.showing import Content
from caseframe.domain.errors import ReadError
from caseframe.web.evidence import disposition, media_type, original

DATA = b"a picture" * 300_000  # more than one piece


def content(*paths: bytes, data: bytes = DATA) -> Content:
    return Content(hashlib.sha256(data).digest(), len(data), "image/jpeg", paths)


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.jpg").write_bytes(DATA)
    path, pieces = original(os.fsencode(tmp_path), content(b"gone.jpg", b"below/a.jpg"))
    assert path == b"below/a.jpg"
    assert b"".join(pieces) == DATA


def test_another_content_of_the_same_size_never_comes_whole(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(DATA[:-1] + b"!")
    _, pieces = original(os.fsencode(tmp_path), content(b"a.jpg"))
    sent: list[bytes] = []
    with pytest.raises(ReadError, match="not what it was"):
        sent.extend(pieces)
    assert sum(map(len, sent)) < len(DATA)


@pytest.mark.parametrize("path", [b"../a.jpg", b"/etc/passwd", b"link.jpg", b"out/a.jpg", b"a\0b"])
def test_nothing_outside_the_source_is_sent(tmp_path: Path, path: bytes) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (tmp_path / "a.jpg").write_bytes(DATA)
    (source / "link.jpg").symlink_to(tmp_path / "a.jpg")
    (source / "out").symlink_to(tmp_path)
    with pytest.raises(ReadError):
        original(os.fsencode(source), content(path))


def test_a_source_that_is_gone_and_a_changed_size_are_said(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="cannot be opened"):
        original(os.fsencode(tmp_path / "none"), content(b"a.jpg"))
    (tmp_path / "a.jpg").write_bytes(b"short")
    with pytest.raises(ReadError, match="not what it was"):
        original(os.fsencode(tmp_path), content(b"a.jpg"))


def test_a_file_that_nobody_reads_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(DATA)
    before = len(os.listdir("/proc/self/fd"))
    _, pieces = original(os.fsencode(tmp_path), content(b"a.jpg"))
    del pieces
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "name", [*odd_names().values(), *(os.fsencode(name) for name in UPLOAD_NAMES)]
)
def test_a_name_is_one_harmless_header(name: bytes) -> None:
    """S2, on the way out."""
    value = disposition(b"folder/" + name)
    value.encode("ascii")
    assert value.isprintable()
    plain = value.removeprefix('attachment; filename="').partition('"')[0]
    assert plain
    assert not set(plain) & set('/\\"\r\n')
    assert value.count('"') == 2
    assert "/" not in value.rpartition("''")[2]


@pytest.mark.parametrize("mime", ["image/svg+xml", "text/html", "application/pdf", "", "image/x"])
def test_only_pictures_that_cannot_run_keep_their_type(mime: str) -> None:
    assert media_type(mime) == "application/octet-stream"
    assert media_type("image/png") == "image/png"
