"""Commands about the captioning models on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import (
    Progress as Bars,
)

from caseframe.cli.assemble import settings_for
from caseframe.cli.options import JsonOption
from caseframe.domain.text import counted
from caseframe.settings import Settings
from caseframe.vision.download import DownloadOptions, Progress
from caseframe.vision.installed import Installed
from caseframe.vision.manifest import BLIP_BASE, KNOWN
from caseframe.vision.missing import PULL
from caseframe.vision.store import BLIP, Entry, ModelStore

NameArgument = Annotated[
    str, typer.Argument(help="A model's name; BLIP is the one that the setting blip_model names.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Install, check and remove captioning models.", no_args_is_help=True)
    group.command("list")(list_models)
    group.command()(pull)
    group.command("import")(import_model)
    group.command()(verify)
    group.command()(remove)
    app.add_typer(group, name="models")


def list_models(as_json: JsonOption = False) -> None:
    """List the models: those that are installed, and those that can be."""
    entries = _store(settings_for()).list()
    if as_json:
        typer.echo(json.dumps([_listed(entry) for entry in entries]))
        return
    for entry in entries:
        typer.echo(f"{entry.name:<16} {_state(entry)}")


def pull(name: NameArgument = "BLIP", as_json: JsonOption = False) -> None:
    """Download a model, check it and install it.

    What was interrupted goes on where it stopped. Only this command (and the setting
    models_download) ever downloads anything.
    """
    settings = settings_for()
    with _progress(quiet=as_json) as progress:
        options = DownloadOptions(url=settings.models_url)
        model = _store(settings).pull(_known(settings, name), options, progress)
    _say(model, f"{model.name} is installed in {model.folder}", as_json)


def import_model(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder with config.json, *.safetensors and the tokenizer's files."),
    ],
    name: Annotated[
        str,
        typer.Option(
            "--name",
            help="What it is to be called here; blip-base (or BLIP) demands exactly that model's "
            "files.",
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Install a model from a folder, without any network."""
    settings = settings_for()
    model = _store(settings).import_folder(folder, _known(settings, name))
    _say(model, f"{model.name} is installed in {model.folder}", as_json)


def verify(
    name: Annotated[str | None, typer.Argument(help="A model's name; all when not given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Read every byte of the installed models and compare the digests."""
    settings = settings_for()
    store = _store(settings)
    if name is None:
        here = [e.name for e in store.list() if e.installed is not None or e.reason is not None]
    else:
        here = [_named(store, settings, name)]
    for model in map(store.verify, here):
        right = counted(len(model.files), "file is right", "files are right")
        _say(model, f"{model.name}: all {right}", as_json)
    if not here and not as_json:
        typer.echo(f"No captioning model is installed in {settings.models_dir}; run: {PULL}")


def remove(name: NameArgument, as_json: JsonOption = False) -> None:
    """Delete an installed model, and what was half downloaded of it."""
    settings = settings_for()
    store = _store(settings)
    name = _named(store, settings, name)
    whole = store.remove(name)
    what = f"{name} is" if whole else f"{name} was not installed; its unfinished files are"
    typer.echo(json.dumps({"removed": name}) if as_json else f"{what} removed")


def _store(settings: Settings) -> ModelStore:
    return ModelStore(settings.models_dir)


def _known(settings: Settings, name: str) -> str:
    """The known model that BLIP stands for where none need be installed; else the name itself."""
    if name not in BLIP:
        return name
    return settings.blip_model if settings.blip_model in KNOWN else BLIP_BASE.name


def _named(store: ModelStore, settings: Settings, name: str) -> str:
    return store.installed_for(name, settings.blip_model).name if name in BLIP else name


def _say(model: Installed, words: str, as_json: bool) -> None:
    typer.echo(json.dumps(_described(model)) if as_json else words)


def _described(model: Installed) -> dict[str, Any]:
    return {
        "name": model.name,
        "folder": str(model.folder),
        "source": model.source,
        "revision": model.revision,
        "licence": model.licence,
        "digest": model.digest,
        "came": model.came,
        "at": model.at,
        "bytes": model.size,
        "files": [{"name": f.name, "bytes": f.size, "sha256": f.sha256} for f in model.files],
    }


def _listed(entry: Entry) -> dict[str, Any]:
    state = "installed" if entry.installed else "damaged" if entry.reason else "not installed"
    said: dict[str, Any] = {"name": entry.name, "state": state, "reason": entry.reason}
    if entry.installed is not None:
        said |= _described(entry.installed)
    elif entry.pinned is not None:
        said |= {
            "source": entry.pinned.source,
            "revision": entry.pinned.revision,
            "licence": entry.pinned.licence,
        }
    return said


def _state(entry: Entry) -> str:
    if (model := entry.installed) is not None:
        return (
            f"installed      {model.size / 1e6:,.0f} MB  {model.source} {model.revision[:19]}  "
            f"{model.licence or 'licence not known'}"
        )
    if entry.reason is not None:
        return f"damaged        {entry.reason}"
    assert entry.pinned is not None  # noqa: S101 - what is neither here nor known is not listed
    return f"not installed  {entry.pinned.title}; caseframe models pull {entry.name}"


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    """Bars on a terminal, a line a file elsewhere, on standard error."""
    if quiet:
        yield lambda _name, _done, _total: None
        return
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        rows: dict[str, TaskID] = {}

        def update(name: str, done: int, total: int | None) -> None:
            if name not in rows:
                rows[name] = bars.add_task(name, total=total)
            bars.update(rows[name], completed=done)

        yield update


class _Lines:
    """Says each file once, and large ones at every tenth."""

    def __init__(self) -> None:
        self._said: set[tuple[str, int]] = set()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        tenth = 10 * done // total if total else 10
        if (name, tenth) not in self._said and (tenth == 10 or (total or 0) > 100_000_000):
            self._said.add((name, tenth))
            typer.echo(f"{name}: {done / 1e6:,.1f} MB", err=True)
