"""Imported by fork servers only: a process that is ended while it starts says nothing of it.

What it was to get from whoever asked for it (pipes, semaphores) is gone then, and a traceback on
standard error would stand between the words of the one that ended. All else is shown as ever.
"""

from __future__ import annotations

import sys
from types import TracebackType


def _shown(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, (EOFError, FileNotFoundError, ConnectionError)):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _shown
