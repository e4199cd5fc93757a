"""Faces: ours against the calls of `face_recognition`, one thread each, on the same pictures.

The other side is what `face_recognition.face_locations(image, 1, "hog")` and `face_encodings` do
(model "small", one jitter), called on dlib directly. The sides take turns picture by picture.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np

from bench.corpus import folder_of, group_photograph, photos
from bench.measure import scan
from bench.report import Report
from caseframe.faces.analyser import FaceAnalyser
from caseframe.faces.packages import DESCRIPTOR_FILE, LANDMARKS_FILE, models_folder

Side = Callable[[Any], int]
LIMIT_MB = 1200.0


class Usual:
    """dlib's HOG detector on the picture enlarged twice, and its network for descriptors."""

    def __init__(self) -> None:
        folder = models_folder()
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(str(folder / LANDMARKS_FILE))
        self._encoder = dlib.face_recognition_model_v1(str(folder / DESCRIPTOR_FILE))

    def __call__(self, rgb: Any) -> int:
        """How many faces; their descriptors are computed and dropped."""
        boxes = self._detector(rgb, 1)
        for box in boxes:
            self._encoder.compute_face_descriptor(rgb, self._predictor(rgb, box), 1)
        return len(boxes)


@dataclass(slots=True)
class Tally:
    """Faces and seconds of one side over some pictures."""

    faces: int = 0
    seconds: float = 0.0


def bench(report: Report) -> None:
    """Print faces found and rates of both sides."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cv2.setNumThreads(1)
    analyser = FaceAnalyser.load(Path(tempfile.mkdtemp(prefix="bench-faces-")))
    usual = Usual()

    def ours(rgb: Any) -> int:
        return len(analyser.analyse(rgb))

    sample = [_decoded(data) for data in photos()]
    _compare(report, f"{len(sample)} photographs", sample, usual, ours, at_least=1.5)
    group = group_photograph()
    if group is None:
        report.line("group photograph", "not here: not measured")
    else:
        rgb = _decoded(group)
        _compare(report, "group photograph", [rgb], usual, ours, at_least=1.5)
        large = np.asarray(cv2.resize(rgb, (4000, 3000), interpolation=cv2.INTER_CUBIC))
        _compare(report, "group photograph at 12 megapixels", [large], usual, ours, at_least=15)
    _memory(report)


def _decoded(data: bytes) -> Any:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("a sample cannot be decoded")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _compare(
    report: Report, name: str, pictures: list[Any], usual: Side, ours: Side, *, at_least: float
) -> None:
    theirs, own = Tally(), Tally()
    for rgb in pictures:
        for side, tally in ((usual, theirs), (ours, own)):
            started = time.perf_counter()
            tally.faces += side(rgb)
            tally.seconds += time.perf_counter() - started
    report.heading(f"Faces, {name}: detection and descriptors, one thread")
    report.line("faces: face_recognition's way / ours", f"{theirs.faces} / {own.faces}")
    rate = len(pictures) / own.seconds
    report.line("ours", f"{rate:,.2f} pictures/s")
    other = len(pictures) / theirs.seconds
    report.compare("face_recognition's way", other, rate, at_least=at_least, unit="pictures/s")


def _memory(report: Report) -> None:
    case = Path(tempfile.mkdtemp(prefix="bench-case-"))
    with folder_of(300, photos()) as folder:
        result = scan(folder, case, workers=2, watch_memory=True)
    report.heading("Peak memory of all processes together (PSS), all stages, 2 workers")
    report.limit("300 photographs", result.peak_mb, at_most=LIMIT_MB, unit="MB")


if __name__ == "__main__":
    bench(Report(sys.stdout))
