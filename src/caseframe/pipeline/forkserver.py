"""Starting the process from which workers are forked, early and beside everything else.

It needs half a second to load the image libraries. The command line starts it as soon as it has
loaded what both need, so that on two cores nobody waits for it. This module must stay light.
"""

from __future__ import annotations

import os
from importlib import import_module
from multiprocessing.context import ForkServerContext

from caseframe.scanner.forking import THREADS, fork_server

_PRELOAD = ("caseframe.pipeline.preload", "caseframe.pipeline.leave")


def start_early() -> None:
    """Start it from a process that has loaded nothing and started no thread yet."""
    _prepare()
    import_module("caseframe.pipeline.shared")
    fork_server(_PRELOAD, here=True)


def start() -> ForkServerContext:
    """Start the fork server unless it runs, without waiting for it; the context for the pool."""
    _prepare()
    return fork_server(_PRELOAD)


def _prepare() -> None:
    for name in THREADS:  # for this process too: the pool is the parallelism
        os.environ.setdefault(name, "1")
    # Newer ONNX Runtimes report to their maker by default; evidence never leaves this machine.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # Pydantic would look through all installed packages for plug-ins, here and in the fork server.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
