"""Words for people: cards, cells and sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseframe.cli.card import megapixels, when, where
from caseframe.cli.export import cell
from caseframe.cli.show_progress import plain_line
from caseframe.cli.summary import human_size
from caseframe.domain.text import counted, meant_path, shown_path
from caseframe.pipeline.progress import Progress


@pytest.mark.parametrize(
    ("captured", "words"),
    [
        (None, None),
        ("2016-07-15T06:48:02+02:00", "Friday, 15 July 2016, 06:48:02 (UTC+02:00)"),
        ("2016-07-15T06:48:02", "Friday, 15 July 2016, 06:48:02 by the camera's clock"),
        ("2008-10-22T16:28:05.25", "Wednesday, 22 October 2008, 16:28:05 by the camera's clock"),
        ("2008-10-22T16:28", "Wednesday, 22 October 2008, 16:28 by the camera's clock"),
        ("2008-10-22T16:28-03:30", "Wednesday, 22 October 2008, 16:28 (UTC-03:30)"),
        ("2008-10-22", "Wednesday, 22 October 2008"),
        ("2008-10", "2008-10"),
        ("sometime", "sometime"),
    ],
)
def test_times(captured: str | None, words: str | None) -> None:
    assert when(captured) == words


def test_places() -> None:
    place = {"latitude": -45.5, "longitude": 6.25, "altitude_m": 0.0, "town": "Näm", "country": "X"}
    assert where(place) == "near Näm, X (45.50000° S, 6.25000° E, 0 m above the sea)"
    assert where({**place, "town": None, "altitude_m": None}) == "45.50000° S, 6.25000° E"
    assert where({**place, "altitude_m": -430.2, "town": None}) == (
        "45.50000° S, 6.25000° E, 430 m below the sea"
    )
    assert where(None) is None


@pytest.mark.parametrize(
    ("away", "words"),
    [(0.4, "near Takoradi"), (579.2, "about 579 km from Takoradi"), (None, "near")],
)
def test_a_place_is_near_only_what_is_near(away: float | None, words: str) -> None:
    place = {"latitude": 0.0, "longitude": 0.0, "town": "Takoradi", "country": "Ghana"}
    shown = where({**place, "distance_km": away})
    assert shown is not None
    assert shown.startswith(words)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"a  b.jpg", "a  b.jpg"),
        (b" \xc3\xa4 ", " ä "),
        (b"a\nb.jpg", r"a\nb.jpg"),
        (rb"a\nb.jpg", r"a\\nb.jpg"),
        ("\u202egpj.exe".encode(), r"\u202egpj.exe"),
        (b"\x1b[2J\x85", r"\x1b[2J\x85"),
        ("\x85".encode(), r"\u0085"),
        ("\U000e0041".encode(), r"\U000e0041"),
        (b"d/" * 400, "d/" * 400),
    ],
)
def test_paths_are_shown_whole_and_come_back(path: bytes, shown: str) -> None:
    assert shown_path(path) == shown
    assert meant_path(shown) == path


@given(st.binary(), st.binary())
def test_different_paths_are_shown_differently(path: bytes, other: bytes) -> None:
    shown = shown_path(path)
    assert shown.isprintable()
    assert meant_path(shown) == path
    assert (shown == shown_path(other)) == (path == other)


@given(st.text())
def test_any_text_may_be_meant(text: str) -> None:
    meant_path(text.encode("utf-8", "replace").decode())


def test_one_is_no_plural() -> None:
    assert (counted(1, "file"), counted(0, "file"), counted(1200, "file")) == (
        "1 file", "0 files", "1,200 files",
    )  # fmt: skip
    assert plain_line(Progress(seen=1, unchanged=1)).startswith("1 file, ")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (-6.5, "-6.5"),
        (0, "0"),
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("  =1+1", "'  =1+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("a\r\nb", "a\\r\\nb"),
        ("\t=1", "'\\t=1"),
    ],
)
def test_cells(value: object, written: str) -> None:
    assert cell(value) == written


@given(st.text())
def test_no_text_makes_a_formula_or_a_line(text: str) -> None:
    written = cell(text)
    assert written.isprintable()
    assert not written.lstrip(" ").startswith(("=", "+", "-", "@"))


def test_sizes() -> None:
    assert [human_size(n) for n in (0, 1, 999, 1000, 1_500_000, 10**15)] == [
        "0 bytes", "1 byte", "999 bytes", "1.0 kB", "1.5 MB", "1,000.0 TB",
    ]  # fmt: skip


def test_megapixels() -> None:
    assert [megapixels(n) for n in (96 * 64, 614_400, 1_000_000, 24_160_000, 60_000**2)] == [
        None, "0.6 megapixels", "1 megapixel", "24.2 megapixels", "3,600 megapixels",
    ]  # fmt: skip
