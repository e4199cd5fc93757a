"""Turns the one pickle that is pinned by its digest into safetensors, in a process of its own.

`python -m caseframe.vision.convert SOURCE TARGET`. The reader takes tensors and plain containers
and executes nothing (`weights_only`); whatever else it might do dies with the process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from caseframe.domain.errors import CaseframeError
from caseframe.domain.text import one_line

# Other names of the word embeddings and the bias, and numbers that count up: made when loading.
_SAID_TWICE = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "position_ids")
_SECONDS = 1800


def to_safetensors(source: Path, target: Path) -> None:
    """Convert. Raises CaseframeError; then `target` does not exist."""
    part = target.with_suffix(".part")
    command = [sys.executable, "-m", "caseframe.vision.convert", str(source), str(part)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        part.unlink(missing_ok=True)
        raise CaseframeError(f"{source.name} cannot be converted: {error}") from error
    if done.returncode != 0:
        part.unlink(missing_ok=True)
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CaseframeError(f"{source.name} cannot be converted: {one_line(said or 'it died')}")
    part.replace(target)


def main(source: str, target: str) -> None:
    """Runs in the child process."""
    import torch  # noqa: PLC0415 - half a gigabyte, needed here only
    from safetensors.torch import save_file  # noqa: PLC0415

    tensors = torch.load(source, map_location="cpu", weights_only=True, mmap=True)
    kept = {
        name: tensor.detach().contiguous()
        for name, tensor in tensors.items()
        if not name.endswith(_SAID_TWICE)
    }
    save_file(kept, target, metadata={"format": "pt"})


if __name__ == "__main__":
    main(*sys.argv[1:])
