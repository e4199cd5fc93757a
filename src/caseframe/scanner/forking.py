"""The process from which those that meet hostile bytes are forked. This module must stay light."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import nullcontext
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext

from caseframe.scanner import fork_here

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What libraries that compute go by: one picture, one core, as the pool is the parallelism."""


def fork_server(preload: Sequence[str], *, here: bool = False) -> ForkServerContext:
    """Start the fork server unless it runs, without waiting for it; the context for the pool.

    It loads the modules `preload` once for all its processes, which compute with one thread each
    where the environment says nothing else. It has what is loaded `here` where that is possible.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload, "caseframe.scanner.start_quietly"])
    ours = {name: "1" for name in THREADS if name not in os.environ}
    os.environ.update(ours)
    try:
        _start(here=here and fork_here.possible())
    finally:
        for name in ours:
            del os.environ[name]
    return context


def _start(*, here: bool) -> None:
    """Start it so that Ctrl-C reaches neither it nor its children.

    A terminal sends it to all processes, and it is for the parent, which stops the others: one that
    is still loading its libraries would say at length where it was.
    """
    resource_tracker.ensure_running()  # else it would start below, and let Ctrl-C in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with fork_here.copied() if here else nullcontext():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
