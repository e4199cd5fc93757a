"""Pictures to measure on: real photographs where there are any, else drawn ones."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from caseframe.demo import draw

_HERE = Path(__file__).resolve().parent
PHOTOS = Path(os.environ.get("CASEFRAME_BENCH_DATA", _HERE.parent.parent / "shared" / "data"))


def photos() -> list[bytes]:
    """Contents of the sample photographs, or of the demo's JPEG files where there are none."""
    folder = PHOTOS / "photos"
    if not folder.is_dir():
        folder = Path(tempfile.mkdtemp(prefix="bench-demo-")) / "pictures"
        draw(folder)
    files = sorted(folder.rglob("*.jpg"))
    return [data for file in files if (data := file.read_bytes())[:3] == b"\xff\xd8\xff"]


def tiny() -> list[bytes]:
    """A few pictures of 64 x 48 pixels, for measuring what does not depend on their size."""
    noise = np.random.default_rng(7)
    made = []
    for _ in range(16):
        rough = noise.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        smooth = cv2.resize(rough, (64, 48), interpolation=cv2.INTER_CUBIC)
        made.append(simplejpeg.encode_jpeg(np.ascontiguousarray(smooth), quality=80))
    return made


def group_photograph() -> bytes | None:
    """The photograph with eight faces, where it is there."""
    file = PHOTOS / "faces-8.jpg"
    return file.read_bytes() if file.is_file() else None


def distinct(jpeg: bytes, number: int) -> bytes:
    """The same picture as other bytes: a comment segment with a number behind the first marker."""
    note = f"copy {number}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + jpeg[2:]


@contextmanager
def folder_of(count: int, sources: list[bytes]) -> Iterator[Path]:
    """A temporary folder with `count` distinct files made of `sources`, 500 to a sub-folder."""
    root = Path(tempfile.mkdtemp(prefix="bench-pictures-"))
    try:
        for number in range(count):
            place = root / f"{number // 500:04}"
            place.mkdir(exist_ok=True)
            picture = distinct(sources[number % len(sources)], number)
            (place / f"{number:06}.jpg").write_bytes(picture)
        os.sync()  # or the disk would still be writing them while the first side is measured
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
