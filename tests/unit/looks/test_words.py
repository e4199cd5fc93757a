"""Words of metadata inside a sentence."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caseframe.looks import words

ENDS = re.compile(r"[.!?](\s|$)")


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("NIKON CORPORATION", "NIKON D7000", "a Nikon D7000"),
        ("NIKON", "COOLPIX P6000", "a Nikon Coolpix P6000"),
        ("Canon", "Canon EOS 40D", "a Canon EOS 40D"),
        ("Apple", "iPhone 6s", "an Apple iPhone 6s"),
        ("EASTMAN KODAK COMPANY", "KODAK CX7530", "a Kodak CX7530"),
        ("CASIO COMPUTER CO.,LTD.", "EX-Z75", "a Casio Computer EX-Z75"),
        ("HTC", "One", "an HTC One"),
        ("LGE", None, "an LGE"),
        (None, "SM-G950F", "an SM-G950F"),
        ("SONY", "", "a Sony"),
        (None, "8.5", "an 8.5"),
        (None, None, ""),
        ("  \x00\n ", "???", ""),
        ("Corporation", None, ""),
    ],
)
def test_cameras(make: str | None, model: str | None, expected: str) -> None:
    assert words.camera(make, model) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2016-07-14T15:02:31", "on 14 July 2016 at 15:02"),
        ("2016-07-14T15:02:31.250+02:00", "on 14 July 2016 at 15:02"),
        ("2016-07-04T00:00:00Z", "on 4 July 2016 at 00:00"),
        ("2016-12-01", "on 1 December 2016"),
        ("2016-13-01T00:00:00", ""),
        ("yesterday", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_moments(at: str | None, expected: str) -> None:
    assert words.moment(at) == expected


@pytest.mark.parametrize(
    ("town", "country", "distance", "expected"),
    [
        ("Chamonix", "France", 3.2, "near Chamonix, France"),
        ("St. Moritz", "Switzerland", 30.0, "near St Moritz, Switzerland"),
        ("Takoradi", "Ghana", 579.4, "about 579 km from Takoradi, Ghana"),
        ("Monaco", "Monaco", 0.1, "near Monaco"),
        ("Oslo", None, None, "near Oslo"),
        (None, "France", 1.0, "at 45.92° N, 6.87° E"),
        ("\u202e", None, 1.0, "at 45.92° N, 6.87° E"),
    ],
)
def test_places(
    town: str | None, country: str | None, distance: float | None, expected: str
) -> None:
    assert words.place(town, country, distance, (45.923, 6.869)) == expected


def test_positions_in_the_south_and_west() -> None:
    assert words.place(None, None, None, (-4.5, -70.25)) == "at 4.50° S, 70.25° W"


@given(st.text(max_size=400))
@example("<script>alert(1)</script>")
@example("Nikon. It was stolen! Really?")
@example("a\u202eb\u2066c\u200fd")
@example("\u0301" * 40)
@example("..a..b. . .c")
@example("- ' / +")
@example("\ud800 x \x00 y")
@example("line\r\nbreak\u2028next")
def test_no_text_can_leave_its_place(text: str) -> None:
    found = words.plain(text)
    assert len(found) <= words.MOST
    assert not ENDS.search(found)
    assert not set(found) & set('<>&"`\n\r\t!?;:\u2028')
    assert "  " not in found
    assert found == found.strip()
    assert all(unicodedata.category(c)[0] in "LMN" or c in " -'’/+." for c in found)
    assert not found or any(c.isalnum() for c in found)
    assert not found or unicodedata.category(found[0])[0] != "M"


@given(st.text(max_size=80))
def test_what_is_plain_stays_so(text: str) -> None:
    assert words.plain(words.plain(text)) == words.plain(text)


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_camera_has_an_article_or_is_left_out(make: str, model: str) -> None:
    found = words.camera(make, model)
    assert not found or re.match(r"an? \S", found)
    assert len(found) <= words.MOST + len("an ") + words.MOST  # letters may grow by their capital
