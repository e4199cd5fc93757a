"""Exif, IPTC and XMP by Exiv2, as raw text and as readable values, within bounds.

Importing this module loads Exiv2, so the stage does it only once it is going to work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import exiv2

from caseframe.domain.errors import StageError
from caseframe.metadata.record import Reading
from caseframe.metadata.slim import slim
from caseframe.metadata.tags import exif_tags
from caseframe.metadata.words import iptc_tags, xmp_tags

_LINES_MOST = 1000
"""Warnings of one picture that are held; Exiv2 may give one for every entry."""


class _Collector(logging.Handler):
    """Holds what Exiv2 says about the picture that this thread is reading."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.here = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        lines: list[str] | None = getattr(self.here, "lines", None)
        if lines is not None and len(lines) < _LINES_MOST:
            lines.append(record.getMessage())


_COLLECTOR = _Collector()


def listen() -> None:
    """Send Exiv2's warnings to the picture being read instead of standard error; idempotent."""
    logger = logging.getLogger("exiv2")
    if _COLLECTOR not in logger.handlers:
        logger.addHandler(_COLLECTOR)
    logger.propagate = False
    exiv2.LogMsg.setLevel(exiv2.LogMsg.Level.warn)
    exiv2.LogMsg.setHandler(exiv2.pythonHandler)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    lines: list[str] = []
    _COLLECTOR.here.lines = lines
    try:
        yield lines
    finally:
        _COLLECTOR.here.lines = None


def read(data: bytes) -> Reading:
    """Everything that can be read; empty when there is nothing or the format can hold nothing.

    Raises StageError when there are metadata and none of them can be read.
    """
    reading = Reading()
    slimmed = slim(data, reading.flag, reading.lose)
    if slimmed is not None:
        with _warnings() as lines:
            image, failure = _opened(slimmed)
            if image is not None:
                exif_tags(image, reading)
                iptc_tags(image.iptcData(), reading)
                xmp_tags(image.xmpData(), reading)
                reading.close()
        for line in dict.fromkeys(lines):
            reading.lose(f"Exiv2: {line}")
        if failure is not None:
            reading.lose(f"Exiv2 stopped: {failure}")
    if reading.lost is not None and not reading.raw:
        raise StageError(f"metadata cannot be read: {reading.lost}")
    return reading


def _opened(data: bytes) -> tuple[Any, str | None]:
    """Exiv2's image (None when the format is not one of its own), and why reading it failed."""
    try:
        image = exiv2.ImageFactory.open(data)
    except exiv2.Exiv2Error as error:
        if error.code == exiv2.ErrorCode.kerMemoryContainsUnknownImageType:
            return None, None
        return None, error.message
    try:
        image.readMetadata()
    except exiv2.Exiv2Error as error:
        return image, error.message
    return image, None
