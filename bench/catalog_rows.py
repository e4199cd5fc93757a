"""The rows of a catalog of as many pictures as one likes, made up.

The folders are trips: pictures of one trip share the place, the month and mostly the camera, as
they do in life, so that what fits a filter lies in clusters of every order. Tiles and documents
come from the program's own code, so what is measured is what a scan would have written.
"""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from caseframe.catalog.tiling import About, Shown, document_row, tile_row

STAGES = ("exif", "place", "similar", "faces", "facts")
COLUMNS = {
    "images": (
        "id", "sha256", "sha1", "md5", "size", "state", "reason", "mime", "format", "width",
        "height", "pdq", "pdq_quality", "captured_at", "camera_make", "camera_model", "face_count",
        "added_at",
    ),
    "files": (
        "id", "job_id", "path", "path_text", "size", "modified_ns", "state", "reason", "mime",
        "sha256", "image_id", "missing", "examined_at",
    ),
    "texts": ("image_id", "stage", "field", "value"),
    "places": (
        "image_id", "stage", "latitude", "longitude", "town", "country", "country_code",
    ),
    "problems": ("image_id", "stage", "reason"),
    "tiles": (
        "id", "gallery", "image_id", "file_id", "path_key", "captured", "size", "state", "format",
        "width", "height", "faces", "copies", "problem", "camera", "month", "latitude",
        "longitude", "country", "town",
    ),
    "documents": ("id", "text"),
}  # fmt: skip
"""The tables that rows are made for, with the columns in the order in which rows have them."""
FAILS_EVERY = 400
"""One picture in so many for which the stage `faces` failed."""
_CAMERAS = (
    ("NIKON CORPORATION", "NIKON D750"), ("Canon", "Canon EOS 5D"), ("Apple", "iPhone 12"),
    ("SONY", "ILCE-7M3"), ("samsung", "SM-G991B"), ("FUJIFILM", "X-T4"), (None, None),
)  # fmt: skip
_TOWNS = (
    ("Chamonix", "France", "FR", 45.9, 6.9), ("Lisbon", "Portugal", "PT", 38.7, -9.1),
    ("Kyoto", "Japan", "JP", 35.0, 135.8), ("Suva", "Fiji", "FJ", -18.1, 178.4),
    ("Oslo", "Norway", "NO", 59.9, 10.7), ("Quito", "Ecuador", "EC", -0.2, -78.5),
)  # fmt: skip
_NOUNS = ("boat", "street", "mountain", "dog", "table", "market", "train", "beach", "house", "tree")
_COLOURS = ("red", "blue", "green", "white", "black")
_TRIP = 250
_NOW = 1_704_067_200_000_000  # microseconds since 1970, as the catalog keeps times
_Row = dict[str, Any]
Rows = dict[str, list[tuple[Any, ...]]]


def rows(job: str, gallery: int, numbers: range) -> Rows:
    """The rows of the pictures of these numbers, 1 in 50 of them twice, by table."""
    found: Rows = {name: [] for name in COLUMNS}
    for number in numbers:
        for name, row in _picture(job, gallery, number):
            found[name].append(tuple(row[column] for column in COLUMNS[name]))
    return found


def _picture(job: str, gallery: int, number: int) -> list[tuple[str, _Row]]:
    trip, inside = divmod(number, _TRIP)
    of_trip, of_one = random.Random(trip), random.Random(-number)
    image = _image(number, inside, of_trip, of_one)
    town = of_trip.choice(_TOWNS)
    copies = _files(job, image, trip, inside)
    said = _texts(image, of_one)
    place = _place(number, town, of_one) if of_one.random() < 0.4 else None
    odd = number % 300 == 0
    shown = Shown()
    for file in copies:
        shown.add(file["path"], file["path_text"], file["id"])
    about = About(
        odd or number % FAILS_EVERY == 0, place, [(text["field"], text["value"]) for text in said]
    )
    tile = tile_row(image, gallery, shown, about)
    made = [("images", image), ("tiles", tile), *(("files", file) for file in copies)]
    made += [("texts", text) for text in said]
    made.append(("documents", document_row(tile, image, shown, about)))
    if place is not None:
        made.append(("places", place))
    if odd:
        made.append(("problems", {"image_id": number, "stage": "exif", "reason": "a date is odd"}))
    return made


def _image(number: int, inside: int, of_trip: random.Random, of_one: random.Random) -> _Row:
    make, model = of_trip.choice(_CAMERAS) if of_one.random() < 0.9 else of_one.choice(_CAMERAS)
    began = datetime(2005, 1, 1, tzinfo=UTC) + timedelta(days=of_trip.randrange(7000))
    taken = None if of_one.random() < 0.1 else began + timedelta(minutes=7 * inside)
    state = "corrupt" if of_one.random() < 0.002 else "picture"
    digest = hashlib.sha256(b"%d" % number).digest()
    width, height = of_one.choice(((640, 480), (4000, 3000), (6016, 4016)))
    return {
        "id": number, "sha256": digest, "sha1": digest[:20], "md5": digest[:16],
        "size": int(of_one.lognormvariate(14, 1)), "state": state,
        "reason": None if state == "picture" else "cut short",
        "mime": "image/jpeg" if number % 9 else "image/png",
        "format": "JPEG" if number % 9 else "PNG", "width": width, "height": height,
        "pdq": hashlib.sha256(digest).digest(), "pdq_quality": 100,
        "captured_at": taken and taken.isoformat()[:19], "camera_make": make,
        "camera_model": model, "lens": None, "added_at": _NOW,
        "face_count": of_one.choice((0, 0, 0, 0, 1, 1, 2, 5)),
    }  # fmt: skip


def _files(job: str, image: _Row, trip: int, inside: int) -> list[_Row]:
    number = image["id"]
    folder = f"archive/{trip % 97:02}/trip-{trip:05}"
    made = []
    for copy in range(2 if number % 50 == 0 else 1):
        path = f"{folder}/IMG_{inside:04}{'_copy' * copy}_{number}.jpg"
        made.append({
            "id": number * 2 + copy, "job_id": job, "path": path.encode(), "path_text": path,
            "size": image["size"], "modified_ns": 0, "state": image["state"], "reason": None,
            "mime": "image/jpeg", "sha256": image["sha256"], "image_id": number, "missing": False,
            "examined_at": _NOW,
        })  # fmt: skip
    return made


def _texts(image: _Row, of_one: random.Random) -> list[_Row]:
    """What the stages said: every second caption holds `picture`, one in 1,000 `zeppelin`, …"""
    words = [of_one.choice(_COLOURS), of_one.choice(_NOUNS), "beside a", of_one.choice(_NOUNS)]
    words += [w for w, one_in in (("picture", 2), ("harbour", 100), ("zeppelin", 1000))
              if of_one.randrange(one_in) == 0]  # fmt: skip
    if image["id"] % 5000 == 77:
        words.append("walrus")
    said = [("facts", "facts", " ".join(words))]
    if image["camera_model"]:
        said.append(("exif", "camera", image["camera_model"]))
    return [
        {"image_id": image["id"], "stage": stage, "field": field, "value": value}
        for stage, field, value in said
    ]


def _place(number: int, town: tuple[str, str, str, float, float], of_one: random.Random) -> _Row:
    name, country, code, latitude, longitude = town
    return {
        "image_id": number, "stage": "place", "latitude": latitude + of_one.gauss(0, 0.2),
        "longitude": longitude + of_one.gauss(0, 0.2), "town": name, "region": None,
        "country": country, "country_code": code,
    }  # fmt: skip
