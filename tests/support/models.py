"""Captioning models for tests: made once a run, small enough to be made anywhere."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.makers.tiny_blip import make_tiny_blip

_PACKAGES = ("torch", "transformers", "safetensors", "tokenizers")


def require_torch() -> None:
    """Skip, loudly, where the extra `describe` is not installed; in CI that is a failure."""
    absent = [name for name in _PACKAGES if find_spec(name) is None]
    if not absent:
        return
    reason = f"{', '.join(absent)} not installed: no captioning model is tested"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def tiny_blip(folder: Path, *, seed: int = 0) -> Path:
    """`make_tiny_blip` where it can be made; else the test is skipped."""
    require_torch()
    os.environ["HF_HUB_OFFLINE"] = "1"
    return make_tiny_blip(folder, seed=seed)
