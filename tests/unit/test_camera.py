"""One name for a camera."""

from __future__ import annotations

import pytest

from caseframe.domain.text import camera_body


@pytest.mark.parametrize(
    ("make", "model", "said"),
    [
        ("Canon", "Canon DIGITAL IXUS 70", "Canon DIGITAL IXUS 70"),
        ("NIKON CORPORATION", "NIKON D750", "NIKON D750"),
        ("Apple", "iPhone 6", "Apple iPhone 6"),
        ("Leica", None, "Leica"),
        (None, "D750", "D750"),
        (" ", "", None),
    ],
)
def test_the_maker_is_not_said_twice(make: str | None, model: str | None, said: str | None) -> None:
    assert camera_body(make, model) == said
