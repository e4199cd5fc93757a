"""Views of pictures: upright, bounded, only of what was scanned, and no decoder's death spreads."""

from __future__ import annotations

import hashlib
import io
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from tests import makers
from tests.support.children import gone, pool_workers
from tests.support.waiting import eventually

from caseframe.domain.errors import (
    CaseframeError,
    OverLimit,
    PictureError,
    ReadError,
    ServiceAway,
)
from caseframe.pipeline import render
from caseframe.pipeline.render import LocalRenderer, RenderOptions
from caseframe.scanner.limits import Limits

LIMITS = Limits(max_pixels=2_000_000, max_file_bytes=5_000_000)


@pytest.fixture(scope="module")
def renderer() -> Iterator[LocalRenderer]:
    made = LocalRenderer(RenderOptions(workers=1, memory=1_500_000_000, limits=LIMITS))
    yield made
    made.close()


def view(renderer: LocalRenderer, folder: Path, name: str, data: bytes, side: int = 400) -> bytes:
    (folder / name).write_bytes(data)
    digest = hashlib.sha256(data).digest()
    return renderer.view(os.fsencode(folder), os.fsencode(name), digest, side)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.new("RGB", (60, 40), (200, 30, 30)).save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.mark.parametrize(("orientation", "size"), [(1, (60, 40)), (6, (40, 60)), (3, (60, 40))])
def test_a_view_is_upright_and_carries_no_metadata(
    renderer: LocalRenderer, tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    made = Image.open(io.BytesIO(view(renderer, tmp_path, "a.jpg", turned(orientation))))
    assert (made.format, made.size) == ("JPEG", size)
    assert not made.getexif()


def test_a_view_is_no_larger_than_asked_and_never_enlarged(
    renderer: LocalRenderer, tmp_path: Path
) -> None:
    data = makers.photo(800, 500, 1)
    small = Image.open(io.BytesIO(view(renderer, tmp_path, "a.jpg", data, 200)))
    assert max(small.size) == 200
    whole = Image.open(io.BytesIO(view(renderer, tmp_path, "a.jpg", data, 4000)))
    assert whole.size == (800, 500)


def test_a_file_that_is_not_what_was_scanned_is_not_shown(
    renderer: LocalRenderer, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(makers.photo(60, 40, 1))
    with pytest.raises(ReadError, match="not what it was"):
        renderer.view(os.fsencode(tmp_path), b"a.jpg", b"\0" * 32, 100)
    with pytest.raises(ReadError, match="cannot be opened"):
        renderer.view(os.fsencode(tmp_path), b"gone.jpg", b"\0" * 32, 100)
    with pytest.raises(ReadError, match="source folder"):
        renderer.view(os.fsencode(tmp_path / "no"), b"a.jpg", b"\0" * 32, 100)


@pytest.mark.parametrize("path", [b"../secret.jpg", b"/etc/passwd", b"a/../../x", b"link.jpg"])
def test_nothing_outside_the_source_is_shown(
    renderer: LocalRenderer, tmp_path: Path, path: bytes
) -> None:
    """S1: not even when its digest is known."""
    source = tmp_path / "source"
    source.mkdir()
    secret = makers.photo(60, 40, 1)
    (tmp_path / "secret.jpg").write_bytes(secret)
    (source / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(ReadError):
        renderer.view(os.fsencode(source), path, hashlib.sha256(secret).digest(), 100)


def test_hostile_pictures_get_an_answer_and_the_next_one_is_shown(
    renderer: LocalRenderer, tmp_path: Path
) -> None:
    with pytest.raises(OverLimit):
        view(renderer, tmp_path, "big.jpg", makers.photo(2000, 1500, 1))
    with pytest.raises(PictureError):
        view(renderer, tmp_path, "bad.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    with pytest.raises(PictureError, match="max_file_bytes"):
        view(renderer, tmp_path, "fat.jpg", bytes(5_000_001))
    assert view(renderer, tmp_path, "good.jpg", makers.photo(60, 40, 2))[:2] == b"\xff\xd8"


def test_a_process_killed_while_it_has_no_work_costs_no_view(tmp_path: Path) -> None:
    before = pool_workers()
    renderer = LocalRenderer(RenderOptions(workers=1))
    try:
        for number in range(3):
            assert view(renderer, tmp_path, f"{number}.jpg", makers.photo(60, 40, number))
            (pid,) = pool_workers() - before
            os.kill(pid, signal.SIGKILL)
            eventually(partial(gone, pid))
        assert view(renderer, tmp_path, "last.jpg", makers.photo(60, 40, 9))
    finally:
        renderer.close()


def test_a_picture_that_never_had_its_turn_is_not_said_to_take_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pool_workers()
    renderer = LocalRenderer(RenderOptions(workers=1))
    try:
        assert view(renderer, tmp_path, "a.jpg", makers.photo(60, 40, 1))
        (pid,) = pool_workers() - before
        os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr(render, "_TURN_SECONDS", 1.0 - renderer._options.seconds)
        with pytest.raises(ServiceAway, match="try again"):
            view(renderer, tmp_path, "b.jpg", makers.photo(60, 40, 2))
        os.kill(pid, signal.SIGCONT)
        monkeypatch.undo()
        assert view(renderer, tmp_path, "c.jpg", makers.photo(60, 40, 3))
    finally:
        renderer.close()


def test_after_the_end_there_is_a_clear_answer(tmp_path: Path) -> None:
    renderer = LocalRenderer(RenderOptions(workers=1))
    renderer.close()
    renderer.close()
    with pytest.raises(CaseframeError, match="ending"):
        view(renderer, tmp_path, "a.jpg", makers.photo(60, 40, 1))
