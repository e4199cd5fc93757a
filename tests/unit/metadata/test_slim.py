"""What of a JPEG is handed to Exiv2: nothing where nothing is there, all of it when in doubt."""

from __future__ import annotations

import pytest
from tests import makers

from caseframe.metadata.slim import slim

_SEGMENT = {"APP1": b"\xff\xe1", "APP2": b"\xff\xe2", "APP13": b"\xff\xed", "COM": b"\xff\xfe"}


def with_segment(name: str, body: bytes = b"anything") -> bytes:
    plain = makers.photo(32, 24, 1, format="JPEG")
    return plain[:2] + _SEGMENT[name] + (len(body) + 2).to_bytes(2, "big") + body + plain[2:]


def handed(data: bytes) -> bytes | None:
    said: list[str] = []
    found = slim(data, said.append, said.append)
    assert said == []
    return found


@pytest.mark.parametrize("name", ["APP1", "APP13"])
def test_a_jpeg_with_room_for_metadata_is_handed_over_whole(name: str) -> None:
    data = with_segment(name)
    assert handed(data) == data


@pytest.mark.parametrize("name", ["APP2", "COM"])
def test_a_jpeg_without_is_not_handed_over(name: str) -> None:
    assert handed(with_segment(name)) is None


@pytest.mark.parametrize("odd", [b"\xff", b"\x00"], ids=["a fill byte", "no marker"])
def test_what_cannot_be_followed_to_the_scan_is_left_to_exiv2(odd: bytes) -> None:
    plain = makers.photo(32, 24, 1, format="JPEG")
    data = plain[:2] + odd + plain[2:]
    assert handed(data) == data


def test_a_jpeg_cut_before_its_scan_is_left_to_exiv2() -> None:
    data = makers.photo(32, 24, 1, format="JPEG")[:60]
    assert handed(data) == data
