"""Deleting a job of any size: in steps, each a transaction of its own, so that others get turns."""

from __future__ import annotations

from collections.abc import Callable

from caseframe.catalog import jobs
from caseframe.catalog.database import Catalog
from caseframe.catalog.patience import never
from caseframe.domain.errors import Stopped


def remove_job(
    catalog: Catalog,
    job_id: str,
    *,
    step: int = 1000,
    stop: Callable[[], bool] = never,
    progress: Callable[[int], None] = lambda _gone: None,
) -> None:
    """Remove a job, its files, and the images with their results that no other job shows.

    `progress` is told how many files are gone so far. Stopped half way (raises Stopped) or killed,
    it is a job with fewer files; the same call goes on. The job must not be running.
    """
    gone = 0
    while True:
        with catalog.begin() as connection:
            some = jobs.forget_some(connection, job_id, step)
        if some < step:
            break
        gone += some
        progress(gone)
        if stop():
            raise Stopped
    _sweep(catalog, step, stop)
    with catalog.begin() as connection:
        while jobs.forget_some(connection, job_id, step):  # somebody may have started it meanwhile
            pass
        jobs.forget_job(connection, job_id)


def _sweep(catalog: Catalog, step: int, stop: Callable[[], bool]) -> None:
    """Remove images that no file of any job holds; most windows have none, and are only read."""
    last: int | None = 0
    while last is not None:
        with catalog.read() as connection:
            ids, last = jobs.unshown(connection, last)
        for start in range(0, len(ids), step):
            if stop():
                raise Stopped
            with catalog.begin() as connection:
                jobs.forget_unshown(connection, ids[start : start + step])
