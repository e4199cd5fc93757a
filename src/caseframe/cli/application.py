"""The application `caseframe` before any command is added to it."""

from __future__ import annotations

import typer

from caseframe import __version__

app = typer.Typer(
    name="caseframe",
    help="Turn a folder of pictures into a case that people can look through.\n\n"
    "Start with: caseframe demo, then: caseframe scan FOLDER.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"caseframe {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and leave."
    ),
) -> None:
    pass
