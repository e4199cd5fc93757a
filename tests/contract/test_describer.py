"""What every describer promises, each behind a real service: FACTS and the models of BLIP."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import makers
from tests.makers.tiny_blip import make_tiny_blip
from tests.support.vision import WAIT, running

from caseframe.domain.errors import PictureError, PictureRefused
from caseframe.pipeline.describe import FactsDescriber
from caseframe.scanner.limits import Limits
from caseframe.vision.blip import BlipDescriber, BlipOptions
from caseframe.vision.client import VisionClient
from caseframe.vision.describer import Describer
from caseframe.vision.missing import missing_extra
from caseframe.vision.store import ModelStore

LIMITS = Limits(max_pixels=50_000_000)
SIDE = 32
"""Pixels a side that the tiny BLIP looks at."""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed tiny BLIP."""
    if (reason := missing_extra()) is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("models")
    made = make_tiny_blip(root / "made")
    return ModelStore(root / "installed").import_folder(made, "tiny").folder


@dataclass(frozen=True)
class Served:
    """A describer, and a client of the service around it."""

    describer: Describer
    client: VisionClient
    name: str

    def words(self, data: bytes) -> str:
        return self.client.describe(data, self.name)


@pytest.fixture(scope="module", params=["FACTS", "BLIP", "BLIP_QUANTIZED"])
def served(request: pytest.FixtureRequest, cache: Path) -> Iterator[Served]:
    describer: Describer
    if request.param == "FACTS":
        describer = FactsDescriber(cache, LIMITS)
    else:
        folder = request.getfixturevalue("tiny")
        describer = BlipDescriber(
            BlipOptions(folder, request.param, precision="float32", threads=1, limits=LIMITS)
        )
    with (
        running({request.param: describer}) as service,
        VisionClient(service.address, seconds=WAIT) as client,
    ):
        yield Served(describer, client, request.param)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def sound() -> dict[str, bytes]:
    """Pictures of every kind that must be described."""
    scene = makers.scene(320, 240, 5)
    grey16 = (np.asarray(scene.convert("L"), np.uint16) * 257).astype(np.uint16)
    return {
        **{kind: makers.photo(96, 64, 2, format=kind) for kind in makers.FORMATS},
        "16-bit PNG": saved(Image.fromarray(grey16)),
        "16-bit TIFF": saved(Image.fromarray(grey16), "TIFF"),
        "CMYK JPEG": saved(scene.convert("CMYK"), "JPEG"),
        "CMYK TIFF": saved(scene.convert("CMYK"), "TIFF"),
        "palette": saved(scene.quantize(16)),
        "palette GIF": saved(scene.quantize(16), "GIF"),
        "transparent palette": saved(scene.quantize(16), transparency=3),
        "alpha": saved(scene.convert("RGBA")),
        "grey with alpha": saved(scene.convert("LA")),
        "one bit": saved(scene.convert("1")),
        "grey JPEG": saved(scene.convert("L"), "JPEG"),
        "one pixel": saved(Image.new("RGB", (1, 1), (7, 8, 9))),
        "one-pixel JPEG": saved(Image.new("RGB", (1, 1), (7, 8, 9)), "JPEG"),
        "panorama": saved(Image.new("RGB", (20_000, 400), (9, 99, 199)), "JPEG"),
        "wide line": saved(Image.new("RGB", (20_000, 1), (9, 99, 199))),
        "tall line": saved(Image.new("RGB", (1, 20_000), (9, 99, 199))),
        "animation": makers.animation(),
    }


@pytest.mark.parametrize("kind", sorted(sound()))
def test_every_kind_of_picture_is_described(served: Served, kind: str) -> None:
    data = sound()[kind]
    said = served.words(data)
    assert said.strip() == said
    assert said
    assert said.isprintable()
    assert served.words(data) == said, "the same picture, the same words"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"plain words", "not a picture"),
        (b"%PDF-1.7\n" + bytes(100), "not a picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not a picture"),
        (makers.photo(320, 240)[:5000], "corrupt|header"),
        (makers.photo(320, 240, format="PNG")[:-500], "corrupt|decoded|truncated"),
        (makers.png_bilevel(), "over the limit"),
        (makers.png_rgb(), "over the limit"),
        (makers.png_text_bomb(), "limit|bomb|too large"),
    ],
)
def test_what_is_no_sound_picture_is_refused_with_its_reason(
    served: Served, data: bytes, said: str
) -> None:
    with pytest.raises(PictureRefused, match=said) as caught:
        served.words(data)
    assert str(caught.value).isprintable()


def test_of_an_animation_the_first_frame_counts(served: Served) -> None:
    frames = [makers.scene(64, 48, seed).quantize(64) for seed in (1, 2, 3)]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    assert served.words(moving) == served.words(saved(frames[0], "GIF"))


def test_company_changes_no_words(served: Served) -> None:
    pictures = [makers.photo(64, 48, seed) for seed in range(12)]
    alone = [served.words(data) for data in pictures]
    together = list(served.client.describe_many(pictures, served.name))
    assert [answer.description for answer in together] == alone
    backwards = list(served.client.describe_many(pictures[::-1], served.name))
    assert [answer.description for answer in backwards] == alone[::-1]


def test_preparing_can_move_to_another_process(served: Served) -> None:
    prepare = pickle.loads(pickle.dumps(served.describer.prepare))
    assert len(pickle.dumps(served.describer.prepare)) < 10_000  # not the model itself
    prepared = prepare(makers.photo(64, 48, 1))
    again = pickle.loads(pickle.dumps(prepared))
    assert served.describer.describe([again]) == [served.words(makers.photo(64, 48, 1))]
    with pytest.raises(PictureError):
        prepare(b"no picture")


def test_the_identity_is_whole_and_known_to_the_clients(served: Served) -> None:
    identity = served.client.identity(served.name)
    assert identity == served.describer.identity
    assert identity.name == served.name
    assert identity.model
    assert identity.revision
    assert len(bytes.fromhex(identity.digest)) == 32
    assert served.describer.batch >= 1


def test_a_small_lossless_picture_reaches_blip_unchanged(tiny: Path) -> None:
    """What was made upright and resized before must not be resized again."""
    pixels = np.asarray(makers.scene(SIDE, SIDE, 4))
    prepare = BlipDescriber(BlipOptions(tiny)).prepare
    for kind in ("BMP", "PNG", "TIFF"):
        assert np.array_equal(prepare(saved(Image.fromarray(pixels), kind)), pixels)
