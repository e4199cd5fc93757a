"""The command `caseframe`: its groups, and the one place where errors become words and a status.

This module must stay light: the fork server is started before anything else is loaded, and where
`caseframe` is installed as a script, every worker process imports this module again.
"""

from __future__ import annotations

import gc
import io
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from caseframe.domain.errors import CaseframeError, Stopped, UsageError
from caseframe.pipeline import forkserver

if TYPE_CHECKING:
    from typer import Typer

COMMANDS = {
    "scan": "scan", "rerun": "scan", "verify": "scan",
    "status": "look", "problems": "look", "show": "look", "duplicates": "look", "export": "look",
    "describe": "describe", "serve-vision": "serve_vision", "models": "models",
    "serve": "serve", "service": "service", "dead-letters": "dead_letters",
    "stages": "system", "demo": "system", "doctor": "system",
}  # fmt: skip
"""Every command and the module that holds it."""
_INTERRUPTED = 130  # how Typer leaves when Ctrl-C meets it
_POOLED = {"scan", "rerun", "serve", "service", "verify"}


def build(arguments: Sequence[str]) -> Typer:
    """The application with the commands that `arguments` may call for."""
    from caseframe.cli.application import app  # noqa: PLC0415 - see above

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
        _run(given)
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


def _run(given: Sequence[str]) -> None:
    """Run the command; a stop that comes after its end comes too late to mean anything."""
    gc.disable()  # what is loaded stays: to look through it again and again is a fifth of the start
    app = build(given)
    gc.freeze()
    gc.enable()
    try:
        app(args=given)
    except SystemExit as end:
        gc.freeze()  # nor is there anything to find when all of it goes at once
        if not end.code:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise


def _as_interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _say(message: str, status: int) -> int:
    print(f"caseframe: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
