"""Text from evidence, made fit to store, without hiding that it was changed."""

from __future__ import annotations

REPLACEMENT = "�"


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
