"""Bytes of a picture to what BLIP looks at. No torch here: it runs in processes that may die."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from caseframe.domain.errors import OverLimit, PictureError
from caseframe.domain.text import one_line
from caseframe.scanner.limits import Limits
from caseframe.scanner.picture import Picture
from caseframe.scanner.sniff import sniff

# A JPEG may be decoded at a fraction that still has this many pixels for each one that is kept.
_SPARE = 2


@dataclass(frozen=True)
class Prepare:
    """Makes pictures of `side` x `side` pixels out of files. Picklable."""

    side: int
    limits: Limits = field(default_factory=Limits)

    def __call__(self, data: bytes) -> npt.NDArray[np.uint8]:
        """The upright picture, RGB, shape (side, side, 3), squeezed as BLIP was trained on.

        Raises PictureError (OverLimit above the limits) with the reason; a picture that decodes
        only in part counts as corrupt.
        """
        if not data:
            raise PictureError("not a picture: it is empty")
        if len(data) > self.limits.max_file_bytes:
            raise OverLimit(
                f"{len(data):,} bytes is over the limit of {self.limits.max_file_bytes:,} bytes"
            )
        kind = sniff(data)
        if not kind.picture:
            raise PictureError(f"not a picture ({kind.mime})")
        picture = Picture(data, kind, self.limits)
        info = picture.info
        pixels = picture.pixels(self._enough(info.width, info.height))
        if picture.damage is not None:
            raise PictureError(f"corrupt: {one_line(picture.damage)}")
        size = (self.side, self.side)
        # Bicubic with a support that grows with the reduction, as BlipImageProcessor does it.
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))

    def _enough(self, width: int, height: int) -> int:
        """The longer side to decode at, so that the shorter one keeps enough pixels as well."""
        short, long = sorted((max(1, width), max(1, height)))
        return math.ceil(long * min(1.0, _SPARE * self.side / short))
