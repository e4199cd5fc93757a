"""One portrait with one face, and the analyser, loaded once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("dlib")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
data = pytest.importorskip("skimage.data")

from caseframe.faces.analyser import FaceAnalyser  # noqa: E402
from caseframe.faces.packages import missing  # noqa: E402

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def portrait() -> Pixels:
    """A (512, 512, 3) portrait of an astronaut: one face, in the upper middle."""
    picture: Pixels = data.astronaut()
    return picture


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's analyser keeps its converted models."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def analyser(cache_folder: Path) -> FaceAnalyser:
    """The analyser with the real models."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    return FaceAnalyser.load(cache_folder)
