"""Starting the process from which workers are forked, early and beside everything else.

It needs most of a second to load the image libraries. The command line starts it before it loads
anything itself, so that on two cores nobody waits for it. This module must stay light.
"""

from __future__ import annotations

import os
from multiprocessing.context import ForkServerContext

from caseframe.scanner.forking import THREADS, fork_server

_PRELOAD = ("caseframe.pipeline.preload", "caseframe.pipeline.leave")


def start() -> ForkServerContext:
    """Start the fork server unless it runs, without waiting for it; the context for the pool."""
    for name in THREADS:  # for this process too: the pool is the parallelism
        os.environ.setdefault(name, "1")
    # Newer ONNX Runtimes report to their maker by default; evidence never leaves this machine.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # Pydantic would look through all installed packages for plug-ins, here and in the fork server.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    return fork_server(_PRELOAD)
