"""What every way of describing pictures looks like from outside, whatever model is behind it.

Work is split in two, because the two halves have different enemies. `prepare` meets hostile bytes
and may be killed by them: it runs in a process of a pool. `describe` needs the model in memory and
gains from many pictures at once: it runs in one thread beside the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Identity:
    """Which model wrote a description: what is stored beside each one."""

    name: str
    """As people ask for it: BLIP, BLIP_QUANTIZED, FACTS."""
    model: str
    """The model's full name, such as blip-base; for FACTS the version of its rules."""
    revision: str
    digest: str
    """SHA-256 (hex) over all that the words depend on: weights, vocabulary, settings."""


class Describer(Protocol):
    """Puts pictures into words."""

    batch: int
    """How many pictures it is worth taking together; at least 1."""

    @property
    def identity(self) -> Identity:
        """Known before the model is loaded."""

    @property
    def prepare(self) -> Callable[[bytes], Any]:
        """Bytes of a file to what `describe` takes; picklable, for a process of its own.

        It raises PictureError, whose message is fit for the person who sent the picture.
        """

    def load(self) -> None:
        """Bring the model into memory; a second call does nothing. Raises ModelUnavailable."""

    def describe(self, prepared: Sequence[Any]) -> list[str]:
        """One description each, in order; the same whatever stands beside it in the batch."""
