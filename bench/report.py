"""Printing figures with their ratios and whether the aim is met."""

from __future__ import annotations

import os
import platform
from typing import TextIO


class Report:
    """Writes to a stream; remembers nothing but whether every aim was met."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.met = True

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def machine(self, date: str) -> None:
        """Say where and when this was measured."""
        cpu = next(
            (
                line.partition(":")[2].strip()
                for line in _lines("/proc/cpuinfo")
                if line.startswith("model name")
            ),
            platform.processor(),
        )
        self._print(f"{date}, {cpu}, {os.cpu_count()} cores, Python {platform.python_version()}")

    def heading(self, text: str) -> None:
        """Start a group of figures."""
        self._print(f"\n{text}")

    def line(self, name: str, value: str) -> None:
        """One figure without a rival."""
        self._print(f"  {name:<52} {value}")

    def compare(
        self, name: str, other: float | None, ours: float, *, at_least: float, unit: str = "files/s"
    ) -> None:
        """Ours against another's rate; `other` is None where it is not installed."""
        if other is None:
            self.line(name, "not installed here: not measured")
            return
        ratio = ours / other
        self._verdict(ratio >= at_least)
        self.line(
            name,
            f"{other:,.2f} {unit}; ratio {ratio:.2f}, aim {at_least:g}: {_word(ratio >= at_least)}",
        )

    def gain(
        self, name: str, ours: float, base: float, *, at_least: float, unit: str = "files/s"
    ) -> None:
        """Our rate, and how it stands to a rate that another line gives."""
        ratio = ours / base
        self._verdict(ratio >= at_least)
        said = f"ratio {ratio:.2f}, aim {at_least:g}: {_word(ratio >= at_least)}"
        self.line(name, f"{ours:,.2f} {unit}; {said}")

    def limit(self, name: str, value: float, *, at_most: float, unit: str) -> None:
        """A figure that must stay below a bound."""
        self._verdict(value <= at_most)
        self.line(name, f"{value:,.2f} {unit}, aim at most {at_most:g}: {_word(value <= at_most)}")

    def _verdict(self, met: bool) -> None:
        self.met = self.met and met


def _word(met: bool) -> str:
    return "met" if met else "MISSED"


def _lines(file: str) -> list[str]:
    try:
        with open(file, encoding="utf-8") as lines:
            return lines.readlines()
    except OSError:
        return []
