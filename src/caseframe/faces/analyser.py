"""The one thing that others use: a picture in, its faces out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from caseframe.faces import cache, dlibnet
from caseframe.faces.packages import (
    DESCRIPTOR_FILE,
    DETECTOR_FILE,
    LANDMARKS_FILE,
    models_folder,
    need,
)

if TYPE_CHECKING:
    import onnxruntime

    from caseframe.faces.align import Aligner
    from caseframe.faces.boxes import Box
    from caseframe.faces.detect import Detector, Found

Pixels = npt.NDArray[np.uint8]

# Raised when the conversion changes, so that graphs an older release stored are not used.
CONVERTER = 1
_CHIP = (150, 150)
# Width of a box, in pixels, from which on a chip gains nothing by more of them.
_ENOUGH = 150


@dataclass(frozen=True, slots=True)
class Face:
    """One face.

    x, y, width, height: its box in pixels of the array handed in, within the picture.
    score: certainty of the detector, above 0; a clear face has about 1.
    landmarks: five points (column, row) in pixels, as the picture shows them: outer and inner
    corner of the eye on the right side, outer and inner corner of the eye on the left side, base of
    the nose. They may lie outside the picture where the face does.
    descriptor: 128 numbers of about unit length; two pictures of one person are usually less than
    0.6 apart (Euclidean).
    """

    x: int
    y: int
    width: int
    height: int
    score: float
    landmarks: tuple[tuple[float, float], ...]
    descriptor: tuple[float, ...]


class FaceAnalyser:
    """Finds faces and describes them; one object for each process, not shared by threads."""

    name = "dlib HOG + mmod_human_face_detector + dlib_face_recognition_resnet_model_v1"

    def __init__(
        self,
        detector: Detector,
        aligner: Aligner,
        descriptor: onnxruntime.InferenceSession,
        digest: str,
    ) -> None:
        """Take the loaded models; `load` is the usual way to get here."""
        self._detector = detector
        self._aligner = aligner
        self._descriptor = descriptor
        self.digest = digest

    @classmethod
    def load(cls, cache_folder: Path) -> FaceAnalyser:
        """Load the models; the first time, convert them and keep the result in a folder.

        The `digest` of the analyser is a SHA-256 over all weights in use.
        Raises FacesUnavailable when a package is not installed or a model file is damaged, and
        OSError when the folder cannot be written.
        """
        folder = models_folder()
        try:
            return _load(folder, cache_folder)
        except ImportError as error:
            raise need(f"cannot import {error.name or error}") from error
        except (ValueError, RuntimeError) as error:
            raise need(f"face model files are damaged ({error}); reinstall them") from error

    def analyse(self, rgb: Pixels) -> list[Face]:
        """Return the faces of an upright (rows, columns, 3) RGB picture, best score first."""
        found = self._detector.find(rgb)
        return [self._face(rgb, found, box) for box in found.boxes]

    def describe(self, chip: Pixels) -> tuple[float, ...]:
        """Return the 128 numbers for a (150, 150, 3) chip."""
        (numbers,) = self._descriptor.run(None, {"rgb": chip[None]})
        return tuple(numbers.ravel().tolist())

    def _face(self, rgb: Pixels, found: Found, box: Box) -> Face:
        # The searched picture shows a large face well enough; a small one is taken from the
        # picture as it was handed in.
        enough = box.width >= _ENOUGH
        back = 1 / found.factor
        whole = box.scaled(back)
        aligned = self._aligner.align(*((found.picture, box) if enough else (rgb, whole)))
        unit = back if enough else 1.0
        rows, columns = rgb.shape[:2]
        left, right = (min(max(round(edge), 0), columns) for edge in (whole.left, whole.right))
        top, bottom = (min(max(round(edge), 0), rows) for edge in (whole.top, whole.bottom))
        return Face(
            x=left,
            y=top,
            width=right - left,
            height=bottom - top,
            score=box.score,
            landmarks=tuple((x * unit, y * unit) for x, y in aligned.landmarks),
            descriptor=self.describe(aligned.chip),
        )


def _load(folder: Path, cache_folder: Path) -> FaceAnalyser:
    # Imported here, as the package must be importable where these are not installed.
    from caseframe.faces.align import Aligner  # noqa: PLC0415
    from caseframe.faces.detect import Detector  # noqa: PLC0415
    from caseframe.faces.propose import Proposer  # noqa: PLC0415

    proposer = Proposer()
    digest = hashlib.sha256(proposer.weights)
    digest.update(_digest(folder / LANDMARKS_FILE))
    sessions = []
    for name, size in ((DETECTOR_FILE, None), (DESCRIPTOR_FILE, _CHIP)):
        weights = (folder / name).read_bytes()
        weights_digest = hashlib.sha256(weights)
        digest.update(weights_digest.digest())
        place = cache_folder / f"{Path(name).stem}-{weights_digest.hexdigest()}-{CONVERTER}.onnx"
        sessions.append(_session(cache.kept(place, _conversion(weights, size))))
    detector, descriptor = sessions
    aligner = Aligner(folder / LANDMARKS_FILE)
    return FaceAnalyser(Detector(proposer, detector), aligner, descriptor, digest.hexdigest())


def _conversion(weights: bytes, size: tuple[int, int] | None) -> Callable[[], bytes]:
    def convert() -> bytes:
        # Needed once only, and it brings the onnx package with it.
        from caseframe.faces import graph  # noqa: PLC0415

        return graph.build(dlibnet.read_network(weights), size)

    return convert


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _session(model: bytes) -> onnxruntime.InferenceSession:
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Pictures differ in size; an arena would keep the most that any of them ever needed.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
