"""Work that follows a walk: what the one thread adds to the catalog, the other takes up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from caseframe.domain.errors import Stopped
from caseframe.domain.work import Order

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Walk:
    """How the walk goes: it is over, and perhaps because something broke."""

    over: threading.Event = field(default_factory=threading.Event)
    broken: threading.Event = field(default_factory=threading.Event)


@contextmanager
def beside(follow: Callable[[Walk], None]) -> Iterator[None]:
    """Run `follow` in a thread of its own while the block walks; wait for both.

    Raises what the block raises, else what `follow` does.
    """
    walk, failures = Walk(), list[BaseException]()

    def work() -> None:
        try:
            follow(walk)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            failures.append(error)

    thread = threading.Thread(target=work, name="queued", daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        walk.broken.set()
        raise
    finally:
        walk.over.set()
        thread.join()
    if failures:
        raise failures[0]


def coming(page: Callable[[int], list[tuple[int, Order]]], walk: Walk) -> Iterator[Order | None]:
    """Orders as the walk makes them possible; None while there are none.

    `page` gives some orders with their numbers, from the one behind a number on.
    """
    last, asked = 0, 0.0
    while True:
        over = walk.over.is_set()
        if walk.broken.is_set():
            raise Stopped
        if not over and time.monotonic() - asked < _LOOK_SECONDS:
            yield None
            continue
        asked = time.monotonic()
        found = page(last)
        yield from (order for _, order in found)
        if found:
            last, asked = found[-1][0], 0.0
        elif over:
            return
