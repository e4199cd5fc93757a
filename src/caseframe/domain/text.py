"""Text from evidence, made fit to store, without hiding that it was changed."""

from __future__ import annotations

import re

REPLACEMENT = "�"
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": r"\\"}
_PLAIN = {short: plain for plain, short in _SHORT.items()}
_ESCAPE = re.compile(r"\\(?:[nrt\\]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def storable(text: str) -> str:
    """The same text with what databases refuse (NUL, lone surrogates) replaced by U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", REPLACEMENT)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(REPLACEMENT if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)
    return text


def one_line(text: str, limit: int = 300) -> str:
    """Text for a reason or a log: storable, no control characters, at most `limit` long."""
    cleaned = "".join(c if c.isprintable() else " " for c in storable(text))
    cleaned = " ".join(cleaned.split())
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 file`, `1,200 files`; `many` where an s at the end does not make the plural."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def camera_body(make: str | None, model: str | None) -> str | None:
    """A camera as people say it: make and model, the maker not twice; None for neither.

    `NIKON CORPORATION` and `NIKON D750` are a `NIKON D750`.
    """
    maker, body = (make or "").strip(), (model or "").strip()
    if maker and body.lower().startswith(maker.split()[0].lower()):
        return body
    return f"{maker} {body}".strip() or None


def shown_path(path: bytes) -> str:
    r"""A path on one line: whole, and different for different paths.

    What cannot be seen or is no UTF-8 is written as an escape, of bytes (`\xff`) or of characters
    (`\u202e`); so a backslash is two of them. `meant_path` is the way back.
    """
    return "".join(map(_shown, path.decode("utf-8", "surrogateescape")))


def _shown(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():
        return character
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:  # surrogateescape: a byte that is no UTF-8
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def meant_path(text: str) -> bytes:
    """The path that `shown_path` shows as `text`; what is no escape of its stays as it is."""
    parts: list[bytes] = []
    end = 0
    for found in _ESCAPE.finditer(text):
        parts += text[end : found.start()].encode("utf-8", "surrogateescape"), _meant(found[0])
        end = found.end()
    return b"".join(parts) + text[end:].encode("utf-8", "surrogateescape")


def _meant(escape: str) -> bytes:
    if escape in _PLAIN:
        return _PLAIN[escape].encode()
    code = int(escape.lstrip("\\xuU"), 16)
    if escape[1] == "x":
        return bytes([code])
    return chr(code).encode("utf-8", "replace") if code <= 0x10FFFF else escape.encode()
