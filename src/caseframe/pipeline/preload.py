"""Imported by the fork server only: what every worker needs, loaded once and shared by all."""

from __future__ import annotations

import contextlib

import caseframe.pipeline.worker
from caseframe.stages.registry import load_stages

load_stages()
with contextlib.suppress(ImportError):  # stages import these when they first run
    import caseframe.looks.measure
    import caseframe.metadata.read
    import caseframe.stages.gazetteer
    import caseframe.stages.pdq

__all__ = ["caseframe"]
