"""Structured logging to standard error; values can never start a second line or record.

structlog takes a tenth of a second to load, twice in every scan, and most scans have nothing to
say. So it is loaded by whoever has; and set up in that moment, wherever it comes from.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class _Wanted:
    """What `configure` was told last."""

    level = "warning"
    as_json = False


def configure(level: str, *, as_json: bool) -> None:
    """Set up logging for this process; called once by the command line and by each worker."""
    _Wanted.level, _Wanted.as_json = level, as_json
    if "structlog" in sys.modules:
        _apply()
    elif not any(isinstance(finder, _OnceLoaded) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OnceLoaded())


def warn(module: str, event: str, **values: object) -> None:
    """Log a warning of `module`, and load structlog for it: for what rarely has anything to say."""
    import structlog  # noqa: PLC0415 - see above

    structlog.get_logger(module).warning(event, **values)


class _OnceLoaded:
    """Finds structlog in the usual way, and has it set up as soon as it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "structlog":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_apply(module: ModuleType) -> None:
                load(module)
                _apply()

            spec.loader.exec_module = load_and_apply  # type: ignore[method-assign]
        return spec


def _apply() -> None:
    import logging  # noqa: PLC0415 - see above

    import structlog  # noqa: PLC0415

    number = getattr(logging, _Wanted.level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if _Wanted.as_json
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
