"""One picture in a form that a person likes to read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from caseframe.catalog.records import Record
from caseframe.cli.export import path_of
from caseframe.cli.summary import human_size
from caseframe.domain.evidence import FileState
from caseframe.domain.text import camera_body, counted, one_line, shown_path
from caseframe.looks import words

_MOST_VALUES = 12
_OTHERWISE = {"caption", "facts"}
"""Results that have words of their own on a card."""
_OF_PATHS = {"same bytes", "look-alikes"}
_EXPOSURE = ("ExposureTime", "FNumber", "ISO", "FocalLength")


@dataclass(frozen=True, slots=True)
class Card:
    """A record with the other paths of the same content, and (distance, path) of look-alikes.

    `facts` and `caption` are the words of the stages of those names, None where there are none.
    """

    record: Record
    same: list[bytes]
    near: list[tuple[int, bytes]]
    facts: str | None = None
    caption: str | None = None


def print_card(card: Card) -> None:
    """Print a card to standard output."""
    console = Console(highlight=False)
    console.print(Text(shown_path(path_of(card.record)), style="bold"), soft_wrap=True)
    rows = [(name, value) for name, value in _rows(card) if value]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        if name in _OF_PATHS:  # a path that is broken into lines is another path
            _print_whole(console, name.ljust(width), value.splitlines())
        else:
            console.print(_row(name, value, width))


def _print_whole(console: Console, name: str, lines: list[str]) -> None:
    for at, line in enumerate(lines):
        head = name if at == 0 else " " * len(name)
        console.print(Text.assemble((head, "dim"), " ", line), soft_wrap=True)


def _row(name: str, value: str, width: int) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    table.add_row(name, Text(value))
    return table


def _rows(card: Card) -> list[tuple[str, str | None]]:
    record = card.record
    return [
        ("what", _what(record)),
        ("missing now", "the last scan did not find it" if record.get("missing") else None),
        ("when", when(record["captured_at"])),
        ("where", where(record["place"])),
        ("camera", _camera(record)),
        ("exposure", _exposure(record)),
        ("faces", _faces(record)),
        ("caption", f"{card.caption} (a model's words)" if card.caption else None),
        ("facts", f"{card.facts} (by FACTS, from measured facts)" if card.facts else None),
        *(
            (name, _answer(found))
            for name, found in record["results"].items()
            if name not in _OTHERWISE
        ),
        ("sha256", record["sha256"]),
        ("sha1", record["sha1"]),
        ("md5", record["md5"]),
        ("looks", f"PDQ {record['pdq']}" if record["pdq"] else None),
        ("file", f"{human_size(record['size'])}, modified {record['modified']}"),
        ("same bytes", "\n".join(map(shown_path, card.same))),
        ("look-alikes", "\n".join(f"{shown_path(p)} ({d} of 256 bits)" for d, p in card.near)),
        ("stages", ", ".join(f"{name} {state}" for name, state in record["stages"].items())),
        ("problems", "\n".join(f"{p['stage']}: {p['reason']}" for p in record["problems"])),
    ]


def _answer(found: Any) -> str:
    """What a stage of another maker found: a line for each value, the first ones."""
    lines = [f"{name}: {value}" if name else value for name, value in _values("", found)]
    left = len(lines) - _MOST_VALUES
    more = [f"… {left} more (--json shows all)"] if left > 0 else []
    return "\n".join([*lines[:_MOST_VALUES], *more])


def _values(name: str, found: Any) -> Iterator[tuple[str, str]]:
    """(path of names, value) of everything in it."""
    if isinstance(found, dict):
        for key, part in found.items():
            yield from _values(f"{name}.{one_line(key)}" if name else one_line(key), part)
    elif isinstance(found, list) and not any(isinstance(part, dict | list) for part in found):
        yield name, one_line(", ".join(_word(part) for part in found))
    elif isinstance(found, list):
        for number, part in enumerate(found, 1):
            yield from _values(f"{name}[{number}]", part)
    else:
        yield name, one_line(_word(found))


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _what(record: Record) -> str:
    parts: list[str | None] = []
    if record["format"]:
        parts.append(record["format"])
    if record["width"]:
        parts.append(f"{record['width']} x {record['height']}")
        parts.append(megapixels(record["width"] * record["height"]))
    if record["colorspace"]:
        depth = f", {counted(record['bit_depth'], 'bit')} a channel" if record["bit_depth"] else ""
        parts.append(record["colorspace"] + depth)
    if record["resolution_dpi"]:
        parts.append(f"{record['resolution_dpi']:g} dpi")
    if (record["orientation"] or 1) != 1:
        parts.append(f"turned upright (EXIF orientation {record['orientation']})")
    said = ", ".join(filter(None, parts))
    if not said:
        return _why_not(record)
    return said if record["state"] == FileState.PICTURE else f"{_state(record)}: {said}"


def megapixels(pixels: int) -> str | None:
    """A number of pixels in words; None for so few that it says nothing."""
    shown = f"{pixels / 1e6:,.1f}".removesuffix(".0")
    return None if shown == "0" else f"{shown} megapixel{'' if shown == '1' else 's'}"


def _state(record: Record) -> str:
    state: str = record["state"]
    return state.replace("-", " ")


def _why_not(record: Record) -> str:
    said: str = record["reason"] or record["mime"]
    state = _state(record)
    return said if said.startswith(state) else f"{state}: {said}"


def when(captured: str | None) -> str | None:
    """A capture time in words, as exact as it is, with what is known of its zone."""
    if not captured:
        return None
    try:
        moment = datetime.fromisoformat(captured)
    except ValueError:
        return captured
    day = moment.strftime("%A, %-d %B %Y")
    clock = captured[len("2016-07-14T") :]
    if not clock:
        return day
    time = moment.strftime("%H:%M:%S" if clock[5:6] == ":" else "%H:%M")
    offset = moment.strftime("%z")
    zone = f" (UTC{offset[:3]}:{offset[3:5]})" if offset else " by the camera's clock"
    return f"{day}, {time}{zone}"


def where(place: Record | None) -> str | None:
    """A place in words: the nearest town, and the coordinates it was named from."""
    if not place:
        return None
    latitude, longitude = place["latitude"], place["longitude"]
    at = (
        f"{abs(latitude):.5f}° {'N' if latitude >= 0 else 'S'}, "
        f"{abs(longitude):.5f}° {'E' if longitude >= 0 else 'W'}"
    )
    if place.get("altitude_m") is not None:
        height = place["altitude_m"]
        at += f", {abs(height):.0f} m {'below' if height < 0 else 'above'} the sea"
    town, country = place.get("town"), place.get("country")
    near = words.place(town, country, place.get("distance_km"), (latitude, longitude))
    return f"{near} ({at})" if words.plain(town) else at


def _camera(record: Record) -> str | None:
    camera = record["camera"]
    if not camera:
        return None
    body = camera_body(camera["make"], camera["model"])
    return ", ".join(part for part in (body, camera["lens"]) if part)


def _exposure(record: Record) -> str | None:
    exif = record["metadata"].get("Exif", {})
    shown = {name: exif[name] for name in _EXPOSURE if name in exif}
    parts = []
    if "ExposureTime" in shown:
        parts.append(f"{shown['ExposureTime']} s")
    if "FNumber" in shown:
        parts.append(f"f/{shown['FNumber']}")
    if "ISO" in shown:
        parts.append(f"ISO {shown['ISO']}")
    if "FocalLength" in shown:
        parts.append(str(shown["FocalLength"]))
    return ", ".join(parts)


def _faces(record: Record) -> str | None:
    found = record["faces"]
    if not found:
        return "none found" if record["stages"].get("faces") == "done" else None
    boxes = "; ".join(f"{f['width']} x {f['height']} at {f['x']}, {f['y']}" for f in found)
    return f"{len(found)}: {boxes}"
