"""The command `caseframe`: its groups, and the one place where errors become words and a status."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import typer

from caseframe import __version__
from caseframe.domain.errors import CaseframeError, Stopped, UsageError
from caseframe.pipeline import forkserver

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

COMMANDS = {
    "scan": "scan", "rerun": "scan", "verify": "scan",
    "status": "look", "problems": "look", "show": "look", "duplicates": "look", "export": "look",
    "describe": "describe", "serve-vision": "serve_vision", "models": "models",
    "serve": "serve",
    "stages": "system", "demo": "system", "doctor": "system",
}  # fmt: skip
"""Every command and the module that holds it."""
_INTERRUPTED = 130  # how Typer leaves when Ctrl-C meets it
_POOLED = {"scan", "rerun", "serve", "verify"}


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


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application with the commands that `arguments` may call for."""
    module = COMMANDS.get(arguments[0]) if arguments else None
    # A known command loads only its own module: help and errors need all of them.
    for name in [module] if module else dict.fromkeys(COMMANDS.values()):
        import_module(f"caseframe.cli.{name}").register(app)
    return app


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and leave with its status: 0 done, 1 could not, 2 wrong usage."""
    signal.signal(signal.SIGTERM, _as_interrupt)  # a stop by the system is as clean as Ctrl-C
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that is no valid text must not stop a listing that goes into a pipe.
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else arguments
    if _POOLED.intersection(given[:1]):
        forkserver.start()  # loads the image libraries while we load the rest
    try:
        build(given)(args=given)
    except UsageError as error:
        sys.exit(_say(str(error), 2))
    except CaseframeError as error:
        sys.exit(_say(str(error), 1))
    except KeyboardInterrupt:  # outside of long work, which says it in words of its own
        sys.exit(_say(str(Stopped()), 1))
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            sys.exit(_say(str(Stopped()), 1))
        raise
    sys.exit(0)


def _as_interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _say(message: str, status: int) -> int:
    typer.echo(f"caseframe: {message}", err=True)
    return status


if __name__ == "__main__":
    main()
