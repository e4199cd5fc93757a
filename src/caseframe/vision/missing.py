"""Why captions cannot be had here: asked at the start of every scan, so this module is light."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from caseframe.domain.errors import CaseframeError

EXTRA = "pip install 'caseframe[describe]'"
PULL = "caseframe models pull BLIP"
NO_MODEL = f"no captioning model is installed; run: {PULL}"
_PACKAGES = ("torch", "transformers", "safetensors", "tokenizers")


def missing_extra() -> str | None:
    """What to install before a model can run, or None."""
    absent = [name for name in _PACKAGES if find_spec(name) is None]
    return f"{', '.join(absent)} is not installed; run: {EXTRA}" if absent else None


def missing(root: Path, preferred: str | None = None) -> str | None:
    """Why captions cannot work, with the command that mends it, or None. Takes milliseconds."""
    if (reason := missing_extra()) is not None:
        return reason
    if preferred is None and not folders(root):
        return NO_MODEL
    from caseframe.vision.store import ModelStore  # noqa: PLC0415 - not for who has no model

    try:
        ModelStore(root).installed_for("BLIP", preferred)
    except CaseframeError as error:
        return str(error)
    return None


def folders(root: Path) -> tuple[str, ...]:
    """Names of the models in this folder, whole or damaged; none where there is no folder."""
    try:
        found = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    except OSError:
        return ()
    return tuple(name for name in found if not name.startswith("."))
