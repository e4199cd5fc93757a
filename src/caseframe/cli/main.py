"""The command `caseframe`: its groups, and the one place where errors become words and a status.

This module must stay light: the fork server is started before most is loaded.
"""

from __future__ import annotations

import gc
import io
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from caseframe.domain.errors import CaseframeError, Stopped, UsageError
from caseframe.pipeline import forkserver

if TYPE_CHECKING:
    from typer import Typer

COMMANDS = {
    "scan": "scan", "rerun": "rerun", "verify": "rerun",
    "status": "look", "problems": "look", "show": "look", "duplicates": "look", "export": "look",
    "describe": "describe", "serve-vision": "serve_vision", "models": "models",
    "serve": "serve", "service": "service", "dead-letters": "dead_letters",
    "stages": "system", "demo": "system", "doctor": "system",
}  # fmt: skip
"""Every command and the module that holds it."""
_INTERRUPTED = 130  # how Typer leaves when Ctrl-C meets it
_LATER_SECONDS = 0.02
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
    given = sys.argv[1:] if arguments is None else arguments
    gc.disable()  # what is loaded stays: to look through it again and again is a fifth of the start
    try:
        _prepare(given)
        _run(given)
    except UsageError as error:
        _end(2, str(error))
    except (KeyboardInterrupt, Stopped):
        _end(1, _stopped(given))
    except CaseframeError as error:
        _end(1, str(error))
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            _end(1, _stopped(given))
        raise
    sys.exit(0)


def _prepare(given: Sequence[str]) -> None:
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as nohup and shells have it
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)  # a stop by the system is as clean as Ctrl-C
    signal.signal(signal.SIGALRM, _interrupt_now)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that is no valid text must not stop a listing that goes into a pipe.
            stream.reconfigure(errors="backslashreplace")
    if _POOLED.intersection(given[:1]):
        forkserver.start_early()  # loads the image libraries while we load the rest


def _run(given: Sequence[str]) -> None:
    """Run the command; a stop that comes after its end comes too late to mean anything."""
    app = build(given)
    gc.freeze()
    gc.enable()
    try:
        app(args=given)
    except SystemExit as end:
        gc.freeze()  # nor is there anything to find when all of it goes at once
        if not end.code:
            _last_signals(signal.SIG_IGN)
        raise


def _interrupt(_number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but not out of an import: later then, or when asked again.

    Half a module helps nobody, compiled ones print tracebacks of their own, and a plug-in's import
    would count as failed.
    """
    waiting, _ = signal.getitimer(signal.ITIMER_REAL)
    if waiting or not _importing(frame):
        raise KeyboardInterrupt
    signal.setitimer(signal.ITIMER_REAL, _LATER_SECONDS)


def _interrupt_now(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)  # to whom it belongs by now


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _last_signals(action: signal.Handlers) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGINT, action)
    signal.signal(signal.SIGTERM, action)


def _stopped(given: Sequence[str]) -> str | None:
    """What to say of a command that was stopped: whether it goes on is not the same for all."""
    if "--with-parent" in given:  # our own child: the words are its parent's
        return None
    if given[:1] == ["scan"] or given[:2] == ["models", "pull"]:
        return str(Stopped())
    return (
        "stopped; caseframe scan goes on with what is left" if given[:1] == ["rerun"] else "stopped"
    )


def _end(status: int, message: str | None) -> NoReturn:
    _last_signals(signal.SIG_DFL)  # whoever asks once more does not want to hear of it
    if message is not None:
        print(f"caseframe: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
