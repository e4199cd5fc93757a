"""Structured logging to standard error; values can never start a second line or record."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure(level: str, *, as_json: bool) -> None:
    """Set up logging for this process; called once by the command line and by each worker."""
    number = getattr(logging, level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _single_line,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _single_line(_logger: Any, _method: str, event: Any) -> Any:
    """Escape control characters in values: a file name with a newline must not forge a record."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception" and not value.isprintable():
            event[key] = "".join(
                c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in value
            )
    return event
