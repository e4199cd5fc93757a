"""The models on this machine: installed whole, held against their digests, or not there at all.

    ROOT/blip-base/…            an installed model and its `installed.json`
    ROOT/.incoming/…            what is being fetched or copied; never counts as installed

A folder moves from the second place to the first by one rename. Nothing here imports torch.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from caseframe.domain.errors import CaseframeError, ModelUnavailable, UsageError
from caseframe.vision import importing
from caseframe.vision.convert import to_safetensors
from caseframe.vision.download import DownloadOptions, Progress, client_for, disk_errors, fetch
from caseframe.vision.installed import (
    Installed,
    check_name,
    digest_of,
    mend,
    open_installed,
    problems,
    read_record,
    stored,
    write_record,
)
from caseframe.vision.manifest import KNOWN, PICKLE, WEIGHTS, PinnedModel
from caseframe.vision.missing import NO_MODEL, PULL, folders, missing_extra
from caseframe.vision.safe import check_folder

BLIP = ("BLIP", "BLIP_QUANTIZED")
"""What people ask for; the setting blip_model says which installed model that is."""
_INCOMING = ".incoming"
_IMPORTED = (
    "import a folder with a whole BLIP (config.json, preprocessor_config.json, tokenizer.json or "
    f"vocab.txt, *.safetensors), or fetch one: {PULL}"
)


@dataclass(frozen=True)
class Entry:
    """A line of the list: a model that is installed, or that could be; `reason`: cannot be used."""

    name: str
    installed: Installed | None
    pinned: PinnedModel | None
    reason: str | None = None


class ModelStore:
    """The models below one folder, which need not exist. Safe against a second process."""

    def __init__(self, root: Path, known: dict[str, PinnedModel] | None = None) -> None:
        self.root = root
        self._known = KNOWN if known is None else known

    def list(self) -> tuple[Entry, ...]:
        """Known models first, then the user's own. Reads sizes and times, rarely content."""
        return tuple(map(self._entry, dict.fromkeys((*self._known, *folders(self.root)))))

    def _entry(self, name: str) -> Entry:
        pinned = self._known.get(name)
        if not (self.root / name).is_dir():
            return Entry(name, None, pinned)
        try:
            return Entry(name, open_installed(self.root / name), pinned)
        except ModelUnavailable as error:
            return Entry(name, None, pinned, str(error))

    def find(self, name: str) -> Installed:
        """The installed model of that name, fit for use.

        Raises ModelUnavailable, naming the command that mends it; UsageError for no name.
        """
        if (self.root / check_name(name)).is_dir():
            return open_installed(self.root / name)
        how = "pull" if name in self._known else "import FOLDER --name"
        raise ModelUnavailable(f"model {name} is not installed; run: caseframe models {how} {name}")

    def installed_for(self, name: str, preferred: str | None = None) -> Installed:
        """What BLIP or BLIP_QUANTIZED stands for; any other name is a model's own.

        `preferred` is the setting blip_model; without it blip-base, else blip-large, else the only
        one that was imported. Raises ModelUnavailable as `find` does.
        """
        if name not in BLIP:
            return self.find(name)
        if preferred is not None:
            return self.find(preferred)
        names = folders(self.root)
        known = [name for name in self._known if name in names]
        if known or len(names) == 1:
            return self.find((known or names)[0])
        if names:
            raise ModelUnavailable(
                f"several models are installed ({', '.join(names)}); say which one {name} is: "
                "set blip_model (CASEFRAME_BLIP_MODEL)"
            )
        raise ModelUnavailable(NO_MODEL)

    def pull(
        self,
        name: str,
        options: DownloadOptions | None = None,
        progress: Progress = lambda _name, _done, _total: None,
    ) -> Installed:
        """Fetch a known model, or mend it where it is damaged; an installed one is left alone.

        Raises UsageError for an unknown name, CaseframeError for what goes wrong; what arrived is
        kept, and the next call goes on from there.
        """
        pinned = self._pinned(name)
        options = options or DownloadOptions()
        with self._alone(pinned.name), disk_errors(self.root):
            if (there := self._entry(pinned.name)).installed is not None:
                return there.installed
            staging = self._staging(f"{pinned.name}@{pinned.revision[:12]}")
            self._expect_room(pinned, staging)
            base = f"{options.url.rstrip('/')}/{pinned.source}/resolve/{pinned.revision}"
            with client_for(options) as client:
                for file in pinned.files:
                    fetch(client, f"{base}/{file.name}", staging, file, options, progress)
            self._finish(staging, pinned.name, "pull", pinned.source)
            return self._put_in_place(staging, pinned.name)

    def _pinned(self, name: str) -> PinnedModel:
        try:
            return self._known[name]
        except KeyError:
            known = ", ".join(self._known)
            raise UsageError(
                f"{name!r} cannot be pulled; known are: {known}. "
                "Bring another model by: caseframe models import FOLDER --name NAME"
            ) from None

    def _expect_room(self, pinned: PinnedModel, staging: Path) -> None:
        """Ask before an hour of downloading, not after: for room, and for what conversion needs."""
        if any(file.name == PICKLE for file in pinned.files):
            if (reason := missing_extra()) is not None:
                raise CaseframeError(f"{pinned.name} has to be converted once: {reason}")
            factor = 2
        else:
            factor = 1
        here = sum(entry.stat().st_size for entry in os.scandir(staging))
        need, free = factor * (pinned.size or 0) - here, shutil.disk_usage(staging).free
        if need > free:
            raise CaseframeError(
                f"no space is left for {pinned.name}: it takes {need / 1e9:,.1f} GB, and "
                f"{self.root} has {free / 1e9:,.1f} GB free"
            )

    def import_folder(self, folder: Path, name: str) -> Installed:
        """Copy a model from a folder. A known name demands the known digests.

        Raises UsageError where it is no folder, CaseframeError where it is no BLIP in safetensors.
        """
        pinned = self._known.get(check_name(name))
        with self._alone(name), disk_errors(self.root):
            staging = self._staging(f"{name}+import")
            try:
                importing.copy(folder, staging, pinned)
                source = pinned.source if pinned else str(folder.absolute())
                self._finish(staging, name, "import", source)
                return self._put_in_place(staging, name)
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def _finish(self, staging: Path, name: str, came: str, source: str) -> None:
        """Check the files that are here once more, convert a pickle, and write the record."""
        converted = None
        if (staging / PICKLE).exists():  # only ever one whose digest is pinned
            converted = stored(staging / PICKLE).sha256
            to_safetensors(staging / PICKLE, staging / WEIGHTS)
            (staging / PICKLE).unlink()
        try:
            check_folder(staging)
        except ModelUnavailable as error:
            how = _IMPORTED if came == "import" else mend(name)
            raise CaseframeError(f"{name} is not installed: {error}; {how}") from error
        pinned = self._known.get(name)
        for entry in os.scandir(staging):
            _sync(entry.path)
        files = tuple(stored(staging / entry) for entry in sorted(os.listdir(staging)))
        own = f"sha256:{digest_of({file.name: file.sha256 for file in files})[:12]}"
        model = Installed(
            folder=staging,
            name=name,
            source=source,
            revision=pinned.revision if pinned else own,
            licence=pinned.licence if pinned else None,
            came=came,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            files=files,
            converted_from=converted,
        )
        write_record(model)

    def verify(self, name: str) -> Installed:
        """Hash every file anew. Raises ModelUnavailable that names all that is wrong."""
        if not (self.root / check_name(name)).is_dir():
            return self.find(name)
        model = read_record(self.root / name)
        found = problems(model, thorough=True)
        for file in self._known[name].files if name in self._known else ():
            mine = {f.name: f.sha256 for f in model.files}.get(file.name, model.converted_from)
            if file.sha256 is not None and mine != file.sha256:
                found.append(f"{file.name} is not the one that is known as {name}")
        if found:
            raise ModelUnavailable(f"model {name} is damaged: {'; '.join(found)}; {mend(name)}")
        return model

    def remove(self, name: str) -> bool:
        """Delete an installed model, damaged or not, and what was half fetched of it.

        False where only the latter was there. Raises ModelUnavailable where nothing of it is here.
        """
        with self._alone(check_name(name)), disk_errors(self.root):
            incoming = self.root / _INCOMING
            halves = [*incoming.glob(f"{name}@*"), *incoming.glob(f"{name}+*")]
            if not (whole := (self.root / name).is_dir()) and not halves:
                raise ModelUnavailable(f"model {name} is not installed; nothing was removed")
            self._put_away(name)
            for half in halves:
                shutil.rmtree(half)
        return whole

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Nobody else installs or removes this name meanwhile. Raises CaseframeError."""
        incoming = self.root / _INCOMING
        with disk_errors(self.root):
            incoming.mkdir(parents=True, exist_ok=True)
            lock = (incoming / f"{name}.lock").open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise CaseframeError(
                    f"another process is installing {name}; wait for it"
                ) from error
            yield

    def _put_in_place(self, staging: Path, name: str) -> Installed:
        self._put_away(name)
        staging.rename(self.root / name)
        _sync(self.root)
        return read_record(self.root / name)

    def _put_away(self, name: str) -> None:
        if not (self.root / name).exists():
            return
        old = self.root / _INCOMING / f"{name}+old"
        shutil.rmtree(old, ignore_errors=True)
        (self.root / name).rename(old)
        shutil.rmtree(old)

    def _staging(self, name: str) -> Path:
        path = self.root / _INCOMING / name
        if "+" in name:
            shutil.rmtree(path, ignore_errors=True)
        path.mkdir(exist_ok=True)
        return path


def _sync(path: str | Path) -> None:
    """Bring a file or folder to the disk before its name says that it is whole."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
