"""Words for people: cards, cells and sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseframe.cli.card import when, where
from caseframe.cli.export import cell
from caseframe.cli.summary import human_size


@pytest.mark.parametrize(
    ("captured", "words"),
    [
        (None, None),
        ("2016-07-15T06:48:02+02:00", "Friday, 15 July 2016, 06:48:02 (UTC+02:00)"),
        ("2016-07-15T06:48:02", "Friday, 15 July 2016, 06:48:02 by the camera's clock"),
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
    assert [human_size(n) for n in (0, 999, 1000, 1_500_000, 10**15)] == [
        "0 bytes", "999 bytes", "1.0 kB", "1.5 MB", "1,000.0 TB",
    ]  # fmt: skip
