"""The process from which those that meet hostile bytes are forked. This module must stay light."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What libraries that compute go by: one picture, one core, as the pool is the parallelism."""


def fork_server(preload: Sequence[str]) -> ForkServerContext:
    """Start the fork server unless it runs, without waiting for it; the context for the pool.

    It loads the modules `preload` once for all its processes, which compute with one thread each
    where the environment says nothing else.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload, "caseframe.scanner.start_quietly"])
    ours = {name: "1" for name in THREADS if name not in os.environ}
    os.environ.update(ours)
    try:
        forkserver.ensure_running()
    finally:
        for name in ours:
            del os.environ[name]
    return context
