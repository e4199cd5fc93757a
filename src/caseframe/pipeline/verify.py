"""Reading a source again and comparing it with what was recorded of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from caseframe.catalog import evidence, jobs
from caseframe.catalog.database import Catalog
from caseframe.catalog.evidence import KnownFile
from caseframe.domain.evidence import Examined, FileState
from caseframe.domain.work import JobState, Order
from caseframe.pipeline.missing import Fate, fate
from caseframe.pipeline.progress import Progress
from caseframe.pipeline.runner import Runner
from caseframe.scanner.reading import open_root
from caseframe.scanner.walk import Entry, check_source, walk

_BATCH = 512
_READABLE = "could not be read at the scan and can be now"
_UNSEEN = "cannot be looked for: a folder above it cannot be read"


class Verdict(StrEnum):
    """What became of a file since it was scanned."""

    SAME = "same"
    CHANGED = "changed"
    TOUCHED = "touched"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    NEW = "new"
    NOT_SCANNED = "not scanned"
    NOT_HASHED = "not hashed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one file now; `detail` is empty for one that is the same."""

    path: bytes
    verdict: Verdict
    detail: str = ""


class Verification:
    """Compares one job's source with the catalog, without changing either."""

    def __init__(self, catalog: Catalog, runner: Runner, progress: Progress | None = None) -> None:
        self._catalog = catalog
        self._runner = runner
        self._progress = progress or Progress(phase="verify")
        self._waiting: dict[bytes, KnownFile] = {}
        self._aside: list[Finding] = []
        self._unread: set[bytes] = set()  # names that the walk met and could not look into
        self.counts: Counter[Verdict] = Counter()

    def run(self, job: jobs.Job) -> Iterator[Finding]:
        """Every file that is not the same, as it is found; `counts` is complete at the end.

        Raises SourceError when the source folder itself is gone.
        """
        check_source(job.source)
        for outcome in self._runner.run(self._orders(job)):
            known = self._waiting.pop(outcome.order.path)
            if outcome.examined is not None:
                yield from self._tell(_compare(known, outcome.examined))
            yield from self._tell_aside()
        yield from self._tell_aside()
        yield from self._missing(job)

    def _tell(self, finding: Finding) -> Iterator[Finding]:
        self.counts[finding.verdict] += 1
        self._progress.examined += 1
        self._progress.changed()
        if finding.verdict is not Verdict.SAME:
            yield finding

    def _tell_aside(self) -> Iterator[Finding]:
        while self._aside:
            yield from self._tell(self._aside.pop())

    def _orders(self, job: jobs.Job) -> Iterator[Order]:
        entries = walk(job.source)
        while batch := list(islice(entries, _BATCH)):
            with self._catalog.read() as connection:
                known = evidence.files_at(connection, job.id, [entry.path for entry in batch])
            for entry in batch:
                file = known.get(entry.path)
                if entry.unreadable:
                    self._unread.add(entry.path)
                if file is None:
                    self._aside.append(_unknown(job, entry))
                elif entry.skipped is not None:
                    self._aside.append(_compare_special(file, entry))
                else:
                    self._waiting[entry.path] = file
                    yield _order(job, file, entry)

    def _missing(self, job: jobs.Job) -> Iterator[Finding]:
        # Asked of the file system once more, path by path: remembering every file that the walk
        # met would take memory without bound.
        root = open_root(job.source)
        try:
            last = 0
            while page := self._page(job, last):
                for file in page:
                    yield from self._tell_gone(file, fate(root, file, self._unread))
                last = page[-1].id
        finally:
            os.close(root)

    def _tell_gone(self, file: KnownFile, now: Fate) -> Iterator[Finding]:
        if now is Fate.OPENED:
            yield from self._tell(Finding(file.path, Verdict.CHANGED, _READABLE))
        elif now is Fate.GONE:
            yield from self._tell(Finding(file.path, Verdict.MISSING, "is not there any more"))
        elif now is Fate.UNKNOWN:
            yield from self._tell(Finding(file.path, Verdict.UNREADABLE, _UNSEEN))

    def _page(self, job: jobs.Job, last: int) -> list[KnownFile]:
        with self._catalog.read() as connection:
            return evidence.files_page(connection, job.id, after=last)


def _unknown(job: jobs.Job, entry: Entry) -> Finding:
    """A name that the catalog does not know: only a scan that came to its end would have met it.

    A folder has no row of its own unless it cannot be read.
    """
    if entry.unreadable:
        return Finding(entry.path, Verdict.UNREADABLE, entry.skipped or "cannot be read")
    if job.state is JobState.FINISHED:
        return Finding(entry.path, Verdict.NEW, "was not there at the scan")
    return Finding(entry.path, Verdict.NOT_SCANNED, "not scanned yet")


def _order(job: jobs.Job, file: KnownFile, entry: Entry) -> Order:
    expected = frozenset({file.sha256}) if file.sha256 else frozenset[bytes]()
    return Order(
        root=job.source,
        path=file.path,
        before=file.sha256,
        known=expected,
        size=entry.size,
        modified_ns=entry.modified_ns,
    )


def _compare_special(file: KnownFile, entry: Entry) -> Finding:
    """What became of a name that is no regular file now, by all that can be told without opening.

    The catalog does not hold where a link leads, so one that was made anew counts as changed.
    """
    now = entry.skipped or "no regular file"
    if entry.unreadable and file.state != FileState.UNREADABLE:
        return Finding(file.path, Verdict.UNREADABLE, now)
    if file.sha256 is not None or file.mime != entry.mime:
        was = "a file" if file.sha256 is not None else file.mime or "of unknown type"
        return Finding(file.path, Verdict.CHANGED, f"was {was} and is now: {now}")
    if (entry.size, entry.modified_ns) != (file.size, file.modified_ns):
        return Finding(file.path, Verdict.CHANGED, f"size or time differ; it is a {now}")
    return Finding(file.path, Verdict.SAME)


def _compare(file: KnownFile, examined: Examined) -> Finding:
    if examined.state is FileState.UNREADABLE:
        return Finding(file.path, Verdict.UNREADABLE, examined.reason or "cannot be read")
    now = examined.digests.sha256 if examined.digests else None
    different = _different(file.sha256, now)
    if file.state == FileState.UNREADABLE:
        detail = f"{_READABLE}; {different}" if different else _READABLE
        return Finding(file.path, Verdict.CHANGED, detail)
    if file.sha256 is None:
        return _compare_unhashed(file, examined)
    if different is not None:
        return Finding(file.path, Verdict.CHANGED, different)
    if examined.modified_ns != file.modified_ns:
        return Finding(file.path, Verdict.TOUCHED, "same content, another modification time")
    return Finding(file.path, Verdict.SAME)


def _different(before: bytes | None, now: bytes | None) -> str | None:
    """How digests differ, in words; None where they do not, or there was none before."""
    if before is None or now == before:
        return None
    return f"SHA-256 was {before.hex()} and is {now.hex() if now else 'not computed'}"


def _compare_unhashed(file: KnownFile, examined: Examined) -> Finding:
    if examined.mime != file.mime:
        return Finding(
            file.path, Verdict.CHANGED, f"was {file.mime or 'of unknown type'}, is {examined.mime}"
        )
    if (examined.size, examined.modified_ns) != (file.size, file.modified_ns):
        return Finding(
            file.path, Verdict.CHANGED, "size or time differ; its content was not hashed"
        )
    return Finding(
        file.path, Verdict.NOT_HASHED, "same size and time; its content was not hashed at the scan"
    )
