"""One thread for one model: it takes what waits, as many pictures at once as the model likes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from caseframe.domain.errors import CaseframeError, ModelUnavailable, VisionAway, VisionFailed
from caseframe.domain.text import one_line
from caseframe.vision.describer import Describer

_log = structlog.get_logger(__name__)
# A batch waits for pictures that are being decoded beside us, as long as nobody can notice it.
_SHARE, _LEAST, _MOST = 0.05, 0.005, 0.1


def linger(seconds: float) -> float:
    """How long a batch may wait for company, in seconds, where the last batch took `seconds`.

    A fill of one picture costs a model that always computes a whole batch as much as eight do.
    """
    return min(_MOST, max(_LEAST, _SHARE * seconds))


@dataclass(frozen=True)
class _Item:
    """A prepared picture, and where its description goes."""

    prepared: Any
    future: Future[str] = field(default_factory=Future)


class Batcher:
    """The thread in which a model lives: it loads it when first needed, and describes."""

    def __init__(self, describer: Describer) -> None:
        self._describer = describer
        self._waiting: queue.SimpleQueue[_Item | Future[None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self.loaded = False
        self.reason: str | None = None
        """Why the model could not be loaded when that was last tried."""
        self._took = 0.0
        self.coming = 0
        """Pictures that are being prepared for this model; the server keeps this number."""
        self._thread = threading.Thread(
            target=self._run, name=f"model-{describer.identity.name}", daemon=True
        )
        self._thread.start()

    def load(self) -> Future[None]:
        """Bring the model into memory; the future ends with ModelUnavailable where it cannot."""
        wanted: Future[None] = Future()
        self._put(wanted, wanted)
        return wanted

    def submit(self, prepared: Any) -> Future[str]:
        """Describe one prepared picture; cancelled before its batch, it costs the model nothing.

        The future may end with ModelUnavailable, or with VisionFailed when the model broke on it.
        """
        item = _Item(prepared)
        self._put(item, item.future)
        return item.future

    def _put(self, entry: _Item | Future[None], future: Future[Any]) -> None:
        with self._lock:
            if not self._closed:
                self._waiting.put(entry)
                return
        future.set_exception(VisionAway("the vision service is stopping"))

    def close(self, seconds: float = 5.0) -> bool:
        """End the thread after its batch; False when it is still at it after `seconds`."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            entry = self._waiting.get()
            if entry is None:
                return
            if isinstance(entry, Future):
                self._answer_load(entry)
            elif not self._batch(entry):
                return

    def _answer_load(self, wanted: Future[None]) -> None:
        if not wanted.set_running_or_notify_cancel():
            return
        try:
            self._load()
        except CaseframeError as error:
            wanted.set_exception(error)
        else:
            wanted.set_result(None)

    def _load(self) -> None:
        if self.loaded:
            return
        name = self._describer.identity.name
        started = time.perf_counter()
        try:
            self._describer.load()
        except Exception as error:  # the libraries of models raise anything
            known = isinstance(error, ModelUnavailable)
            said = error if known else f"it cannot be loaded: {type(error).__name__}: {error}"
            self.reason = one_line(str(said))
            raise ModelUnavailable(self.reason) from error
        self.loaded, self.reason = True, None
        seconds = round(time.perf_counter() - started, 2)
        _log.info("model loaded", model=name, seconds=seconds)

    def _batch(self, first: _Item) -> bool:
        """Describe `first` and what else waits; False when the end was met on the way."""
        items, go_on = [first], True
        until = time.monotonic() + linger(self._took)
        while len(items) < self._describer.batch and go_on:
            patience = until - time.monotonic() if self.coming else 0
            try:
                entry = self._waiting.get(timeout=patience) if patience > 0 else self._next()
            except queue.Empty:
                break
            if isinstance(entry, _Item):
                items.append(entry)
            elif entry is None:
                go_on = False
            else:
                self._answer_load(entry)
        wanted = [item for item in items if item.future.set_running_or_notify_cancel()]
        if wanted:
            started = time.monotonic()
            self._describe(wanted)
            self._took = time.monotonic() - started
        return go_on

    def _next(self) -> _Item | Future[None] | None:
        return self._waiting.get_nowait()

    def _describe(self, items: Sequence[_Item]) -> None:
        try:
            self._load()
            said = self._describer.describe([item.prepared for item in items])
            if len(said) != len(items):
                raise VisionFailed(f"the model gave {len(said)} answers for {len(items)} pictures")
        except ModelUnavailable as error:
            for item in items:
                item.future.set_exception(error)
        except Exception as error:  # noqa: BLE001 - the boundary of one batch: each gets its reason
            self._one_by_one(items, error)
        else:
            for item, words in zip(items, said, strict=True):
                item.future.set_result(words)

    def _one_by_one(self, items: Sequence[_Item], error: Exception) -> None:
        """A picture on which the model breaks must not take its neighbours along."""
        if len(items) > 1:
            for item in items:
                self._describe([item])
            return
        _log.warning("the model broke on a picture", error=one_line(repr(error)))
        said = one_line(f"the model broke on it: {type(error).__name__}: {error}")
        with suppress(Exception):
            items[0].future.set_exception(VisionFailed(said))
