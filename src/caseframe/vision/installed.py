"""An installed model: a folder of files, and `installed.json`, which says what they must be."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from caseframe.domain.errors import ModelUnavailable, UsageError
from caseframe.vision.download import sha256_of

RECORD = "installed.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FORMAT = 1


@dataclass(frozen=True)
class StoredFile:
    """A file as it was installed. Size in bytes; the time is that of its last change."""

    name: str
    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True)
class Installed:
    """One model on this machine."""

    folder: Path
    name: str
    source: str
    """Repository or folder that it came from."""
    revision: str
    """Git commit of the repository; for a user's own model `sha256:` and the start of `digest`."""
    licence: str | None
    """SPDX identifier; None where nobody said it."""
    came: str
    """pull or import."""
    at: str
    """When, ISO 8601 in UTC."""
    files: tuple[StoredFile, ...]
    converted_from: str | None = None
    """SHA-256 of the pickle that the weights were converted from."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over names and digests of all files."""
        return digest_of({file.name: file.sha256 for file in self.files})

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files)


def digest_of(files: dict[str, str]) -> str:
    """One SHA-256 (hex) for files given as name and SHA-256."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def check_name(name: str) -> str:
    """The name, if a model can be called that. Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a model: small letters, digits, dot, dash and "
            "underscore, at most 64, first a letter or digit"
        )
    return name


def stored(path: Path) -> StoredFile:
    """The record of a file as it stands."""
    found = path.stat()
    return StoredFile(path.name, found.st_size, sha256_of(path), found.st_mtime_ns)


def write_record(model: Installed) -> None:
    """Write `installed.json`, whole or not at all."""
    said = {"format": _FORMAT, **asdict(model)}
    del said["folder"]
    path = model.folder / f"{RECORD}.part"
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(said, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    path.replace(model.folder / RECORD)


def read_record(folder: Path) -> Installed:
    """What `installed.json` of this folder says; its files are not looked at.

    Raises ModelUnavailable: none is there, or one that is not ours.
    """
    try:
        said = json.loads((folder / RECORD).read_bytes())
        return _from_record(folder, said)
    except FileNotFoundError as error:
        raise _damaged(folder, "nothing was completely installed there") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, f"its {RECORD} cannot be read") from error


def _from_record(folder: Path, said: dict[str, Any]) -> Installed:
    if said["format"] != _FORMAT or said["name"] != folder.name:
        raise ValueError
    files = tuple(
        StoredFile(_base(f["name"]), int(f["size"]), str(f["sha256"]), int(f["mtime_ns"]))
        for f in said["files"]
    )
    return Installed(
        folder=folder,
        name=folder.name,
        source=str(said["source"]),
        revision=str(said["revision"]),
        licence=said["licence"],
        came=str(said["came"]),
        at=str(said["at"]),
        files=files,
        converted_from=said.get("converted_from"),
    )


def _base(name: str) -> str:
    if name != os.path.basename(name) or name in {"", ".", ".."}:
        raise ValueError
    return name


def _damaged(folder: Path, reason: str) -> ModelUnavailable:
    return ModelUnavailable(f"model {folder.name} cannot be used: {reason}; {mend(folder.name)}")


def mend(name: str) -> str:
    """What to do about a damaged model."""
    return f"run: caseframe models remove {name}, then pull or import it again"


def open_installed(folder: Path) -> Installed:
    """The model in this folder, fit for use. Raises ModelUnavailable: missing, damaged, foreign.

    Sizes are always compared. A file is hashed again only where its time of change is not the
    recorded one, as after copying the folder to another machine.
    """
    model = read_record(folder)
    if reasons := problems(model, thorough=False):
        raise _damaged(folder, reasons[0])
    stamped = tuple(
        replace(file, mtime_ns=(folder / file.name).stat().st_mtime_ns) for file in model.files
    )
    if stamped != model.files:
        model = replace(model, files=stamped)
        with suppress(OSError):  # a read-only folder is hashed at each start, and works
            write_record(model)
    return model


def problems(model: Installed, *, thorough: bool) -> list[str]:
    """What is wrong with the files; `thorough` hashes all, whatever their times say."""
    found = [reason for file in model.files if (reason := _problem(model.folder, file, thorough))]
    known = {file.name for file in model.files} | {RECORD, f"{RECORD}.part"}
    foreign = sorted(entry.name for entry in os.scandir(model.folder) if entry.name not in known)
    return found + [f"{name!r} does not belong to it" for name in foreign]


def _problem(folder: Path, file: StoredFile, thorough: bool) -> str | None:
    path = folder / file.name
    try:
        found = path.lstat()
    except OSError:
        return f"{file.name} is missing"
    if not stat.S_ISREG(found.st_mode):
        return f"{file.name} is not a file"
    if found.st_size != file.size:
        return f"{file.name} has {found.st_size} bytes of {file.size}"
    if not thorough and found.st_mtime_ns == file.mtime_ns:
        return None
    try:
        return None if sha256_of(path) == file.sha256 else f"{file.name} has a wrong checksum"
    except OSError as error:
        return f"{file.name} cannot be read ({error.strerror})"
