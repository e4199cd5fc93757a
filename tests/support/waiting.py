"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

_WAIT = 120.0


def eventually(holds: Callable[[], object], seconds: float = _WAIT) -> None:
    """Wait until something holds, no longer than it must; AssertionError when it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.05)
