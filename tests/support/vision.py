"""A small describer that needs no model, and a running service around it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from caseframe.domain.errors import ModelUnavailable, PictureError
from caseframe.scanner.limits import Limits
from caseframe.scanner.picture import Picture
from caseframe.scanner.sniff import sniff
from caseframe.tls import TlsFiles
from caseframe.vision.decoding import DecoderOptions
from caseframe.vision.describer import Identity
from caseframe.vision.server import serving
from caseframe.vision.service import Models, ServiceOptions, VisionService

LIMITS = Limits(max_pixels=50_000_000)
WAIT = 60.0
KILLER, HANGER, EATER, STUMBLER = b"KILL me", b"HANG me", b"EAT memory", b"STUMBLE over"
BREAKER = (255, 0, 255)
"""The mean colour on which the model itself breaks."""


def mean_colour(data: bytes) -> tuple[int, int, int]:
    """The mean colour of a picture; some byte strings do to the decoder what hostile files do."""
    hostile = {KILLER: _die, HANGER: _hang, EATER: _eat, STUMBLER: _stumble}
    if data in hostile:
        hostile[data]()
    kind = sniff(data)
    if not kind.picture:
        raise PictureError(f"not a picture: {kind.mime}")
    picture = Picture(data, kind, LIMITS)
    pixels = picture.pixels(64)
    if picture.damage:
        raise PictureError(f"corrupt: {picture.damage}")
    red, green, blue = np.asarray(pixels).reshape(-1, 3).mean(axis=0)
    return round(red), round(green), round(blue)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _hang() -> None:
    while True:  # no call that a signal handler of Python's could interrupt
        time.sleep(60)


def _eat() -> None:
    raise AssertionError(f"{len(bytearray(1 << 34))} bytes fitted")


def _stumble() -> None:
    raise RuntimeError("a mistake of the decoder's own\nover two lines")


@dataclass
class Colours:
    """A `Describer` that names the mean colour, and remembers its batches."""

    name: str = "FACTS"
    batch: int = 4
    seconds: float = 0.0
    """How long each batch takes."""
    gate: threading.Event | None = None
    """While it is there and not set, the model waits for it."""
    no_load: str | None = None
    prepare: Callable[[bytes], Any] = mean_colour
    batches: list[int] = field(default_factory=list)
    loads: int = 0
    begun: threading.Event = field(default_factory=threading.Event)

    @property
    def identity(self) -> Identity:
        return Identity(self.name, f"colours-{self.name.lower()}", "1", "ab" * 32)

    def load(self) -> None:
        self.loads += 1
        if self.no_load is not None:
            raise ModelUnavailable(self.no_load)

    def describe(self, prepared: Sequence[Any]) -> list[str]:
        self.begun.set()
        if self.gate is not None:
            assert self.gate.wait(WAIT)
        time.sleep(self.seconds)
        if any(colour == BREAKER for colour in prepared):
            raise ValueError("this colour breaks the model")
        self.batches.append(len(prepared))
        return [f"{self.name} sees {red} {green} {blue}" for red, green, blue in prepared]


@dataclass
class Running:
    """A service in a thread of this process."""

    address: str
    service: VisionService
    loop: asyncio.AbstractEventLoop
    _end: Callable[[], None]
    _thread: threading.Thread

    def stop(self) -> None:
        """Stop it as a signal would, and wait until it has stopped."""
        self._end()
        self._thread.join(WAIT)
        assert not self._thread.is_alive()

    def begin_stop(self) -> None:
        """Stop it as a signal would, without waiting."""
        self._end()


@contextmanager
def running(
    models: Models,
    *,
    address: str = "127.0.0.1:0",
    tls: TlsFiles | None = None,
    grace: float = WAIT,
    decode_seconds: float = 30.0,
    **options: Any,
) -> Iterator[Running]:
    """A service over `models`, ready to answer unless its preferred model cannot load."""
    decoders = DecoderOptions(2, decode_seconds, 1_500_000_000, ("tests.support.vision",))
    chosen = ServiceOptions(**{"preferred": next(iter(models)), **options, "decoders": decoders})
    box: list[Running] = []
    there = threading.Event()

    async def main() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with serving(models, chosen, address, tls=tls, grace=grace) as served:
            await asyncio.wait([served.ready], timeout=WAIT)

            def stop() -> None:
                loop.call_soon_threadsafe(end.set)

            thread = threading.current_thread()
            box.append(Running(served.address, served.service, loop, stop, thread))
            there.set()
            await end.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        finally:
            there.set()

    thread = threading.Thread(target=run, name="vision-service")
    thread.start()
    assert there.wait(WAIT)
    assert box, "the service did not start"
    try:
        yield box[0]
    finally:
        if thread.is_alive():
            box[0].stop()


def eventually(holds: Callable[[], bool], seconds: float = WAIT) -> bool:
    """Whether something comes true; waits no longer than it must."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def socket_address(folder: Path) -> str:
    """An address in a folder of the test's own; short, as socket paths must be."""
    return f"unix:{folder / 's'}"
