"""Commands about this installation: stages, demo, doctor."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from caseframe import __version__
from caseframe.cli.assemble import CATALOG_FILE, open_case, settings_for
from caseframe.cli.captions import registry_for
from caseframe.cli.options import DEFAULT_CASE, CaseOption, JsonOption
from caseframe.domain.errors import CaseframeError
from caseframe.domain.text import counted, one_line
from caseframe.settings import Settings
from caseframe.stages.registry import summary_of

_PACKAGES = (
    "numpy", "opencv-python-headless", "pillow", "pillow-heif", "simplejpeg", "exiv2", "puremagic",
    "reverse-geocode", "sqlalchemy", "alembic", "psycopg", "pebble",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (stages, demo, doctor):
        app.command()(command)


def stages(as_json: JsonOption = False) -> None:
    """List the stages: what each looks for, whether it works here, and why not."""
    registry = registry_for(settings_for(), announce=False)
    rows = [
        {
            "name": a.stage.name,
            "title": a.stage.title,
            "version": a.stage.version,
            "summary": summary_of(a.stage),
            "needs": f"pixels up to {a.stage.max_side}" if a.stage.max_side else "bytes",
            "after": list(a.stage.after),
            "from": a.source,
            "reason": a.reason,
        }
        for a in registry.stages
    ]
    if as_json:
        broken = [
            {"name": u.name, "from": u.source, "reason": u.reason} for u in registry.unloadable
        ]
        typer.echo(json.dumps({"stages": rows, "unloadable": broken}))
        return
    for row in rows:
        state = f"not available: {row['reason']}" if row["reason"] else "works"
        typer.echo(f"{row['name']:<10} {row['title']:<20} version {row['version']:<4} {state}")
        if row["summary"]:
            typer.echo(f"{'':<10} {row['summary']}")
    for broken_one in registry.unloadable:
        typer.echo(
            f"{broken_one.name:<10} cannot be loaded ({broken_one.source}): {broken_one.reason}"
        )


def demo(
    folder: Annotated[Path, typer.Argument(help="An empty or new folder.")] = Path("demo-pictures"),
) -> None:
    """Draw a small sample collection to try Caseframe on.

    It holds photographs with cameras, times and places, faces, text, duplicates, every format,
    and files that are damaged in various ways.
    """
    from caseframe.demo import draw  # noqa: PLC0415 - drawing needs what nothing else needs

    count = draw(folder)
    typer.echo(f"{counted(count, 'file')} drawn in {folder}. Next: caseframe scan {folder}")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `bad` says that something will not work.

    `absent` is for what Caseframe can do without, and does.
    """

    name: str
    found: str
    bad: bool = False
    absent: bool = False

    @property
    def mark(self) -> str:
        """What stands before it in the list."""
        return "!!" if self.bad else "--" if self.absent else "ok"

    def fields(self) -> dict[str, str | bool]:
        """It as JSON."""
        return {"name": self.name, "found": self.found, "bad": self.bad, "absent": self.absent}


def doctor(case: CaseOption = DEFAULT_CASE, as_json: JsonOption = False) -> None:
    """Check this installation and the case: versions, decoders, stages, catalog, free space."""
    settings = settings_for()
    checks = [*_program(), *_decoders(), *_stage_checks(settings), *_case_checks(case, settings)]
    if as_json:
        typer.echo(json.dumps([check.fields() for check in checks]))
    else:
        for check in checks:
            typer.echo(f"{check.mark}  {check.name:<24} {check.found}")
        if any(check.absent for check in checks):
            typer.echo("What is marked -- is optional and not there; everything else goes without.")
    if any(check.bad for check in checks):
        raise CaseframeError("something above is marked !! and will not work")


def _program() -> Iterator[Check]:
    yield Check("caseframe", __version__)
    yield Check("Python", f"{platform.python_version()} on {platform.platform()}")
    for name in _PACKAGES:
        try:
            yield Check(name, version(name))
        except PackageNotFoundError:
            yield Check(name, "not installed; install Caseframe again", bad=True)


def _decoders() -> Iterator[Check]:
    from PIL import features  # noqa: PLC0415 - only this command needs it

    names = {"webp": "WebP", "avif": "AVIF", "libtiff": "TIFF"}
    for feature, shown in names.items():
        there = features.check(feature)
        yield Check(
            f"decoder {shown}", "there" if there else "missing in this Pillow", bad=not there
        )


def _stage_checks(settings: Settings) -> Iterator[Check]:
    registry = registry_for(settings, announce=False)
    for found in registry.stages:
        absent = found.reason is not None
        yield Check(f"stage {found.stage.name}", found.reason or "works", absent=absent)
    for broken in registry.unloadable:
        yield Check(f"stage {broken.name}", f"cannot be loaded: {broken.reason}", bad=True)


def _case_checks(case: Path, settings: Settings) -> Iterator[Check]:
    yield Check("workers", str(settings.workers))
    yield _cache(settings.cache_dir)
    place = case if case.exists() else Path.cwd()
    yield Check("free space", f"{shutil.disk_usage(place).free / 1e9:,.1f} GB at {place.resolve()}")
    if settings.catalog_url is None and not (case / CATALOG_FILE).exists():
        yield Check("case", f'none in the folder "{case}" yet')
        return
    try:
        with open_case(case, settings) as opened:
            yield Check("case", f"{case}, catalog in {opened.catalog.dialect}")
    except CaseframeError as error:
        yield Check("case", one_line(str(error)), bad=True)


def _cache(folder: Path) -> Check:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return Check("cache folder", f"{folder}: {error.strerror}", bad=True)
    writable = os.access(folder, os.W_OK)
    return Check(
        "cache folder", f"{folder}{'' if writable else ' cannot be written'}", bad=not writable
    )
