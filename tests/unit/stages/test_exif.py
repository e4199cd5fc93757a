"""The exif stage, on pictures whose metadata are made here, byte by byte."""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image
from tests.unit.stages.exif_files import (
    BYTE,
    CAMERA,
    GPS,
    SHOT,
    UNDEFINED,
    Entry,
    Read,
    chunk,
    picture,
    png,
    ratio,
    text,
    tiff,
    with_exif,
    with_iptc,
    with_xmp,
    xmp,
)

from caseframe.domain.facts import Camera, Capture, Facts, Text
from caseframe.stages.exif import ExifResult, ExifStage
from caseframe.stages.stage import StageContext

pytest.importorskip("exiv2")


def test_camera_tags_have_the_names_and_readings_that_exiftool_users_know(read: Read) -> None:
    result = read(with_exif(tiff(CAMERA, SHOT)))

    assert result.metadata["Exif"] == {
        "Make": "ACME",
        "Model": "Shot 3",
        "Orientation": "Rotate 90 CW",
        "Software": "firmware 1.2",
        "ModifyDate": "2021:02:03 04:05:06",
        "ExposureTime": "1/200",
        "FNumber": 5.6,
        "ISO": 200,
        "DateTimeOriginal": "2021:02:03 04:05:06",
        "CreateDate": "2021:02:03 04:05:07",
        "OffsetTimeOriginal": "+05:30",
        "ExposureCompensation": "-1/3",
        "Flash": "Off, Did not fire",
        "FocalLength": "50.0 mm",
        "SubSecTimeOriginal": "042",
        "LensInfo": "18-55mm f/3.5-5.6",
        "LensModel": "ACME 18-55",
    }
    assert result.raw["Exif"]["Exif.Photo.ExposureTime"] == "10/2000"
    assert (result.captured_at, result.capture_source) == (
        "2021-02-03T04:05:06.042+05:30",
        "EXIF:DateTimeOriginal",
    )
    assert result.orientation == 6
    assert result.problems == ()
    facts = result.facts()
    assert facts.capture == Capture("2021-02-03T04:05:06.042+05:30", 330)
    assert facts.camera == Camera("ACME", "Shot 3", "ACME 18-55")
    assert Text("camera", "Shot 3") in facts.texts
    assert Text("software", "firmware 1.2") in facts.texts
    assert ExifResult.model_validate_json(result.model_dump_json()) == result


def test_a_picture_that_says_nothing_has_no_facts(read: Read) -> None:
    result = read(picture("JPEG"))
    assert not result.found
    assert result.facts() == Facts()


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_other_formats_hold_the_same_block(read: Read, form: str) -> None:
    image = Image.Exif()
    image.load(b"Exif\x00\x00" + tiff(CAMERA))
    result = read(picture(form, exif=image))
    assert (result.camera_make, result.camera_model) == ("ACME", "Shot 3")
    assert result.found


def test_gps_is_signed_and_exact(read: Read) -> None:
    gps = read(with_exif(tiff({}, gps=GPS))).gps
    assert gps is not None
    assert gps.latitude == -float(43 + Fraction(28, 60) + Fraction("2.814") / 3600)
    assert gps.longitude == -(11 * 3600 + 53 * 60 + 6) / 3600
    assert (gps.altitude_m, gps.altitude_reference) == (-32.5, "below")
    assert (gps.direction, gps.direction_reference) == (93.5, "magnetic")
    assert gps.timestamp == "2008-10-23T14:27:07.24Z"


def test_readable_gps(read: Read) -> None:
    shown = read(with_exif(tiff({}, gps=GPS))).metadata["Exif"]
    assert shown["GPSLatitude"] == "43 deg 28' 2.81\""
    assert shown["GPSLatitudeRef"] == "South"
    assert shown["GPSAltitude"] == "32.5 m"
    assert shown["GPSTimeStamp"] == "14:27:07.24"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({0x0001: text("")}, "GPSLatitudeRef: neither N nor S"),
        ({0x0002: ratio(43, 0, 0, 0, 0, 0)}, "GPSLatitude: not a coordinate"),
    ],
)
def test_gps_without_a_sign_or_a_value_is_no_position(
    read: Read, change: dict[int, Entry], problem: str
) -> None:
    result = read(with_exif(tiff({}, gps=GPS | change)))
    assert result.gps is not None
    assert (result.gps.latitude, result.gps.longitude) == (None, None)
    assert any(problem in line for line in result.problems)


@pytest.mark.parametrize(
    "bad", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2021:13:01 00:00:00"]
)
def test_impossible_dates_are_kept_flagged_and_passed_over(read: Read, bad: str) -> None:
    result = read(with_exif(tiff({}, {0x9003: text(bad), 0x9004: text("2021:02:03 04:05:07")})))
    assert result.raw["Exif"]["Exif.Photo.DateTimeOriginal"] == bad
    assert result.captured_at == "2021-02-03T04:05:07"
    assert result.capture_source == "EXIF:CreateDate"
    assert any("DateTimeOriginal: not a possible date" in line for line in result.problems)


def test_no_offset_is_made_up_from_the_gps_clock(read: Read) -> None:
    result = read(with_exif(tiff({}, {0x9003: text("2008:10:23 16:27:07")}, GPS)))
    assert result.captured_at == "2008-10-23T16:27:07"
    assert result.capture_offset_minutes is None


def test_zero_denominators_are_flagged(read: Read) -> None:
    result = read(with_exif(tiff({0x011A: ratio(72, 0)}, {0x829D: ratio(28, 0)})))
    assert result.raw["Exif"]["Exif.Photo.FNumber"] == "28/0"
    assert {line.split(":")[0] for line in result.problems} == {
        "Exif.Image.XResolution",
        "Exif.Photo.FNumber",
    }


@pytest.mark.parametrize(
    ("stored", "expected", "problem"),
    [
        ("Grüße".encode(), "Grüße", None),
        ("Grüße".encode("latin-1"), "Grüße", "not UTF-8, read as Latin-1"),
        (b"shown\x00hidden", "shown\ufffdhidden", "holds NUL"),
    ],
)
def test_text_is_decoded_and_doubt_is_said(
    read: Read, stored: bytes, expected: str, problem: str | None
) -> None:
    result = read(with_exif(tiff({0x010E: text(stored)})))
    assert result.metadata["Exif"]["ImageDescription"] == expected
    flagged = [line for line in result.problems if line.startswith("Exif.Image.ImageDescription")]
    assert (problem is None) == (not flagged)
    assert problem is None or problem in flagged[0]


@pytest.mark.parametrize(
    "comment",
    [
        b"ASCII\x00\x00\x00Gru\xc3\x9f",
        b"UNICODE\x00" + "Gruß".encode("utf-16-le"),
        b"UNICODE\x00" + "Gruß".encode("utf-16-be"),
        b"\x00" * 8 + b"Gru\xdf",
    ],
)
def test_user_comment_in_every_character_code(read: Read, comment: bytes) -> None:
    result = read(with_exif(tiff({}, {0x9286: (UNDEFINED, comment)})))
    assert result.metadata["Exif"]["UserComment"] == "Gruß"


def test_user_comment_in_jis(read: Read) -> None:
    raw = b"JIS\x00\x00\x00\x00\x00" + "日本".encode("iso2022_jp")
    result = read(with_exif(tiff({}, {0x9286: (UNDEFINED, raw)})))
    assert result.metadata["Exif"]["UserComment"] == "日本"


def test_windows_tags_are_utf_16_and_lone_surrogates_are_replaced(read: Read) -> None:
    entries = {
        0x9C9E: (BYTE, "été; mer\x00".encode("utf-16-le")),
        0x9C9B: (BYTE, b"A\x00\x00\xd8B\x00"),
    }
    result = read(with_exif(tiff(entries)))
    assert result.metadata["Exif"]["XPKeywords"] == "été; mer"
    assert result.metadata["Exif"]["XPTitle"] == "A\ufffdB"
    assert any("XPTitle: holds lone surrogates" in line for line in result.problems)


def test_iptc_names_lists_and_place_words(read: Read) -> None:
    result = read(
        with_iptc(
            (2, 5, b"A title"),
            (2, 25, b"sea"),
            (2, 25, b"dog"),
            (2, 55, b"20210203"),
            (2, 60, b"040506+0100"),
            (2, 90, b"Lyon"),
            (2, 95, b"Rhone"),
            (2, 101, b"France"),
        )
    )
    assert result.metadata["IPTC"] == {
        "ObjectName": "A title",
        "Keywords": ["sea", "dog"],
        "DateCreated": "2021:02:03",
        "TimeCreated": "04:05:06+01:00",
        "City": "Lyon",
        "Province-State": "Rhone",
        "Country-PrimaryLocationName": "France",
    }
    assert result.captured_at == "2021-02-03T04:05:06+01:00"
    assert result.raw["IPTC"]["Iptc.Application2.Keywords[2]"] == "dog"
    assert result.facts().texts == (
        Text("title", "A title"),
        Text("keywords", "sea"),
        Text("keywords", "dog"),
        Text("place", "Lyon"),
        Text("place", "Rhone"),
        Text("place", "France"),
    )


def test_an_iptc_time_without_offset_gets_none(read: Read) -> None:
    result = read(with_iptc((2, 55, b"20210203"), (2, 60, b"040506")))
    assert result.captured_at == "2021-02-03T04:05:06"


@pytest.mark.parametrize(
    ("marker", "raw"), [(b"\x1b%G", "Žitný".encode()), (b"\x1b-B", "Žitný".encode("iso8859-2"))]
)
def test_iptc_character_sets(read: Read, marker: bytes, raw: bytes) -> None:
    result = read(with_iptc((1, 90, marker), (2, 90, raw)))
    assert result.metadata["IPTC"]["City"] == "Žitný"
    assert result.problems == ()


XMP = xmp(
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Dog</rdf:li><rdf:li xml:lang="fr">Chien'
    "</rdf:li></rdf:Alt></dc:title><dc:subject><rdf:Bag><rdf:li>sea, sand</rdf:li><rdf:li>b"
    "</rdf:li></rdf:Bag></dc:subject><dc:creator><rdf:Seq><rdf:li>Ann</rdf:li></rdf:Seq>"
    '</dc:creator><xmpMM:History><rdf:Seq><rdf:li stEvt:action="saved"/><rdf:li'
    ' stEvt:action="cut"/></rdf:Seq></xmpMM:History>',
    'xmp:Rating="4" xmp:CreateDate="2021-02-03T04:05:06.7Z" xmp:CreatorTool="Tool 1"'
    ' exif:FNumber="28/10" exif:GPSLatitude="45,30.6N" exif:GPSLongitude="6,15.0W"',
)
XMP_SHOWN = {
    "Title": "Dog",
    "Title-fr": "Chien",
    "Subject": ["sea, sand", "b"],
    "Creator": "Ann",
    "HistoryAction": ["saved", "cut"],
    "Rating": 4,
    "CreateDate": "2021:02:03 04:05:06.7Z",
    "CreatorTool": "Tool 1",
    "FNumber": 2.8,
    "GPSLatitude": "45,30.6N",
    "GPSLongitude": "6,15.0W",
}
GIF_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"


def gif_with_xmp() -> bytes:
    whole = picture("GIF")
    return whole[:-1] + b"\x21\xff\x0bXMP DataXMP" + XMP + GIF_TRAILER + b"\x3b"


@pytest.mark.parametrize(
    "data",
    [
        with_xmp(XMP),
        with_xmp(XMP, b"XMP\x00://ns.adobe.com/xap/1.0/\x00"),
        png(chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + XMP)),
        png(chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(XMP))),
        gif_with_xmp(),
        picture("WEBP", xmp=XMP),
    ],
    ids=["jpeg", "jpeg with a spoilt header", "png", "png compressed", "gif", "webp"],
)
def test_xmp_by_local_names_in_every_container(read: Read, data: bytes) -> None:
    result = read(data)
    assert result.metadata["XMP"] == XMP_SHOWN
    assert result.captured_at == "2021-02-03T04:05:06.7+00:00"
    assert result.capture_source == "XMP-xmp:CreateDate"
    assert result.gps is not None
    assert (result.software, result.gps.latitude, result.gps.longitude) == ("Tool 1", 45.51, -6.25)
    assert result.gps.source == "XMP"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "PPM", "ICO"])
def test_no_metadata_is_not_found_and_no_error(read: Read, form: str) -> None:
    result = read(picture(form))
    assert not result.found
    assert result.problems == ()


def test_tiff_has_its_own_tags_only(read: Read) -> None:
    assert read(picture("TIFF")).metadata["Exif"]["ImageWidth"] == 8


def test_the_stage_keeps_nothing_of_the_picture_before(read: Read) -> None:
    read(with_exif(tiff(CAMERA, SHOT, GPS)))
    assert not read(picture("JPEG")).found


def test_missing_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert ExifStage().missing(StageContext(Path("cache"))) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install exiv2" in (ExifStage().missing(StageContext(Path("cache"))) or "")
