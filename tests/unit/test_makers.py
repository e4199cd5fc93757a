"""Every maker makes what it says; a test built on a bomb that is none would prove nothing."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
from collections import Counter
from pathlib import Path

import exiv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageFile
from tests import makers
from tests.makers import bomb, ifd

pillow_heif.register_heif_opener()


def _opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def _texts(data: bytes) -> set[str]:
    image = exiv2.ImageFactory.open(data)
    image.readMetadata()
    groups = (image.exifData(), image.iptcData(), image.xmpData())
    return {str(tag.value()) for group in groups for tag in group}


@pytest.mark.parametrize("kind", makers.FORMATS)
def test_photos_are_good_distinct_and_always_the_same(kind: str) -> None:
    one, two = makers.photo(64, 48, 1, format=kind), makers.photo(64, 48, 2, format=kind)
    assert one != two
    assert one == makers.photo(64, 48, 1, format=kind)
    picture = _opened(one)
    assert (picture.format, picture.size) == (kind, (64, 48))


def test_jpeg_with_exif_takes_short_and_full_names() -> None:
    data = makers.jpeg_with_exif(
        Make="Nikon", FNumber="28/10", **{"Exif.GPSInfo.GPSMapDatum": "WGS-84"}
    )
    assert {"Nikon", "28/10", "WGS-84"} <= _texts(data)
    assert "45/1 55/1 2532/100" in _texts(makers.jpeg_with_exif(**makers.gps_tags(45.9237, 6.8694)))


def test_repeated_is_what_zlib_would_unpack() -> None:
    for byte, size in ((0, 5), (65, (1 << 20) * 3 + 17), (255, 1 << 20)):
        assert zlib.decompress(makers.repeated(byte, size)) == bytes([byte]) * size


@pytest.mark.parametrize("maker", [makers.png_bilevel, makers.png_rgb, makers.png_grey])
def test_png_bombs_are_valid_pictures_when_small(maker: type) -> None:
    picture = _opened(maker(100))
    assert picture.size == (100, 100)
    assert np.asarray(picture).sum() == 0


def test_png_bombs_say_their_size() -> None:
    for data, side in ((makers.png_bilevel(), 60_000), (makers.png_rgb(), 20_000)):
        assert struct.unpack(">II", data[16:24]) == (side, side)
        assert len(data) < 1_500_000


@pytest.mark.parametrize("maker", [makers.png_text_bomb, makers.png_profile_bomb])
def test_metadata_bombs(maker: type) -> None:
    assert len(maker()) < 300_000
    assert _opened(maker(1000)).size == (8, 8)
    packed = maker()[33 + 8 :].partition(b"\x00\x00")[2]
    assert zlib.decompressobj().decompress(packed, 5000) == b"A" * 5000


def test_webp_bomb_is_a_valid_picture() -> None:
    assert len(bomb.webp_lossless()) < 60
    assert _opened(bomb.webp_lossless(300)).size == (300, 300)


def test_tiff_bomb_is_a_valid_picture() -> None:
    assert _opened(bomb.tiff_deflate(64)).size == (64, 64)
    assert _opened(bomb.tiff_deflate(64)).getextrema() == (0, 0)


def test_headers_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    sizes = {
        "claims-65500.jpg": (65_500, 65_500),
        "claims-65500-progressive.jpg": (65_500, 65_500),
        "screen-65535.gif": (65_535, 65_535),
        "promises-more.png": (60_000, 60_000),
        "promises-less.png": (8, 8),
        "sides-2g.tif": (0x7FFFFFFF, 0x7FFFFFFF),
    }
    assert bomb.isobmff_huge("HEIF").count(b"ispe\0\0\0\0\0\0\xff\xff\0\0\xff\xff")
    for name, size in sizes.items():
        assert Image.open(io.BytesIO(makers.bombs()[name])).size == size


def test_bombs_are_small_files() -> None:
    assert max(map(len, makers.bombs().values())) < 2_000_000


def test_directories_point_where_they_say() -> None:
    ring = makers.evil_structures()["next-is-itself"]
    assert struct.unpack("<I", ring[22:26]) == (8,)
    chain = makers.evil_structures()["chain-of-3000"]
    at, seen = 8, 0
    while at:
        (count,) = struct.unpack_from("<H", chain, at)
        (at,) = struct.unpack_from("<I", chain, at + 2 + 12 * count)
        seen += 1
    assert seen == 3000


def test_a_true_structure_reads_back() -> None:
    entries = [[ifd.Entry(0x010F, ifd.ASCII, b"Nikon Corporation\x00")], [ifd.long(0x8827, 400)]]
    entries[1] = [ifd.Entry(0x8827, ifd.SHORT, struct.pack("<H", 400))]
    data = makers.jpeg_with_tiff(makers.tiff(entries, exif=1))
    assert {"Nikon Corporation", "400"} <= _texts(data)
    assert _opened(data).getexif()[0x010F] == "Nikon Corporation"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells of each lie
def test_evil_metadata_stands_in_good_pictures() -> None:
    for name, data in makers.evil_metadata().items():
        if name.endswith(".jpg"):
            assert Image.open(io.BytesIO(data)).size == (96, 64), name


@pytest.mark.parametrize("text", [*makers.MARKUP, *makers.FORMULAS])
def test_texts_reach_every_field(text: str) -> None:
    data = makers.jpeg_with_text(text)
    image = exiv2.ImageFactory.open(data)
    image.readMetadata()
    exif = {tag.key(): str(tag.value()) for tag in image.exifData()}
    iptc = {tag.key(): str(tag.value()) for tag in image.iptcData()}
    assert exif["Exif.Image.Artist"] == text
    assert iptc["Iptc.Application2.Caption"] == text
    assert text.strip() in str(image.xmpData()["Xmp.dc.title"].value()).replace("\n", "\r")


def test_urls_are_in_the_files() -> None:
    for data in (makers.picture_with_urls("http://x.test"), makers.svg_with_links("http://x.test")):
        assert data.count(b"http://x.test") >= 4
    assert _opened(makers.picture_with_urls("http://x.test")).size == (96, 64)


def test_undecodable_text_is_in_good_pictures() -> None:
    files = makers.undecodable_text()
    for data in files.values():
        assert _opened(data).size == (96, 64)
    assert b"a\x00\x00\xd8b\x00\x00\xdc" in files["xp-surrogate.jpg"]
    assert b"caf\xe9 \xff\xfe" in files["invalid-utf8.jpg"]


def test_delegates_are_no_pictures_by_content() -> None:
    signatures = (b"\xff\xd8", b"\x89PNG", b"RIFF", b"BM")
    for name, data in makers.delegates().items():
        assert not data.startswith(signatures), name


def test_polyglots_are_both() -> None:
    assert Image.open(io.BytesIO(makers.script_and_gif())).format == "GIF"
    assert makers.script_and_gif().startswith(b"GIF87a/*")
    assert b"*/=1;" in makers.script_and_gif()
    assert _opened(makers.page_and_jpeg()).info["comment"].startswith(b"<html>")
    assert _opened(makers.archive_and_jpeg()).size == (64, 48)


def test_broken_files_are_many_different_and_repeatable() -> None:
    files = list(makers.broken_files(560, 3))
    assert files == list(makers.broken_files(560, 3))
    assert len({name for name, _ in files}) == 560
    assert len({hashlib.sha256(data).digest() for _, data in files}) > 530
    kinds = Counter(name.partition("-")[2] for name, _ in files)
    assert len(kinds) == 56
    assert set(kinds.values()) == {10}


def test_damage_is_where_it_should_be() -> None:
    whole = makers.photo(320, 240, 7, format="PNG")
    broken = makers.bad_checksum(whole)
    assert len(broken) == len(whole)
    assert sum(a != b for a, b in zip(whole, broken, strict=True)) == 4
    assert len(makers.cut(whole, 50)) == len(whole) // 2
    jpeg = makers.photo(320, 240, 7)
    assert len(makers.garbage_in_scan(jpeg)) == len(jpeg)
    with pytest.raises(OSError, match="truncated"):
        _opened(makers.cut(jpeg, 50))
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_corrupt_pictures_all_miss_something() -> None:
    good = {makers.photo(320, 240, 7, format=kind) for kind in makers.FORMATS}
    files = makers.corrupt_pictures()
    assert len(files) > 50
    assert not good & set(files.values())


def test_unseen_damage_opens_as_if_it_were_whole() -> None:
    for name, data in makers.unseen_damage().items():
        assert _opened(data).size == (320, 240), name
        assert data.endswith(bytes(1000)), name


def test_headers_of_damaged_jpegs() -> None:
    jpeg = makers.photo(320, 240, 7)
    assert Image.open(io.BytesIO(makers.claims_taller(jpeg))).size == (320, 960)
    assert len(makers.zero_filled(jpeg, 60)) == len(jpeg)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_animations_have_their_frames(kind: str) -> None:
    picture = Image.open(io.BytesIO(makers.animation(format=kind)))
    assert getattr(picture, "n_frames", 1) == 6


def test_odd_names_are_names(tmp_path: Path) -> None:
    names = makers.odd_names().values()
    assert len(set(names)) == len(names)
    assert all(b"/" not in name and b"\x00" not in name for name in names)
    assert max(map(len, names)) == 255
    written = makers.write_odd_names(tmp_path, b"x")
    assert {
        name: Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).read_bytes()
        for name in written
    } == written


def test_special_files(tmp_path: Path) -> None:
    made = makers.write_special_files(tmp_path)
    assert set(os.listdir(os.fsencode(tmp_path))) == set(made.values())
    sparse = (tmp_path / "sparse.jpg").stat()
    assert sparse.st_size == 5 * 2**30
    assert sparse.st_blocks * 512 < 1 << 20
    assert not (tmp_path / "nowhere.jpg").exists()
