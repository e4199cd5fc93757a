"""The command that serves descriptions over gRPC."""

from __future__ import annotations

import asyncio
import os
import resource
import select
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import structlog
import typer

from caseframe.cli.assemble import settings_for
from caseframe.cli.vision import describers, fetch_missing, preferred, service_options, tls_files
from caseframe.domain.errors import ModelUnavailable
from caseframe.settings import Settings
from caseframe.vision.server import Serving, serving
from caseframe.vision.service import Models

_log = structlog.get_logger(__name__)
_GRACE_SECONDS = 20.0
_GRACE_OF_A_CHILD = 2.0  # whoever wanted its answers has gone already


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("serve-vision")(serve_vision)


def serve_vision(
    address: Annotated[
        str, typer.Option("--address", help="Where to listen: host:port, or unix:PATH.")
    ] = "127.0.0.1:50051",
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="End when standard input does.")
    ] = False,
) -> None:
    """Describe pictures for other programs: computer_vision.ComputerVision over gRPC.

    Ends on Ctrl-C or SIGTERM after finishing what is at work. With vision_tls_cert and
    vision_tls_key it speaks TLS; with vision_tls_ca too, only clients of that authority are
    served. Without them everyone who reaches the address is.
    """
    settings = settings_for()
    if not with_parent:
        fetch_missing(settings)
    allow_connections()
    asyncio.run(serve(settings, address, with_parent=with_parent))
    if with_parent and not _parent_is_there():
        shutil.rmtree(os.path.dirname(address.removeprefix("unix:")), ignore_errors=True)
    leave()


def leave() -> None:
    """End this process when all is said, whatever a model's thread still does."""
    if any(thread.name.startswith("model-") for thread in threading.enumerate()):
        # A model that is still at it cannot be interrupted, and must not crash on our way out.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _parent_is_there() -> bool:
    """Whether standard input is still open at its other end; if not, its folder is ours to tidy."""
    ready, _, _ = select.select([0], [], [], 0)
    return not ready


def allow_connections() -> None:
    """Raise the limit of open files to what is allowed: each client takes one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def serve(
    settings: Settings,
    address: str,
    *,
    with_parent: bool,
    told: Callable[[Serving], None] = lambda _served: None,
) -> None:
    """Serve until a signal; `told` gets the service when it listens."""
    end = asyncio.Event()
    _end_on_signals(end)
    if with_parent:
        _end_with_input(end)
    models = describers(settings)
    options = service_options(settings, preferred(settings, models))
    tls = None if with_parent else tls_files(settings)
    grace = _GRACE_OF_A_CHILD if with_parent else _GRACE_SECONDS
    async with serving(models, options, address, tls=tls, grace=grace) as served:
        told(served)
        waiting = asyncio.create_task(end.wait())
        await asyncio.wait({served.ready, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if served.ready.done() and not with_parent:  # a parent is told by the answers
            _tell(served, models, options.preferred, secured=tls is not None)
        await waiting


def _end_on_signals(end: asyncio.Event) -> None:
    """The first signal is a request; a second one, from those who will not wait, is obeyed."""

    def ask() -> None:
        if end.is_set():
            os._exit(1)
        end.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)


def _end_with_input(end: asyncio.Event) -> None:
    """Standard input is a pipe from our parent: it ends when the parent does, however that was."""
    loop = asyncio.get_running_loop()

    def watch() -> None:
        while os.read(0, 1024):
            pass
        with suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(end.set)

    threading.Thread(target=watch, daemon=True, name="watch-input").start()


def _tell(served: Serving, models: Models, chosen: str, *, secured: bool) -> None:
    failure = served.ready.exception()
    if failure is not None:
        typer.echo(f"caseframe: {chosen} cannot be used: {failure}", err=True)
    there = [
        f"{name} ({model.identity.model})"
        for name, model in models.items()
        if not isinstance(model, ModelUnavailable)
    ]
    _log.info("ready", address=served.address, models=there, preferred=chosen, tls=secured)
    how = " with TLS" if secured else ""
    typer.echo(f"listening at {served.address}{how}; models: {', '.join(there)}")
    sys.stdout.flush()
