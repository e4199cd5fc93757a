"""Processes of the pools that this process has."""

from __future__ import annotations

import psutil


def pool_workers() -> set[int]:
    """The processes two steps below us: the fork server's children."""
    ours = psutil.Process()
    return {child.pid for server in ours.children() for child in server.children()}


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    return not psutil.pid_exists(pid)
