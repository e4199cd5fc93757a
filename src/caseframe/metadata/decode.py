"""Bytes of metadata turned into text, and what was wrong with them."""

from __future__ import annotations

from dataclasses import dataclass

from caseframe.domain.text import storable

_UTF8_MARK = "\x1b%G"
_ISO_8859 = {
    "A": "iso8859-1",
    "B": "iso8859-2",
    "C": "iso8859-3",
    "D": "iso8859-4",
    "F": "iso8859-7",
    "G": "iso8859-6",
    "H": "iso8859-8",
    "L": "iso8859-5",
    "M": "iso8859-9",
}
"""Final bytes of the ISO 2022 escapes `ESC - x` and `ESC . x` (96-character sets, ISO-IR)."""

_JIS_CODEC = "iso2022_jp"


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text fit to store; `problem` says what had to be guessed or replaced, None when nothing."""

    text: str
    problem: str | None = None


def plain(raw: bytes) -> Decoded:
    """UTF-8 (of which ASCII is a part), else Latin-1; trailing NULs are padding and dropped."""
    raw = raw.rstrip(b"\x00")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return _checked(raw.decode("latin-1"), "not UTF-8, read as Latin-1")
    return _checked(text, None)


def from_exiv2(text: str) -> Decoded:
    """Text from the binding, which maps bytes that are not UTF-8 to lone surrogates."""
    if text.isascii() and "\x00" not in text:
        return Decoded(text)
    return plain(text.encode("utf-8", "surrogateescape"))


def utf16_le(raw: bytes) -> Decoded:
    """Windows' XP tags: UTF-16, little-endian, ended by a NUL character."""
    problem = "odd number of bytes for UTF-16" if len(raw) % 2 else None
    text = raw[: len(raw) & ~1].decode("utf-16-le", "surrogatepass").rstrip("\x00")
    return _checked(text, problem)


def user_comment(raw: bytes, *, little_endian: bool) -> Decoded:
    """A value that starts with eight bytes naming its character code (Exif 3.0, UserComment).

    A value without such a mark is read as plain text. Of Unicode, the byte order of the file is
    tried last: many writers use the other one, and text mostly betrays its order.
    """
    mark, body = raw[:8], raw[8:]
    if mark == b"UNICODE\x00":
        codec = _utf16_codec(body, little_endian=little_endian)
        text = body[: len(body) & ~1].decode(codec, "surrogatepass")
        problem = "odd number of bytes for UTF-16" if len(body) % 2 else None
        return _checked(text.removeprefix("\ufeff").rstrip("\x00"), problem)
    if mark == b"JIS\x00\x00\x00\x00\x00":
        try:
            return _checked(body.rstrip(b"\x00").decode(_JIS_CODEC), None)
        except UnicodeDecodeError:
            return Decoded(plain(body).text, "not JIS, read as Latin-1")
    if mark in (b"ASCII\x00\x00\x00", b"\x00" * 8):
        return plain(body)
    return plain(raw)


def _utf16_codec(body: bytes, *, little_endian: bool) -> str:
    if body[:2] == b"\xff\xfe":
        return "utf-16-le"
    if body[:2] == b"\xfe\xff":
        return "utf-16-be"
    even, odd = body[0::2].count(0), body[1::2].count(0)
    if even != odd:
        return "utf-16-be" if even > odd else "utf-16-le"
    return "utf-16-le" if little_endian else "utf-16-be"


def iptc_codec(character_set: str | None) -> str | None:
    """The codec that an IPTC CodedCharacterSet escape names; None when it names none we know."""
    if not character_set:
        return None
    if character_set.startswith(_UTF8_MARK):
        return "utf-8"
    if character_set[:2] in ("\x1b-", "\x1b."):
        return _ISO_8859.get(character_set[2:])
    return None


def iptc(raw: bytes, codec: str | None) -> Decoded:
    """An IPTC string in the declared codec; undeclared, UTF-8 where it fits, else Latin-1."""
    if codec is None or codec == "utf-8":
        return plain(raw)
    return _checked(raw.rstrip(b"\x00").decode(codec, "replace"), None)


def _checked(text: str, problem: str | None) -> Decoded:
    fit = storable(text)
    if fit != text and problem is None:
        what = "NUL" if "\x00" in text else "lone surrogates"
        problem = f"holds {what}, stored as U+FFFD"
    return Decoded(fit, problem)
