"""caseframe serve: browser, REST interface, jobs and accounts in one process tree."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from caseframe.cli.assemble import open_case, settings_for
from caseframe.cli.options import DEFAULT_CASE, CaseOption
from caseframe.cli.web import web_services
from caseframe.domain.errors import CaseError, UsageError
from caseframe.settings import Settings
from caseframe.web.app import create_app
from caseframe.web.services import Services

_GRACE_SECONDS = 5

HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any.")]
SourcesOption = Annotated[
    Path | None,
    typer.Option("--sources", help="Folder below which jobs find their pictures; only read."),
]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(serve)


def serve(
    case: CaseOption = DEFAULT_CASE,
    sources: SourcesOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 3000,
) -> None:
    """Show a case in the browser, and run its jobs.

    On a case without users it prints a link, good once, that makes the administrator. Ctrl-C stops
    the server; jobs at work go on with the next start.
    """
    settings = settings_for()
    root = sources_root(sources)
    listening = listen(host, port)
    public = public_url(settings, host, listening)
    with (
        listening,
        open_case(case, settings, create=True) as opened,
        web_services(opened, root, public) as services,
    ):
        key = opened.catalog.patiently(services.accounts.first_key)
        typer.echo(f"Caseframe is at {public} (Ctrl-C stops it)")
        if key is not None:
            typer.echo("Nobody can sign in yet. Make the administrator with this link, good once:")
            typer.echo(f"  {public}/auth/first?key={key}")
        run_web(services, listening)


def sources_root(given: Path | None) -> Path:
    """The root of all sources, the working folder where none was given. Raises UsageError."""
    root = (given or Path.cwd()).absolute()
    if not root.is_dir():
        raise UsageError(f"--sources {root} is no folder")
    return root


def public_url(settings: Settings, host: str, listening: socket.socket) -> str:
    """What people type to get to a server that listens there."""
    address = f"http://{_bracketed(host)}:{listening.getsockname()[1]}"
    return (settings.public_url or address).rstrip("/")


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on. Raises CaseError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it; without, each answer waits 40 ms for the other side to confirm.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        made.bind((host, port))
        made.listen(1024)
    except (OSError, UnicodeError) as error:  # the latter of a name that can be none
        made.close()
        raise CaseError(f"cannot listen on {_bracketed(host)}:{port}: {_advice(error)}") from error
    return made


def _advice(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "that is no host name; give another --host"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{error.strerror}; give another --host, an address of this machine"
    return f"{error.strerror}; give another --port"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Server(uvicorn.Server):
    """Ends its event streams first, and leaves the signals to us."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        def end(number: int, frame: FrameType | None) -> None:
            self._services.broadcaster.close()
            self.handle_exit(number, frame)

        before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_web(services: Services, listening: socket.socket) -> None:
    """Answer requests until a signal ends it."""
    config = uvicorn.Config(
        create_app(services),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # ours decides whom to believe
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    _Server(config, services).run(sockets=[listening])
