"""Types by content (S16): a picture is one by its bytes, whatever it is called."""

from __future__ import annotations

import struct

import pytest
from tests import makers

from caseframe.scanner.sniff import extension_note, sniff


@pytest.mark.parametrize("kind", makers.FORMATS)
def test_every_format_is_known_by_its_bytes(kind: str) -> None:
    found = sniff(makers.photo(64, 48, 1, format=kind))
    assert found.picture
    assert found.format.upper() == {"HEIF": "HEIC"}.get(kind, kind)


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"", "inode/x-empty"),
        (b"hello, world\n", "text/plain"),
        (b"BM is how this letter starts, and it is no bitmap", "text/plain"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(64), "video/mp4"),
        (b"PK\x03\x04" + bytes(40), "application/zip"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(64), "image/x-canon-cr3"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(40), "image/x-canon-cr2"),
        (b"\x01\x02\x03\x04" * 30, "application/octet-stream"),
    ],
)
def test_other_content(data: bytes, mime: str) -> None:
    found = sniff(data)
    assert (found.mime, found.picture) == (mime, False)


def _tiff(*entries: tuple[int, int, int]) -> bytes:
    rows = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4)


@pytest.mark.parametrize(
    ("entries", "mime"),
    [
        ([(256, 4, 64), (259, 3, 1)], "image/tiff"),
        ([(254, 4, 1), (271, 2, 0), (330, 4, 200)], "image/x-raw"),
        ([(259, 3, 34713)], "image/x-raw"),
        ([(50706, 1, 0x0104)], "image/x-adobe-dng"),
    ],
)
def test_camera_raw_files_are_not_taken_for_tiff(
    entries: list[tuple[int, int, int]], mime: str
) -> None:
    assert sniff(_tiff(*entries)).mime == mime


def test_what_other_programs_hand_to_helpers_is_no_picture() -> None:
    found = {name: sniff(data).picture for name, data in makers.delegates().items()}
    assert [name for name, picture in found.items() if picture] == ["php.gif"]


@pytest.mark.parametrize(
    ("name", "noted"),
    [
        (b"a.jpg", True),
        (b"a.PNG", False),
        (b"a", False),
        (b".hidden", False),
        (b"a.backup-of-mine", False),
        (b"folder.jpg/a", False),
        (b"a.txt", True),
        (b"a.jpg.", False),
    ],
)
def test_a_wrong_extension_is_noted(name: bytes, noted: bool) -> None:
    png = sniff(makers.photo(8, 8, 1, format="PNG"))
    assert (extension_note(name, png) is not None) is noted


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (b"a.JPG", b"just text", "the extension .jpg is wrong: the content is text/plain"),
        (b"a.heic", b"", "the extension .heic is wrong: the file is empty"),
        (b"a.png", b"\x00\x01\xfe", "the extension .png is wrong: the content is of no known type"),
        (b"a.txt", b"PK\x03\x04", None),
        (b"a", b"", None),
    ],
)
def test_what_is_named_like_a_picture_and_is_none_is_noted(
    name: bytes, data: bytes, said: str | None
) -> None:
    assert extension_note(name, sniff(data)) == said
