"""Ingest without faces: against command-line tools, ExifTool, and the floor of the work itself."""

from __future__ import annotations

import compileall
import hashlib
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import cv2
import simplejpeg

import caseframe
from bench.corpus import folder_of, photos
from bench.measure import counts, scan
from bench.report import Report

WORKERS = 2
STAGES = "exif,place,similar"
ROUNDS = 5
TOOL_FILES = 200  # starting four programs a file is slow
FEW = 16  # files that take no time beside start and end of the program


def bench(report: Report, count: int = 2000) -> None:
    """Print the rates of ours and of the others, taken in turn."""
    # As an installer leaves it. Where PYTHONDONTWRITEBYTECODE is set, a checkout would else be
    # compiled again at every start.
    compileall.compile_dir(Path(caseframe.__file__).parent, quiet=1)
    sides: dict[str, list[float]] = {}
    with folder_of(count, photos()) as folder, folder_of(FEW, photos()) as small:
        files = sorted(folder.rglob("*.jpg"))
        for number in range(ROUNDS):  # in turn, so that a busy moment of the machine meets all
            some = files[number * TOOL_FILES :][:TOOL_FILES]
            for name, rate in _round(folder, small, files, some):
                sides.setdefault(name, []).append(rate)
    rates = {name: median(found) for name, found in sides.items()}
    ours, steady = rates["command"], rates["steady"]
    report.heading(
        f"Ingest of {count} photographs without faces, {WORKERS} processes, median of {ROUNDS}"
    )
    report.line("caseframe scan, the whole command", f"{ours:,.0f} files/s")
    report.line("the same without start and end of the program", f"{steady:,.0f} files/s")
    tools, exiftool = rates.get("tools"), rates.get("exiftool")
    report.compare("file, identify, md5sum, sha1sum, two at a time", tools, ours, at_least=3)
    report.compare("exiftool -json -fast -r", exiftool, ours, at_least=1.5)
    # The floor's clock runs from when its processes are there until the last picture, so ours does.
    report.compare(
        "floor: three hashes, scaled decode, thumbnail", rates["floor"], steady, at_least=0.7
    )


def _round(
    folder: Path, small: Path, files: list[Path], some: list[Path]
) -> Iterator[tuple[str, float]]:
    """(name, files a second) of each side."""
    start_and_end = _scan(small, FEW)
    _warm(files)
    whole = _scan(folder, len(files))
    yield "command", len(files) / whole
    yield "steady", (len(files) - FEW) / (whole - start_and_end)
    _warm(files)
    yield "floor", len(files) / _floor(files)
    if _there("identify", "file"):
        _warm(some)
        yield "tools", len(some) / _tools(some)
    if _there("exiftool"):
        _warm(files)
        yield "exiftool", len(files) / _exiftool(folder)


def _warm(files: list[Path]) -> None:
    """Read all, so that no side waits for a disk where another finds what was read before it."""
    for file in files:
        file.read_bytes()


def _there(*programs: str) -> bool:
    return all(shutil.which(program) for program in programs)


def _scan(folder: Path, count: int) -> float:
    """Seconds of the whole command."""
    case = Path(tempfile.mkdtemp(prefix="bench-case-"))
    try:
        result = scan(folder, case, workers=WORKERS, stages=STAGES)
        if counts(result)["states"]["picture"] != count:
            raise AssertionError(result.output)
        return result.seconds
    finally:
        shutil.rmtree(case)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _floor(files: list[Path]) -> float:
    with multiprocessing.get_context("forkserver").Pool(WORKERS) as pool:
        pool.map(_least_work, files[:8])  # start and import outside of the measurement
        return _timed(lambda: pool.map(_least_work, files, chunksize=16))


def _least_work(file: Path) -> int:
    """What no ingest can leave out, done as fast as the libraries allow and thrown away."""
    cv2.setNumThreads(1)
    data = file.read_bytes()
    for name in ("md5", "sha1", "sha256"):
        hashlib.new(name, data).digest()
    small = simplejpeg.decode_jpeg(data, min_width=256, min_height=1, min_factor=1)
    height, width = small.shape[:2]
    scale = 256 / max(height, width)
    small = cv2.resize(small, (round(width * scale), round(height * scale)))
    return len(simplejpeg.encode_jpeg(small, quality=80, colorsubsampling="420"))


def _tools(files: list[Path]) -> float:
    def each(file: Path) -> None:
        for command in (["file", "--brief"], ["identify"], ["md5sum"], ["sha1sum"]):
            subprocess.run([*command, str(file)], stdout=subprocess.DEVNULL, check=True)

    def work() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(each, files))

    return _timed(work)


def _exiftool(folder: Path) -> float:
    command = ["exiftool", "-json", "-fast", "-r", str(folder)]
    return _timed(
        lambda: subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
    )


if __name__ == "__main__":
    bench(Report(sys.stdout))
