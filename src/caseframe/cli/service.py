"""The commands `caseframe service …`: the parts of the system, each in a process of its own."""

from __future__ import annotations

from importlib import import_module

import typer

SERVICES = {
    "gateway": "service_gateway",
    "auth": "service_auth",
    "jobs": "service_jobs",
    "vision": "service_vision",
    "stage": "service_stage",
}
"""Every service and the module that holds it."""


def register(app: typer.Typer) -> None:
    """Add the group of this module."""
    group = typer.Typer(
        name="service",
        no_args_is_help=True,
        help="Run one part of the system by itself, on any machine: they find each other by "
        "RabbitMQ, PostgreSQL and gRPC, as the settings say (docs/deploy.md).",
    )
    for name, module in SERVICES.items():
        group.command(name)(getattr(import_module(f"caseframe.cli.{module}"), name))
    app.add_typer(group)
