"""Scanning an unchanged folder again: a walk and a comparison, nothing opened."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from bench.corpus import folder_of, tiny
from bench.measure import counts, scan
from bench.report import Report

WORKERS = 2
STAGES = "exif,place,similar"


def bench(report: Report, count: int = 100_000) -> None:
    """Print the time of the first scan and of the second."""
    case = Path(tempfile.mkdtemp(prefix="bench-case-"))
    try:
        with folder_of(count, tiny()) as folder:
            first = scan(folder, case, workers=WORKERS, stages=STAGES)
            again = scan(folder, case, workers=WORKERS, stages=STAGES)
        if counts(again)["states"]["picture"] != count:
            raise AssertionError(again.output)
    finally:
        shutil.rmtree(case)
    report.heading(f"Scan of {count:,} small pictures, then again unchanged")
    report.line("second scan", f"{again.seconds:.2f} s, {count / again.seconds:,.0f} files/s")
    report.compare(
        "first scan", count / first.seconds, count / again.seconds, at_least=20, unit="files/s"
    )


if __name__ == "__main__":
    bench(Report(sys.stdout))
