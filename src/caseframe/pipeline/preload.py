"""Imported by the fork server only: what every worker needs, loaded once and shared by all."""

from __future__ import annotations

import contextlib
import gc
from importlib import import_module

_LATER = (  # stages import these when they first run
    "caseframe.looks.measure",
    "caseframe.metadata.read",
    "caseframe.stages.gazetteer",
    "caseframe.stages.pdq",
)


def _load() -> None:
    import_module("caseframe.pipeline.worker")
    import_module("caseframe.stages.registry").load_stages()
    for name in _LATER:
        with contextlib.suppress(ImportError):
            import_module(name)


gc.disable()  # all of it stays: to look through it again and again only delays the workers
_load()
gc.freeze()  # and workers do not write to pages that they share
gc.enable()
