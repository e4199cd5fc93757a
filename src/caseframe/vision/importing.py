"""Copying a model from a folder that somebody carried in, with every check before it counts."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from caseframe.domain.errors import CaseframeError, UsageError
from caseframe.vision.download import sha256_of
from caseframe.vision.manifest import PICKLE, WEIGHTS, PinnedModel
from caseframe.vision.safe import TAKEN

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


def copy(folder: Path, staging: Path, pinned: PinnedModel | None) -> None:
    """Copy the files of a model into `staging`; those of a `pinned` one must have its digests.

    Raises UsageError where it is no folder, CaseframeError for a link that leads out, a pickle that
    is not the pinned one, or a wrong digest.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    if pinned is not None:
        _copy_pinned(folder, staging, pinned)
        return
    names = sorted(entry.name for entry in os.scandir(folder))
    wanted = [name for name in names if name in TAKEN or name.endswith(".safetensors")]
    pickles = [name for name in names if name.endswith(_PICKLES)]
    if pickles and not any(name.endswith(".safetensors") for name in wanted):
        raise CaseframeError(
            f"{pickles[0]} is a pickle, which can run any program when it is read: it is never "
            "loaded; import the model saved as safetensors"
        )
    for name in wanted:
        _copy(folder, name, staging)


def _copy_pinned(folder: Path, staging: Path, pinned: PinnedModel) -> None:
    for file in pinned.files:
        if not (folder / file.name).is_file():
            raise CaseframeError(_not_it(pinned, f"{file.name} is not there", folder))
        _copy(folder, file.name, staging)
        wrong = file.sha256 is not None and sha256_of(staging / file.name) != file.sha256
        if wrong:
            raise CaseframeError(_not_it(pinned, f"{file.name} has another checksum", folder))
        if file.sha256 is None and file.name in {WEIGHTS, PICKLE}:
            raise CaseframeError(_not_it(pinned, f"no checksum of {file.name} is known", folder))


def _not_it(pinned: PinnedModel, reason: str, folder: Path) -> str:
    return (
        f"this is not {pinned.name} ({pinned.source} at {pinned.revision[:12]}): {reason}; for a "
        f"model of your own: caseframe models import {folder} --name OTHER-NAME"
    )


def _copy(folder: Path, name: str, staging: Path) -> None:
    """Copy one regular file; a link may lead to a neighbour, not out of the folder."""
    source = Path(os.path.realpath(folder / name))
    if source.parent != Path(os.path.realpath(folder)):
        raise CaseframeError(
            f"{name} is a link that leads out of {folder}; copy the files themselves (cp -rL)"
        )
    try:
        with open(source, "rb", opener=_open_file) as taken, (staging / name).open("xb") as copied:
            if not stat.S_ISREG(os.fstat(taken.fileno()).st_mode):
                raise CaseframeError(f"{name} is not a file; put the file itself there")
            shutil.copyfileobj(taken, copied, 1 << 20)
    except FileNotFoundError as error:
        raise CaseframeError(
            f"{name} cannot be read: it leads nowhere; copy the files themselves (cp -rL)"
        ) from error


def _open_file(path: str, flags: int) -> int:
    # A pipe must not make us wait, a link that just appeared must not be followed.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
