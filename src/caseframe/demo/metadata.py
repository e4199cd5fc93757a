"""Camera data, places and captions for the drawn pictures, written by Exiv2."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime

import exiv2
from PIL import Image

_DEGREE_PARTS = 3600 * 100


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera or scanner as it names itself."""

    make: str
    model: str
    lens: str | None = None
    software: str | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a picture says it was taken: signed degrees, metres, degrees from north."""

    latitude: float
    longitude: float
    altitude: float | None = None
    direction: float | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What somebody wrote about a picture, as IPTC and XMP; keywords are parted by spaces."""

    title: str = ""
    caption: str = ""
    author: str = ""
    keywords: str = ""
    city: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Shot:
    """Everything a file says about itself; `offset` like "+02:00", None where it does not say."""

    taken: datetime
    camera: Camera | None = None
    offset: str | None = None
    spot: Spot | None = None
    words: Words | None = None
    orientation: int | None = None


def _rational(degrees: float) -> str:
    """Degrees, minutes and hundredths of seconds as three EXIF fractions."""
    parts = round(abs(degrees) * _DEGREE_PARTS)
    return f"{parts // _DEGREE_PARTS}/1 {parts // 6000 % 60}/1 {parts % 6000}/100"


def _place(spot: Spot) -> dict[str, str]:
    tags = {
        "Exif.GPSInfo.GPSVersionID": "2 3 0 0",
        "Exif.GPSInfo.GPSLatitudeRef": "S" if spot.latitude < 0 else "N",
        "Exif.GPSInfo.GPSLatitude": _rational(spot.latitude),
        "Exif.GPSInfo.GPSLongitudeRef": "W" if spot.longitude < 0 else "E",
        "Exif.GPSInfo.GPSLongitude": _rational(spot.longitude),
        "Exif.GPSInfo.GPSMapDatum": "WGS-84",
    }
    if spot.altitude is not None:
        tags["Exif.GPSInfo.GPSAltitudeRef"] = "1" if spot.altitude < 0 else "0"
        tags["Exif.GPSInfo.GPSAltitude"] = f"{round(abs(spot.altitude) * 10)}/10"
    if spot.direction is not None:
        tags["Exif.GPSInfo.GPSImgDirectionRef"] = "T"
        tags["Exif.GPSInfo.GPSImgDirection"] = f"{round(spot.direction * 10)}/10"
    return tags


def _exposure(taken: datetime) -> dict[str, str]:
    """Plausible settings, always the same for the same time."""
    turn = taken.minute
    return {
        "Exif.Photo.ExposureTime": f"1/{(30, 60, 125, 250, 500, 1000)[turn % 6]}",
        "Exif.Photo.FNumber": f"{(18, 28, 40, 56, 80, 110)[turn // 6 % 6]}/10",
        "Exif.Photo.ISOSpeedRatings": str((64, 100, 200, 400, 800, 3200)[turn // 3 % 6]),
        "Exif.Photo.FocalLength": f"{(24, 35, 50, 85, 105, 200)[turn // 2 % 6]}/1",
        "Exif.Photo.Flash": "16",
    }


def exif_tags(shot: Shot) -> dict[str, str]:
    """The EXIF tags of a shot, by Exiv2's keys."""
    stamp = shot.taken.strftime("%Y:%m:%d %H:%M:%S")
    tags = {"Exif.Image.DateTime": stamp, "Exif.Photo.DateTimeOriginal": stamp}
    if shot.offset:
        tags["Exif.Photo.OffsetTimeOriginal"] = shot.offset
    if shot.camera:
        tags |= {"Exif.Image.Make": shot.camera.make, "Exif.Image.Model": shot.camera.model}
        tags["Exif.Image.Software"] = shot.camera.software or f"{shot.camera.model} Ver.1.10"
        if shot.camera.lens:
            tags |= {"Exif.Photo.LensModel": shot.camera.lens} | _exposure(shot.taken)
    if shot.spot:
        tags |= _place(shot.spot)
    if shot.orientation:
        tags["Exif.Image.Orientation"] = str(shot.orientation)
    return tags


def _iptc(words: Words) -> exiv2.IptcData:
    data = exiv2.IptcData()
    data["Iptc.Envelope.CharacterSet"] = "\x1b%G"
    for name, value in (
        ("ObjectName", words.title),
        ("Caption", words.caption),
        ("Byline", words.author),
        ("City", words.city),
        ("CountryName", words.country),
    ):
        if value:
            data[f"Iptc.Application2.{name}"] = value
    key = exiv2.IptcKey("Iptc.Application2.Keywords")
    for word in words.keywords.split():
        data.add(exiv2.Iptcdatum(key, exiv2.StringValue(word)))
    return data


def _xmp(words: Words) -> exiv2.XmpData:
    data = exiv2.XmpData()
    for name, value in (("title", words.title), ("description", words.caption)):
        if value:
            data[f"Xmp.dc.{name}"] = f"lang=x-default {value}"
    if words.author:
        data["Xmp.dc.creator"] = exiv2.XmpArrayValue([words.author], exiv2.TypeId.xmpSeq)
    if words.keywords:
        data["Xmp.dc.subject"] = exiv2.XmpArrayValue(words.keywords.split(), exiv2.TypeId.xmpBag)
    for name, value in (("City", words.city), ("Country", words.country)):
        if value:
            data[f"Xmp.photoshop.{name}"] = value
    return data


def describe(data: bytes, shot: Shot) -> bytes:
    """The same picture file (JPEG, PNG, WebP, TIFF) with the shot's metadata in it."""
    image = exiv2.ImageFactory.open(data)
    image.readMetadata()
    exif = image.exifData()
    for key, value in exif_tags(shot).items():
        exif[key] = value
    if shot.words:
        image.setIptcData(_iptc(shot.words))
        image.setXmpData(_xmp(shot.words))
    image.writeMetadata()
    return _content(image)


def _content(image: exiv2.Image) -> bytes:
    """The bytes of a picture that Exiv2 holds in memory."""
    store = image.io()
    store.open()
    try:
        return bytes(store.mmap())
    finally:
        store.munmap()
        store.close()


def exif_block(shot: Shot) -> bytes:
    """The shot's EXIF alone, for encoders (HEIC, AVIF) that take it ready made."""
    plain = io.BytesIO()
    Image.new("L", (8, 8)).save(plain, "JPEG")
    with Image.open(io.BytesIO(describe(plain.getvalue(), shot))) as picture:
        return bytes(picture.info["exif"])
