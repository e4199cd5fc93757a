"""Does the cost of a file stay the same, and memory bounded, as the job grows?"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

from bench.corpus import folder_of, photos, tiny
from bench.measure import Run, job_seconds, scan
from bench.report import Report

WORKERS = 2
STAGES = "exif,place,similar"
LIMIT_MB = 500.0


def bench(report: Report, sizes: tuple[int, ...] = (1_000, 10_000, 50_000)) -> None:
    """Print rate and peak memory of scans of different sizes, warm start taken off."""
    report.heading("Growth: small pictures, no faces, 2 workers; the start of workers taken off")
    rates = []
    start = median(job_seconds(_scan(16)) for _ in range(5))
    for size in sizes:
        rounds = max(1, 5_000 // size)  # short jobs are told apart from noise by repetition
        rates.append(size / (median(job_seconds(_scan(size)) for _ in range(rounds)) - start))
        report.line(f"{size:,} files", f"{rates[-1]:,.0f} files/s")
    report.limit("slowest against fastest", max(rates) / min(rates), at_most=1.15, unit="x")
    report.heading("Peak memory of all processes together (PSS), no faces, 2 workers")
    peaks = [(size, _scan(size, watch_memory=True).peak_mb) for size in (sizes[0], sizes[-1])]
    for size, peak in peaks:
        report.limit(f"{size:,} small files", peak, at_most=LIMIT_MB, unit="MB")
    report.limit("1,000 photographs", _photographs(), at_most=LIMIT_MB, unit="MB")


def _scan(size: int, *, watch_memory: bool = False) -> Run:
    case = Path(tempfile.mkdtemp(prefix="bench-case-"))
    try:
        with folder_of(size, tiny()) as folder:
            return scan(folder, case, workers=WORKERS, stages=STAGES, watch_memory=watch_memory)
    finally:
        shutil.rmtree(case)


def _photographs() -> float:
    case = Path(tempfile.mkdtemp(prefix="bench-case-"))
    try:
        with folder_of(1000, photos()) as folder:
            result = scan(folder, case, workers=WORKERS, stages=STAGES, watch_memory=True)
        return result.peak_mb
    finally:
        shutil.rmtree(case)


if __name__ == "__main__":
    bench(Report(sys.stdout))
