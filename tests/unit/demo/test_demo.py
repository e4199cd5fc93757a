"""The demo collection is what it says, always the same, and never mixed with other files."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections import Counter
from pathlib import Path

import exiv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from caseframe.demo import DemoError, draw
from caseframe.demo.collection import COLLECTION, TURNED, made
from caseframe.demo.portraits import portrait
from caseframe.demo.trouble import chunk

pillow_heif.register_heif_opener()


def _files(root: Path) -> dict[bytes, bytes]:
    """Content by path, both as bytes."""
    base = os.fsencode(root)
    found = {}
    for place, _, names in os.walk(base):
        for name in names:
            path = os.path.join(place, name)
            found[os.path.relpath(path, base)] = Path(os.fsdecode(path)).read_bytes()
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    draw(folder)
    return folder


@pytest.fixture(scope="module")
def files(demo: Path) -> dict[bytes, bytes]:
    return _files(demo)


def _opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def _tags(data: bytes) -> dict[str, str]:
    image = exiv2.ImageFactory.open(data)
    image.readMetadata()
    return {tag.key(): str(tag.value()) for tag in image.exifData()}


def test_size_and_number(files: dict[bytes, bytes]) -> None:
    assert 40 <= len(files) <= 70
    assert sum(map(len, files.values())) < 15_000_000
    assert len(files) >= len(COLLECTION)  # one name may be refused, and there is the read-me
    assert b"public domain" in files[b"README.txt"]


def test_second_run_gives_the_same_bytes(tmp_path: Path, files: dict[bytes, bytes]) -> None:
    told: list[str] = []
    assert draw(tmp_path / "again", progress=told.append) == len(files)
    again = _files(tmp_path / "again")
    assert {p: hashlib.sha256(d).hexdigest() for p, d in again.items()} == {
        p: hashlib.sha256(d).hexdigest() for p, d in files.items()
    }
    assert len(told) == len(files) - 1


def test_drawing_over_itself_changes_nothing_and_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caseframe.demo.made", lambda: made(TURNED))  # a part: it is quicker
    assert draw(tmp_path) == 9
    before = _files(tmp_path)
    (tmp_path / "Orientation/turned 3.jpg").unlink()
    old = _status(tmp_path / "Orientation/turned 1.jpg")
    assert draw(tmp_path) == 9
    assert _files(tmp_path) == before
    assert _status(tmp_path / "Orientation/turned 1.jpg") == old


def _status(file: Path) -> tuple[int, ...]:
    """All but when it was last read, which we do ourselves."""
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mode, found.st_mtime_ns, found.st_ctime_ns


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DemoError, match="not empty"):
        draw(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_of_the_same_name_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("mine")
    with pytest.raises(DemoError, match="other content"):
        draw(tmp_path)
    assert (tmp_path / "README.txt").read_text() == "mine"


def test_missing_portrait_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    portrait.cache_clear()
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(DemoError, match=r'pip install "caseframe\[demo\]"'):
        draw(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_times_are_those_of_the_shots(demo: Path) -> None:
    at = (demo / "Holidays/2016 Chamonix/DSC_0412.JPG").stat().st_mtime
    assert at == 1468483951  # 2016-07-14 10:12:31 +02:00


def test_every_format_is_there(files: dict[bytes, bytes]) -> None:
    kinds: Counter[str] = Counter()
    for path, data in files.items():
        if not path.startswith(b"Recovered/") and not path.endswith((b".pdf", b".mp4", b".txt")):
            picture = _opened(data)
            kinds[f"{picture.format} {picture.mode}"] += 1
            kinds["progressive"] += "progressive" in picture.info
            kinds[f"{picture.format} frames"] += getattr(picture, "n_frames", 1) > 1
    wanted = (
        "JPEG RGB", "JPEG L", "JPEG CMYK", "progressive", "PNG RGB", "PNG P", "PNG RGBA",
        "PNG I;16", "WEBP RGB", "TIFF RGB", "TIFF frames", "GIF frames", "BMP RGB", "HEIF RGB",
        "AVIF RGB",
    )  # fmt: skip
    assert [kind for kind in wanted if not kinds[kind]] == []


def test_all_orientations_show_the_same_picture(files: dict[bytes, bytes]) -> None:
    stored = [_opened(files[b"Orientation/turned %d.jpg" % turn]) for turn in range(1, 9)]
    assert [picture.getexif()[0x0112] for picture in stored] == list(range(1, 9))
    upright = [ImageOps.exif_transpose(picture) for picture in stored]
    for picture in upright[1:]:
        change = ImageStat.Stat(ImageChops.difference(upright[0], picture)).mean
        assert picture.size == upright[0].size
        assert max(change) < 4


def test_places(files: dict[bytes, bytes]) -> None:
    chamonix = _tags(files[b"Holidays/2016 Chamonix/DSC_0412.JPG"])
    assert chamonix["Exif.GPSInfo.GPSLatitude"] == "45/1 55/1 2532/100"
    assert chamonix["Exif.Photo.OffsetTimeOriginal"] == "+02:00"
    assert chamonix["Exif.Image.Make"] == "NIKON CORPORATION"
    assert _tags(files[b"Backup of old phone/lost satellite.jpg"])[
        "Exif.GPSInfo.GPSLatitude"
    ].startswith("95/1")
    assert (
        _tags(files[b"Holidays/2024 Dead Sea/L1000388.JPG"])["Exif.GPSInfo.GPSAltitudeRef"] == "1"
    )
    assert _tags(files[b"Holidays/2023 North/IMG_8841.HEIC"])["Exif.GPSInfo.GPSLatitudeRef"] == "N"
    spots = [item.shot.spot for item in COLLECTION if item.shot.spot]
    assert any(spot.latitude < 0 and spot.longitude < 0 for spot in spots)
    assert any(spot.longitude < -179.9 for spot in spots)
    assert any(spot.longitude > 179.9 for spot in spots if spot.longitude < 180)
    assert any(spot.latitude == 0 == spot.longitude for spot in spots)


def test_captions_in_iptc_and_xmp(files: dict[bytes, bytes]) -> None:
    image = exiv2.ImageFactory.open(files[b"Holidays/2016 Chamonix/DSC_0431.JPG"])
    image.readMetadata()
    iptc = [(tag.key(), str(tag.value())) for tag in image.iptcData()]
    assert ("Iptc.Application2.Byline", "Ines Duarte") in iptc
    assert [value for key, value in iptc if key.endswith("Keywords")] == [
        "lake", "boat", "red", "reflection",
    ]  # fmt: skip
    assert "boat" in str(image.xmpData()["Xmp.dc.subject"].value())


def test_duplicates_and_near_duplicates(files: dict[bytes, bytes]) -> None:
    copies = Counter(hashlib.sha256(data).digest() for data in files.values())
    assert sorted(copies.values())[-3:] == [2, 2, 2]
    boat = _opened(files[b"Holidays/2016 Chamonix/DSC_0431.JPG"])
    for name in (b"boat small.jpg", b"boat brighter.jpg"):
        near = _opened(files[b"Backup of old phone/" + name]).resize(boat.size)
        gap = np.asarray(near, np.float32) - np.asarray(boat, np.float32)
        assert 0 < float(np.abs(gap).mean()) < 16


def test_trouble(files: dict[bytes, bytes]) -> None:
    with pytest.raises(OSError, match="truncated"):
        _opened(files[b"Recovered/cut off.jpg"])
    assert _opened(files[b"Recovered/really a png.jpg"]).format == "PNG"
    assert _opened(files[b"Recovered/f0012345"]).format == "JPEG"
    assert files[b"Recovered/empty.jpg"] == b""
    assert files[b"Recovered/promises too much.png"][16:24] == bytes.fromhex("0000ea60 0000ea60")
    assert files[b"Office/annual report.pdf"].startswith(b"%PDF-")
    assert files[b"Office/opening.mp4"][4:8] == b"ftyp"
    broken = files[b"Recovered/bad checksum.png"]
    whole = files[b"Formats/transparent.png"]
    at = broken.index(b"IDAT")
    length = int.from_bytes(broken[at - 4 : at])
    assert broken[at - 4 : at + 4 + length] == chunk(b"IDAT", broken[at + 4 :][:length])[:-4]
    assert broken[at + 4 + length :][:4] != chunk(b"IDAT", broken[at + 4 :][:length])[-4:]
    assert len(broken) == len(whole)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_odd_names(files: dict[bytes, bytes]) -> None:
    assert b"Recovered/caf\xe9 au lait.jpg" in files
    assert "Holidays/2021 Türkei/U\u0308bersicht.jpg".encode() in files
    assert any("🎈".encode() in path for path in files)
