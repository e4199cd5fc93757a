"""One sentence, whatever is known."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseframe.looks import colours, words
from caseframe.looks.sentence import MOST, Known, sentence

TEXT = st.none() | st.text(max_size=300)
KNOWN = st.builds(
    Known,
    kind=st.sampled_from(["photograph", "screenshot", "scan", "drawing", None]),
    sharpness=st.sampled_from(["sharp", "blurred", None]),
    brightness=st.sampled_from(["dark", "light", None]),
    colourless=st.booleans(),
    colours=st.lists(st.sampled_from(colours.NAMES), max_size=colours.MOST, unique=True),
    faces=st.none() | st.integers(0, 5000),
    camera=st.builds(words.camera, TEXT, TEXT),
    moment=st.builds(words.moment, st.none() | st.datetimes().map(lambda at: at.isoformat())),
    place=st.just("")
    | st.builds(
        words.place,
        TEXT,
        TEXT,
        st.none() | st.floats(0, 20_000),
        st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    ),
)


@given(KNOWN)
def test_it_is_one_well_formed_sentence(known: Known) -> None:
    said = sentence(known)
    assert said.startswith("A ")
    assert re.findall(r"[.!?](?=\s|$)", said) == ["."]
    assert said.endswith(".")
    assert not re.search(r"\s\s|\s[,.]|,,|,\.|[\r\n\t]", said)
    assert not set(said) & set("<>&")
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in said)
    assert len(said) <= MOST


@given(KNOWN)
def test_it_says_only_what_is_known(known: Known) -> None:
    said = sentence(Known(kind=known.kind, faces=known.faces))
    assert ("face" in said) is (known.faces is not None)
    assert ("no faces found" in said) is (known.faces == 0)
    assert "mostly" not in said
    assert "taken" not in said
    assert "made" not in said


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Known(), "A picture."),
        (Known(kind="drawing"), "A drawing."),
        (Known(faces=0), "A picture, with no faces found."),
        (Known(kind="photograph", faces=1), "A photograph, with 1 face."),
        (
            Known(kind="photograph", sharpness="blurred", brightness="dark", colourless=True),
            "A blurred, dark, black-and-white photograph.",
        ),
        (
            Known(kind="photograph", colourless=True, colours=("grey", "black")),
            "A black-and-white photograph.",
        ),
        (
            Known(kind="scan", sharpness="sharp", brightness="light", colours=("white",)),
            "A scan, mostly white.",
        ),
        (
            Known(kind="screenshot", brightness="dark", colourless=True, colours=("black",)),
            "A dark screenshot, mostly black.",
        ),
        (
            Known(kind="scan", moment="on 1 May 2001", camera="an Epson"),
            "A scan, made on 1 May 2001 with an Epson.",
        ),
        (
            Known(kind="photograph", colours=("blue", "white", "grey"), place="near Oslo"),
            "A photograph, mostly blue, white and grey, taken near Oslo.",
        ),
        (
            Known(
                kind="photograph",
                sharpness="sharp",
                brightness="light",
                colours=("red",),
                faces=2,
                camera="a Canon",
                moment="in May",
            ),
            "A sharp, light photograph, mostly red, with 2 faces, taken in May with a Canon.",
        ),
    ],
)
def test_how_it_reads(known: Known, expected: str) -> None:
    assert sentence(known) == expected
