"""Imported before the fork server is copied off: what it and the command line both need."""

from __future__ import annotations

from caseframe.pipeline import process  # noqa: F401 - what workers and their pool know
from caseframe.stages.registry import load_stages

load_stages()
