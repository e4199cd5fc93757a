"""The seam between those who give orders about jobs and the manager that has them done."""

from __future__ import annotations

from typing import Protocol

from caseframe.pipeline.progress import Progress


class Jobs(Protocol):
    """What can be asked of a job manager, in process or of a service; from any thread.

    Orders raise JobsAway when it does not answer. What it tells of jobs at work is for show: None
    then says that nothing is known, and what is true stands in the catalog.
    """

    def submit(self, job_id: str, *, walk: bool = True, rehash: bool = False) -> None:
        """Queue a job; one that waits already does this too when its turn comes. Raises NotFound.

        `walk` looks for new and changed files, with `rehash` in all of them; without it only work
        that is due is done. A job at work is queued once more for when it ends, where it may have
        passed what is due now or reads only what looks changed; else it stays as it is.
        """

    def stop(self, job_id: str) -> bool:
        """Ask a job to end where nothing is lost; False when it neither waits nor works."""

    def stop_and_wait(self, job_id: str, seconds: float = 30.0) -> None:
        """Stop a job and wait until it has. Raises UsageError when it takes too long."""

    def progress(self, job_id: str) -> Progress | None:
        """How far a job at work has come; None for one that is not at work."""

    def position(self, job_id: str) -> int | None:
        """Place in the queue from 1; None for a job that does not wait."""
