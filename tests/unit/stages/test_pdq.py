"""PDQ: the same bits as the reference implementation, and near for pictures that look alike."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pdqhash
import pytest
from PIL import Image
from tests import makers

from caseframe.scanner.limits import Limits
from caseframe.scanner.picture import Picture
from caseframe.scanner.sniff import JPEG
from caseframe.stages.pdq import Pixels, pdq
from caseframe.stages.similar import SIDE


def distance(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def reference(rgb: Pixels) -> tuple[bytes, int]:
    """Meta's own C++ code, on the 512 x 512 picture that its tool makes first."""
    vector, quality = pdqhash.compute(rgb)
    return np.packbits(vector.astype(np.uint8)).tobytes(), quality


def hashed(data: bytes) -> tuple[bytes, int]:
    return pdq(Picture(data, JPEG, Limits()).pixels(SIDE))


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


@pytest.mark.parametrize("seed", range(12))
def test_close_to_the_reference_tool(seed: int) -> None:
    image = makers.scene(640, 420, seed)
    whole = np.asarray(image.convert("RGB"))
    square = cv2.resize(whole, (512, 512), interpolation=cv2.INTER_AREA)
    ours, quality = pdq(np.asarray(cv2.resize(whole, (256, 168), interpolation=cv2.INTER_AREA)))
    theirs, their_quality = reference(np.ascontiguousarray(square))
    assert distance(ours, theirs) <= 14
    assert abs(quality - their_quality) <= 12


@pytest.mark.parametrize("scale", [0.4, 0.6, 1.5])
@pytest.mark.parametrize("seed", range(6))
def test_copies_of_other_size_and_quality_are_near(seed: int, scale: float) -> None:
    image = makers.scene(600, 450, seed)
    copy = image.resize((int(600 * scale), int(450 * scale)), Image.Resampling.LANCZOS)
    assert distance(hashed(jpeg(image))[0], hashed(jpeg(copy, 60))[0]) <= 16


def test_other_pictures_are_far() -> None:
    hashes = [hashed(jpeg(makers.scene(400, 300, seed)))[0] for seed in range(10)]
    apart = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 60


def test_a_picture_without_detail_has_no_quality() -> None:
    _, quality = pdq(np.full((200, 256, 3), 127, np.uint8))
    assert quality == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 256), (256, 3)])
def test_any_shape_has_a_hash(shape: tuple[int, int]) -> None:
    bits, quality = pdq(np.zeros((*shape, 3), np.uint8))
    assert len(bits) == 32
    assert 0 <= quality <= 100
