"""caseframe service vision: descriptions over gRPC, with a health door."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, Gauge

from caseframe.cli import serve_vision
from caseframe.cli.assemble import settings_for
from caseframe.cli.vision import fetch_missing
from caseframe.health import health_server
from caseframe.vision.server import Serving


def vision(
    address: Annotated[
        str, typer.Option("--address", help="Where to listen: host:port.")
    ] = "127.0.0.1:50051",
) -> None:
    """Describe pictures: computer_vision.ComputerVision over gRPC, as caseframe serve-vision.

    Start several and name them all in vision_address, separated by commas: they share the work,
    and one that is away is passed over. Ends on SIGTERM when what is at work is answered.
    """
    settings = settings_for()
    fetch_missing(settings)
    serve_vision.allow_connections()
    registry = CollectorRegistry()
    work = AtWork(registry)
    with health_server(settings.health_address, "vision", work.trouble, registry) as door:
        typer.echo(f"caseframe vision: health at http://{door}/ready")
        asyncio.run(serve_vision.serve(settings, address, with_parent=False, told=work.serving))
    serve_vision.leave()


class AtWork:
    """What the health door knows of the service behind it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._served: Serving | None = None
        gauge = Gauge(
            "caseframe_vision_at_work", "Pictures being described now.", registry=registry
        )
        gauge.set_function(lambda: self._served.service.turns.at_work if self._served else 0)

    def serving(self, served: Serving) -> None:
        """The service listens."""
        self._served = served

    def trouble(self) -> str | None:
        """Why no picture can be described now."""
        if self._served is None or not self._served.ready.done():
            return "the model is being loaded"
        failure = self._served.ready.exception()
        return None if failure is None else str(failure)
