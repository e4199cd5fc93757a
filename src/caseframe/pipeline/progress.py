"""How far a run has come, for whoever shows it. Read at any time; written by one thread.

These numbers describe one run while it lasts. What is true of a job is counted from the catalog.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from caseframe.domain.evidence import FileState
from caseframe.domain.work import TaskState


@dataclass(slots=True)
class Progress:
    """The present run. `total` and `total_bytes` are None until the source has been counted."""

    phase: str = "scan"
    total: int | None = None
    seen: int = 0
    unchanged: int = 0
    examined: int = 0
    bytes_read: int = 0
    states: Counter[FileState] = field(default_factory=Counter)
    stages: dict[str, Counter[TaskState]] = field(default_factory=dict)
    stage_total: int | None = None
    stage_done: int = 0
    current: str = ""
    started: float = field(default_factory=time.monotonic)
    on_change: Callable[[Progress], None] | None = None

    def changed(self) -> None:
        """Tell whoever listens."""
        if self.on_change is not None:
            self.on_change(self)

    @property
    def finished_files(self) -> int:
        """Files of this run that need nothing more."""
        return self.unchanged + self.examined
