"""Small collections to scan, and what a scan of them left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import makers
from tests.conftest import Cli

FAST = "exif,place,similar"
"""Stages that take next to nothing."""


def some_pictures(folder: Path) -> Path:
    """Twelve pictures in a folder below this one, and a text beside it."""
    (folder / "sub").mkdir(parents=True)
    for number in range(12):
        (folder / "sub" / f"{number}.jpg").write_bytes(makers.photo(96, 64, number))
    (folder / "note.txt").write_text("not a picture")
    return folder


def exported(cli: Cli, case: Path) -> dict[str, dict[str, Any]]:
    """The lines of the export by path."""
    done = cli("export", "--case", case)
    assert done.status == 0, done.err
    return {line["path"]: line for line in done.lines}


def rows(cli: Cli, case: Path) -> str:
    """Everything that a run leaves behind, but for times and the order in which files were met."""
    return json.dumps(sorted(exported(cli, case).items()), sort_keys=True)
